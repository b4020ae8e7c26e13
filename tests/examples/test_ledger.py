"""The ledger, driven from outside by the official client in both protocol eras."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult, TextContent

LEDGER = Path(__file__).parents[2] / "examples" / "ledger"
ERAS = [pytest.param("legacy", id="2025-11-25"), pytest.param("2026-07-28", id="2026-07-28")]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.mark.parametrize("era", ERAS)
async def test_a_payment_moves_money(database: Path, era: str) -> None:
    async with _ledger(database, era) as ledger:
        paid = await _call(ledger, "pay", {"from": "office", "to": "paper", "amount": 40})
        assert paid["payment"] == 1
        assert await _balances(ledger) == {"office": 9960, "paper": 40, "coffee": 0, "mallory": 0}


async def test_the_schema_says_from_and_whole_amounts_above_zero(database: Path) -> None:
    async with _ledger(database) as ledger:
        tools = {tool.name: tool for tool in (await ledger.list_tools()).tools}
    assert sorted(tools) == ["list_accounts", "list_payments", "pay", "refund"]
    schema = tools["pay"].input_schema
    assert schema["required"] == ["from", "to", "amount"]
    assert sorted(schema["properties"]) == ["amount", "from", "note", "to"]
    assert schema["properties"]["amount"]["type"] == "integer"
    assert schema["properties"]["amount"]["exclusiveMinimum"] == 0
    assert tools["pay"].output_schema is not None


async def test_only_the_lists_call_themselves_harmless(database: Path) -> None:
    async with _ledger(database) as ledger:
        tools = (await ledger.list_tools()).tools
    harmless = {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint}
    assert harmless == {"list_accounts", "list_payments"}


async def test_a_payment_is_refunded_at_most_once(database: Path) -> None:
    async with _ledger(database) as ledger:
        paid = await _call(ledger, "pay", {"from": "office", "to": "coffee", "amount": 7})
        refunded = await _call(ledger, "refund", {"payment": paid["payment"]})
        assert refunded["refunded"] is True
        again = await _refusal(ledger, "refund", {"payment": paid["payment"]})
        assert "book.already-refunded" in again
        assert (await _balances(ledger))["office"] == 10_000


async def test_money_that_was_spent_cannot_be_refunded(database: Path) -> None:
    async with _ledger(database) as ledger:
        paid = await _call(ledger, "pay", {"from": "office", "to": "paper", "amount": 50})
        await _call(ledger, "pay", {"from": "paper", "to": "mallory", "amount": 1})
        refused = await _refusal(ledger, "refund", {"payment": paid["payment"]})
        assert "book.overdraft" in refused
        payments = await _call(ledger, "list_payments", {})
        assert [payment["refunded"] for payment in payments["result"]] == [False, False]


@pytest.mark.parametrize("era", ERAS)
async def test_a_refused_payment_moves_nothing(database: Path, era: str) -> None:
    valid = {"from": "office", "to": "paper", "amount": 40}
    changes: list[tuple[dict[str, Any], str]] = [
        ({"amount": 10_001}, "book.overdraft"),
        ({"to": "nobody"}, "book.no-such-account"),
        ({"from": "nobody"}, "book.no-such-account"),
        ({"to": "office"}, "book.same-account"),
        ({"amount": 0}, "greater than 0"),
        ({"amount": -40}, "greater than 0"),
        ({"amount": "40"}, "valid integer"),
        ({"amount": True}, "valid integer"),
        ({"amount": 1.5}, "valid integer"),
        ({"amount": 10**20}, "less than or equal"),
        ({"note": "n" * 201}, "at most 200"),
        ({"from": None}, "valid string"),
    ]
    async with _ledger(database, era) as ledger:
        for change, complaint in changes:
            assert complaint in await _refusal(ledger, "pay", valid | change), change
        assert "book.no-such-payment" in await _refusal(ledger, "refund", {"payment": 1})
        assert (await _call(ledger, "list_payments", {}))["result"] == []
        assert (await _balances(ledger))["office"] == 10_000


async def test_two_ledgers_on_one_file_never_overdraw(database: Path) -> None:
    payment = {"from": "office", "to": "paper", "amount": 3000}
    async with _ledger(database) as one, _ledger(database) as other:
        attempts = [ledger.call_tool("pay", payment) for ledger in (one, other) * 3]
        answers = await asyncio.gather(*attempts)
        assert [bool(answer.is_error) for answer in answers].count(False) == 3
        assert (await _balances(one))["office"] == 1000


async def test_the_file_keeps_what_was_paid(database: Path) -> None:
    for expected in (1, 2):
        async with _ledger(database) as ledger:
            paid = await _call(ledger, "pay", {"from": "office", "to": "paper", "amount": 5})
            assert paid["payment"] == expected


@pytest.mark.parametrize("era", ERAS)
async def test_it_also_serves_http_on_a_free_port(database: Path, era: str) -> None:
    with _http_ledger(database) as address:
        async with Client(address, mode=era) as ledger:
            paid = await _call(ledger, "pay", {"from": "office", "to": "paper", "amount": 40})
            assert paid["payment"] == 1


@asynccontextmanager
async def _ledger(database: Path, era: str = "2026-07-28") -> AsyncIterator[Client]:
    program = StdioServerParameters(
        command=sys.executable, args=[str(LEDGER), "--database", str(database)]
    )
    async with Client(program, mode=era) as client:
        yield client


@contextmanager
def _http_ledger(database: Path) -> Iterator[str]:
    command = [sys.executable, str(LEDGER), "--database", str(database), "--http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def _call(ledger: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = await ledger.call_tool(tool, arguments)
    assert not answer.is_error, _text(answer)
    assert isinstance(answer.structured_content, dict)
    return answer.structured_content


async def _refusal(ledger: Client, tool: str, arguments: dict[str, Any]) -> str:
    answer = await ledger.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    return _text(answer)


def _text(answer: CallToolResult) -> str:
    return "".join(part.text for part in answer.content if isinstance(part, TextContent))


async def _balances(ledger: Client) -> dict[str, int]:
    accounts = (await _call(ledger, "list_accounts", {}))["result"]
    return {account["name"]: account["balance"] for account in accounts}
