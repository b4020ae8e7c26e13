"""The console before a long log: how long its pages take on the server.

python benchmarks/console.py [--entries N] [--quick] [--check] [--json FILE] [--folder DIR]

A whole gateway with a month of entries, written through its own log: 200 agents, 40 tools, and of
twenty calls one denied. Then its pages are asked for as a browser does, one after the other, over a
connection that is kept; what counts is the slowest of the ordinary ones (19 of 20 are faster). CPU
is that of the whole process, with the client in it: the steadier figure on a busy machine.
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

if __name__ == "__main__":
    # A program's own folder comes first on the path, where this file would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import httpx
import uvloop
import yaml

from audit.canonical import Json
from audit.entry import Record
from audit.errors import AuditUnavailable
from audit.files import is_volatile
from benchmarks.table import add_options, finish, say
from cli.help import texts
from console.app import shown
from gateway.app import opened
from gateway.applications import Gateway
from gateway.home import Home
from gateway.listeners import address_of, bind, serving
from gateway.operator.credentials import KEY_BYTES, Operator, Operators
from gateway.settings import Settings
from gateway.surroundings import Surroundings

AGENTS, TOOLS, RULES = 200, 40, 12
MONTH_US = 30 * 86_400 * 1_000_000
BATCH = 500

_PERSON = "bench"
_DIGEST = "cd" * 32


@dataclass
class Clock:
    """Time as the log has it: a month passes while the entries are written."""

    behind: int = MONTH_US

    def __call__(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000 - self.behind


SEARCHES: Mapping[str, str] = {
    "the last day": "after:24h",
    "everything": "",
    "denials": "effect:deny",
    "one agent": "agent:clerk-7",
    "one agent's denials of one tool": "agent:clerk-7 tool:desk.tool-7 effect:deny",
    "tools by the beginning of their name": "tool:desk.tool-1*",
    "an agent whose name begins others": "agent:clerk",
    "a word": "rule-3",
    "two words": "clerk-7 rule-3",
    "what is nowhere": "nothing-of-the-kind",
    "a week, one agent": "agent:clerk-7 after:7d",
}


PAGES: Mapping[str, str] = {
    "an entry with its proof": "/audit/entries/{at}",
    "now": "/",
    "approvals": "/approvals",
    "agents": "/agents",
    "log": "/log",
}
"""Paths by the name of their row; `{at}` is another entry each time."""


def paths() -> Mapping[str, str]:
    """What is asked for, by the name of its row."""
    return {**{f"search: {name}": _search(text) for name, text in SEARCHES.items()}, **PAGES}


def _search(text: str) -> str:
    """A list of 100 rows, or what there is; of a time that is bounded, the newest."""
    path = f"/audit?{urlencode({'q': text, 'within': 'all'})}"
    return path if "after:" in text else f"{path}&cursor={{at}}"


async def measured(
    http: httpx.AsyncClient, path: str, size: int, times: int
) -> tuple[float, float]:
    """Milliseconds within which 19 of 20 answers came, and those of CPU that one took.

    Each time at another place of the log, from its end to its beginning: nothing is read twice.
    """
    taken, cpu = [], time.process_time()
    for number in range(times):
        begun = time.perf_counter()
        answered = await http.get(path.format(at=size - 1 - number * (size // times)))
        taken.append(time.perf_counter() - begun)
        if answered.status_code != httpx.codes.OK:
            raise SystemExit(f"{path}: {answered.status_code}")
    cpu = time.process_time() - cpu
    return sorted(taken)[len(taken) * 19 // 20] * 1e3, cpu / times * 1e3


@asynccontextmanager
async def standing(folder: Path, clock: Clock) -> AsyncIterator[tuple[Gateway, str, str]]:
    """A gateway with its pages: itself, where they are, and its operator's key."""
    listeners = bind("127.0.0.1:0"), bind("127.0.0.1:0")
    agents, operators = map(address_of, listeners)
    listeners[0].close()
    policy = folder / "bench.policy.yaml"
    policy.write_text(yaml.safe_dump(_policy()))
    home = Home.at(folder / "home")
    person = Operator(_PERSON, frozenset({"administrator", "approver"}))
    key = Operators.open(home.operators).add(person, secrets.token_bytes(KEY_BYTES))
    settings = {
        "apiVersion": "passavant/v1",
        "kind": "Gateway",
        "home": str(home.path),
        "public_url": f"http://{agents}",
        "operators_url": f"http://{operators}",
        "listen": {"agents": agents, "operators": operators},
        "policy": [str(policy)],
        "audit": {"origin": "gw.example/bench"},
    }
    made = Settings.model_validate(settings)
    async with opened(made, "serve", Surroundings({}, clock=clock)) as gateway:
        with shown(gateway, texts()):
            async with serving(gateway.operators, listeners[1]):
                yield gateway, f"http://{operators}", key


async def write(gateway: Gateway, clock: Clock, count: int) -> None:
    """Let a month pass in which so many entries come to be."""
    log, chance = gateway.services.log, random.Random(7)  # noqa: S311 - the same in every run
    begun, told = time.perf_counter(), 0
    while log.size < count:
        records = [_record(log.new_id(), chance) for _ in range(BATCH)]
        with suppress(AuditUnavailable):  # a machine that stalls: others take their place
            await asyncio.gather(*[log.append(record) for record in records])
        clock.behind = MONTH_US - MONTH_US * min(log.size, count) // count
        if log.size - told >= count // 10:
            told = log.size
            say(f"{told:,} entries, {told / (time.perf_counter() - begun):,.0f}/s")


def _record(call: str, chance: random.Random) -> Record:
    """A decision as the gateway writes it."""
    agent, tool = chance.randrange(AGENTS), chance.randrange(TOOLS)
    is_denied = chance.random() < 1 / 20
    decided: dict[str, Json] = {
        "effect": "deny" if is_denied else "allow",
        "obligations": [],
        "rules": [] if is_denied else [f"rule-{chance.randrange(RULES)}"],
        "snapshot": _DIGEST,
        "us": 6,
    }
    fields: dict[str, Json] = {
        "actor": {"agent": f"clerk-{agent}", "chain": [], "sub": f"user-{agent % 50}@example.org"},
        "approval": None,
        "args": {"commit": secrets.token_hex(32), "kept": False, "len": 57},
        "decision": decided,
        "emits": [],
        "facts": {"labels": [], "provenance": {}, "read": ["args.amount"], "totals": {}},
        "joined": None,
        "req": {"face": "mcp/2026-07-28", "id": call, "trace": None},
        "session": f"0195d3a0-1234-7abc-8def-{agent:012d}",
        "tool": {"name": f"desk.tool-{tool}", "pin": "ef" * 32},
    }
    return Record(call, "decision", fields)


def _policy() -> dict[str, Any]:
    return {
        "apiVersion": "passavant/v1",
        "kind": "Policy",
        "name": "bench",
        "default": "deny",
        "users": {"default": "unrestricted"},
        "agents": {f"clerk-{n}": {"roles": ["clerk"], "owner": "team"} for n in range(AGENTS)},
    }


async def _run(folder: Path, *, entries: int, times: int) -> dict[str, float]:
    clock = Clock()
    async with standing(folder, clock) as (gateway, url, key):
        await write(gateway, clock, entries)
        clock.behind = 0
        begun = time.perf_counter()
        await asyncio.to_thread(gateway.services.index.catch_up)
        say(f"indexed after another {time.perf_counter() - begun:.0f} s")
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
            await _log_in(http, key, url)
            rows: dict[str, float] = {"entries": gateway.services.log.size}
            for name, path in paths().items():
                await http.get(path.format(at=entries // 3))
                took, cpu = await measured(http, path, entries, times)
                rows |= {f"{name}, ms": took, f"{name}, CPU ms": cpu}
                say(f"{name:45} {took:8.1f} ms {cpu:8.1f} ms of CPU")
    return rows


async def _log_in(http: httpx.AsyncClient, key: str, url: str) -> None:
    told = await http.post(
        "/api/operators/code", json={}, headers={"authorization": f"Bearer {key}"}
    )
    form = {"code": told.json()["code"]}
    await http.post("/login", data=form, headers={"origin": url}, follow_redirects=True)


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="console.py", description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--entries", type=int, default=1_000_000, help="length of the log")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if is_volatile(options.folder):
        parser.error(f"{options.folder} lies in memory: name another with --folder")
    entries, times = (50_000, 20) if options.quick else (options.entries, 40)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="passavant-bench-") as made:
        rows = uvloop.run(_run(Path(made), entries=entries, times=times))
    return finish("console", rows, options, void=[])


if __name__ == "__main__":
    sys.exit(main())
