"""T16: conditions see the value that the upstream will see, and no other spelling of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.ledger import POLICY, ledger, payments
from tests.harness.policy import crowded

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Bank:
    gateway: Running
    database: Path

    def amounts(self) -> list[int]:
        return [amount for _, _, amount in payments(self.database)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bank]:
    folder = tmp_path_factory.mktemp("bank")
    database = folder / "book" / "ledger.db"
    database.parent.mkdir()
    servers = {"ledger": ledger(database)}
    async with running(folder, crowded(POLICY), servers, mode="dev") as gateway:
        yield Bank(gateway, database)


@pytest_asyncio.fixture(loop_scope="module")
async def payer(bank: Bank) -> Agent:
    return await bank.gateway.agent()


def order(amount: str) -> bytes:
    return b'{"from":"office","to":"paper","amount":%s}' % amount.encode()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("written", "codes"),
    [
        pytest.param('"1e9"', {"args.invalid"}, id="exponent-in-text"),
        pytest.param('"100"', {"args.invalid"}, id="number-in-text"),
        pytest.param('""', {"args.invalid"}, id="empty-text"),
        pytest.param('"１００"', {"args.invalid"}, id="full-width-digits"),
        pytest.param("true", {"args.invalid"}, id="true"),
        pytest.param("false", {"args.invalid"}, id="false"),
        pytest.param("null", {"args.invalid"}, id="null"),
        pytest.param("[40]", {"args.invalid"}, id="list-of-one"),
        pytest.param('{"$numberInt":"40"}', {"args.invalid"}, id="object"),
        pytest.param("40.5", {"args.invalid"}, id="fraction"),
        pytest.param("99.99999999999999", {"args.invalid"}, id="nearly-a-hundred"),
        pytest.param("1e-400", {"args.invalid"}, id="smaller-than-any-double"),
        pytest.param("0", {"args.invalid"}, id="zero"),
        pytest.param("-0.0", {"args.invalid"}, id="negative-zero"),
        pytest.param("-1", {"args.invalid"}, id="negative"),
        pytest.param("-9007199254740991", {"args.invalid"}, id="most-negative"),
        pytest.param("101", {"policy.denied"}, id="one-too-many"),
        pytest.param("1e9", {"policy.denied"}, id="exponent"),
        pytest.param("1E+9", {"policy.denied"}, id="signed-exponent"),
        pytest.param("1000000000.0", {"policy.denied"}, id="integral-fraction"),
        pytest.param("1000000001", {"args.invalid"}, id="over-the-schema"),
        pytest.param("1e10", {"args.invalid"}, id="exponent-over-the-schema"),
        pytest.param("9007199254740991", {"args.invalid"}, id="largest-exact"),
        pytest.param("9007199254740993", {"request.malformed"}, id="beyond-exact"),
        pytest.param("1e16", {"request.malformed"}, id="exponent-beyond-exact"),
        pytest.param("18446744073709551656", {"request.malformed"}, id="40-modulo-2-64"),
        pytest.param("4294967336", {"args.invalid"}, id="40-modulo-2-32"),
        pytest.param("1e400", {"request.malformed"}, id="larger-than-any-double"),
        pytest.param("-1e400", {"request.malformed"}, id="less-than-any-double"),
        pytest.param("9" * 5000, {"request.malformed"}, id="five-thousand-digits"),
        pytest.param("NaN", {"request.malformed"}, id="not-a-number"),
        pytest.param("Infinity", {"request.malformed"}, id="infinity"),
        pytest.param("-Infinity", {"request.malformed"}, id="minus-infinity"),
        pytest.param("0x64", {"request.malformed"}, id="hexadecimal"),
        pytest.param("0o144", {"request.malformed"}, id="octal"),
        pytest.param("0100", {"request.malformed"}, id="leading-zero"),
        pytest.param("+40", {"request.malformed"}, id="plus-sign"),
        pytest.param("1_0", {"request.malformed"}, id="digit-group"),
        pytest.param("40.", {"request.malformed"}, id="point-without-digits"),
        pytest.param(".5", {"request.malformed"}, id="digits-without-whole"),
        pytest.param("40,0", {"request.malformed"}, id="comma"),
        pytest.param("40n", {"request.malformed"}, id="big-integer"),
        pytest.param("４０", {"request.malformed"}, id="full-width-number"),
    ],
)
async def test_t16_a_number_in_disguise_moves_no_money(
    bank: Bank, payer: Agent, way: str, written: str, codes: set[str]
) -> None:
    before = bank.amounts()
    answered = await payer.by(way).call_raw("ledger.pay", order(written))
    assert answered.code in codes
    assert bank.amounts() == before
    recorded = bank.gateway.entries(of=payer)[-1]
    assert recorded["kind"] in {"refusal", "decision"}
    assert recorded.get("code", "policy.denied") == answered.code


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("written", "paid"),
    [
        pytest.param("1", 1, id="one"),
        pytest.param("100", 100, id="the-limit"),
        pytest.param("100.0", 100, id="the-limit-as-a-fraction"),
        pytest.param("1e2", 100, id="the-limit-as-an-exponent"),
        pytest.param("10000e-2", 100, id="the-limit-as-a-negative-exponent"),
        pytest.param("100.000000000000000001", 100, id="the-limit-after-rounding"),
        pytest.param("40", 40, id="forty"),
    ],
)
async def test_t16_every_spelling_of_a_number_is_paid_as_it_was_decided(
    bank: Bank, payer: Agent, way: str, written: str, paid: int
) -> None:
    before = bank.amounts()
    answered = await payer.by(way).call_raw("ledger.pay", order(written))
    assert answered.done, answered
    assert bank.amounts() == [*before, paid]
    words = bank.gateway.gateway.services.recorder.words(answered.entry, "args")
    assert words == b'{"amount":%d,"from":"office","to":"paper"}' % paid


async def test_t16_never_was_more_than_the_limit_executed(bank: Bank, payer: Agent) -> None:
    for way in WAYS:
        for written in ("101", "1e9", "9007199254740993", '"1e9"', "100", "1e400", "-1"):
            await payer.by(way).call_raw("ledger.pay", order(written))
    assert bank.amounts()
    assert max(bank.amounts()) <= 100
