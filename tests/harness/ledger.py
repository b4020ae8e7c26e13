"""The ledger of `examples/ledger` behind a gateway: a real server, with money that moves."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.harness.policy import HEAD

LEDGER = Path(__file__).parents[2] / "examples" / "ledger"

POLICY = (
    HEAD
    + """\
tools:
  ledger.list_accounts: {risk: read, emits: []}
  ledger.pay: {risk: irreversible, emits: [], target: [to]}
rules:
  - {id: lists, roles: [clerk], tools: [ledger.list_accounts], effect: allow}
  - {id: pays, roles: [clerk], tools: [ledger.pay], effect: allow, when: "args.amount <= 100"}
"""
)


def ledger(database: Path) -> dict[str, Any]:
    """The settings of the server over that file."""
    return {
        "command": [sys.executable, str(LEDGER), "--database", str(database)],
        "sandbox": {"read": [str(LEDGER)], "write": [str(database.parent)]},
    }


def payments(database: Path) -> list[tuple[str, str, int]]:
    """Every payment in the file: from, to, amount."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as book:
        return book.execute(
            "SELECT source, target, amount FROM payments ORDER BY payment"
        ).fetchall()
