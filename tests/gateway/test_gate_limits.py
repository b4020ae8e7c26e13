"""What was counted before decides what comes next: totals, histories and places, with a gateway."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.links.http_upstream import answer, says
from tests.harness.gateway import Clock, Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import RESULT, Turnstile, desk

PAYS = """\
  - id: pays
    roles: [clerk]
    tools: [desk.pay]
    effect: allow
    when: "args.amount > 0 && args.amount <= 100"
"""


def paying(more: str, when: str = "args.amount > 0", blocks: str = "") -> str:
    """The desk's policy with another rule for payments."""
    members = f'roles: [clerk], tools: [desk.pay], effect: allow, when: "{when}"{more}'
    rule = f"  - {{id: pays, {members}}}\n"
    assert PAYS in DESK
    costly = DESK.replace("target: [to]}", "target: [to], cost: {eur: args.amount}}", 1)
    return costly.replace(PAYS, rule) + blocks


SPEND = "budgets:\n  spend: {per: user, amount: 1000, window: 1d, unit: eur}\n"
UNDER_100 = "args.amount > 0 && totals.spend < 100"


async def test_a_total_decides_and_stands_in_the_facts(tmp_path: Path) -> None:
    policy = paying(", budgets: [spend]", UNDER_100, SPEND)
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        codes = [(await clerk.call("desk.pay", amount=40, note=str(n))).code for n in range(4)]
        assert codes == [None, None, None, "policy.denied"]
        assert _facts(gateway, "totals") == [{"spend": n * 40} for n in range(4)]
        again = await gateway.agent(clerk.name)  # a new session is no new beginning
        assert (await again.call("desk.pay", amount=1, note="5")).code == "policy.denied"


async def test_a_total_survives_a_restart(tmp_path: Path) -> None:
    policy = paying(", budgets: [spend]", UNDER_100, SPEND)
    async with desk() as upstream:
        async with running(tmp_path, policy, {"desk": upstream}) as gateway:
            clerk = await gateway.agent()
            assert (await clerk.call("desk.pay", amount=100)).done
        async with running(tmp_path, policy, {"desk": upstream}) as gateway:
            again = await gateway.agent(clerk.name)
            assert (await again.call("desk.pay", amount=1)).code == "policy.denied"


@pytest.mark.parametrize(
    ("when", "codes"),
    [
        pytest.param("before('desk.look')", ["policy.denied", None, None], id="before"),
        pytest.param("!before('desk.look')", [None, "policy.denied", "policy.denied"], id="never"),
        pytest.param(
            "before('desk.look') && since('desk.look') < duration('10m')",
            ["policy.denied", None, "policy.denied"],
            id="since",
        ),
        pytest.param(
            "count('desk.look', '10m') == 1", ["policy.denied", None, "policy.denied"], id="count"
        ),
    ],
)
async def test_what_was_called_before_decides(
    tmp_path: Path, when: str, codes: list[str | None]
) -> None:
    """Payments before a look, right after it, and eleven minutes later, each in a new session."""
    clock = Clock()
    policy = paying("", f"args.amount > 0 && {when}")
    async with (
        desk() as upstream,
        running(tmp_path, policy, {"desk": upstream}, clock=clock) as gateway,
    ):
        name = (await gateway.agent()).name
        found = [await _pay(gateway, name, 1)]
        assert (await (await gateway.agent(name)).call("desk.look", at="x")).done
        found.append(await _pay(gateway, name, 2))
        clock.pass_s(660)
        found.append(await _pay(gateway, name, 3))
        assert found == codes
        stranger = await gateway.agent()
        assert (await stranger.call("desk.pay", amount=4)).code == codes[0]


async def test_what_was_called_before_survives_a_restart(tmp_path: Path) -> None:
    policy = paying("", "before('desk.look')")
    async with desk() as upstream:
        async with running(tmp_path, policy, {"desk": upstream}) as gateway:
            clerk = await gateway.agent()
            assert (await clerk.call("desk.look", at="x")).done
        async with running(tmp_path, policy, {"desk": upstream}) as gateway:
            assert await _pay(gateway, clerk.name, 1) is None


async def test_a_call_that_was_not_forwarded_was_never_made(tmp_path: Path) -> None:
    policy = paying("", "before('desk.look')")
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("desk.look", at=5)).code == "args.invalid"
        assert (await clerk.call("desk.hidden")).code == "policy.denied"
        assert await _pay(gateway, clerk.name, 1) == "policy.denied"


async def test_no_more_calls_run_at_once_than_the_policy_says(tmp_path: Path) -> None:
    policy = paying(", limits: [few]", blocks="limits:\n  few: {per: agent, at_once: 2}\n")
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        turnstile = Turnstile()
        upstream.then = turnstile
        clerk = await gateway.agent()
        calls = [asyncio.create_task(clerk.call("desk.pay", amount=n)) for n in (1, 2)]
        await upstream.called(2)
        third = await clerk.call("desk.pay", amount=3)
        assert third.code == "limit:few"
        turnstile.open.set()
        assert all(answered.done for answered in await asyncio.gather(*calls))
        assert (await clerk.call("desk.pay", amount=4)).done
        assert sorted(upstream.paid) == [1, 2, 4]


async def test_what_a_call_has_cost_in_the_end_is_what_counts(tmp_path: Path) -> None:
    policy = paying(
        ", budgets: [tokens]",
        blocks="budgets:\n"
        "  tokens: {per: agent, amount: 100, window: 1d, unit: tokens, unknown_cost: 60}\n",
    ).replace("eur: args.amount", "tokens: result.used")
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        upstream.then = says(
            lambda heard: answer(
                heard, {**RESULT, "structuredContent": {"used": 30}, "resultType": "complete"}
            )
        )
        clerk = await gateway.agent()
        codes = [(await clerk.call("desk.pay", amount=n)).code for n in (1, 2, 3)]
        assert codes == [None, None, "limit:tokens"]  # 30 + 30, and 60 more would not fit
        (outcome, _) = gateway.entries("outcome")
        assert [charge["amount"] for charge in outcome["charges"]] == [30_000_000]


async def _pay(gateway: Running, name: str, amount: int) -> str | None:
    """The code that a payment in a session of its own ends with."""
    return (await (await gateway.agent(name)).call("desk.pay", amount=amount)).code


def _facts(gateway: Running, member: str) -> list[Mapping[str, Any]]:
    return [entry["facts"][member] for entry in gateway.entries("decision")]
