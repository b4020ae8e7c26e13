"""Threat 23, unbounded use: what an agent may do is bounded, however it asks, all at once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.agent import WAYS, Agent
from tests.harness.fleet import process
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk, Turnstile, desk

AT_ONCE = 100
TRIES = 100
PAYS = 'when: "args.amount > 0 && args.amount <= 100"'


def limited(blocks: str) -> str:
    """The desk's policy with payments under the limit or budget `a` of these blocks."""
    kind = blocks.partition(":")[0]
    costly = DESK.replace("target: [to]}", "target: [to], cost: {eur: args.amount}}", 1)
    return costly.replace(PAYS, f"{PAYS}\n    {kind}: [a]") + blocks


TEN = limited("budgets:\n  a: {per: agent, amount: 10, window: 1d, unit: eur}\n")


async def pay(agents: Sequence[Agent], times: int) -> Counter[str | None]:
    """So many payments of 1 by these agents in turn, at most `AT_ONCE` on their way; the codes.

    A gateway of a fleet that gets no time of the machine refuses, as it cannot tell who has which
    rights: what it has not decided is asked again.
    """
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def one(n: int) -> str | None:
        agent = agents[n % len(agents)]
        async with turnstile:
            code: str | None = "epoch_unknown"
            for _ in range(TRIES):
                if code == "epoch_unknown":
                    code = (await agent.call("desk.pay", amount=1, note=str(n))).code
            return code

    return Counter(await asyncio.gather(*(one(n) for n in range(times))))


async def test_t23_of_a_thousand_parallel_calls_a_budget_of_ten_lets_ten_pass(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, TEN, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert await pay([clerk], 1000) == {None: 10, "limit:a": 990}
        assert len(upstream.paid) == 10


async def test_t23_of_a_thousand_calls_at_two_processes_on_one_database_ten_pass(
    tmp_path: Path,
) -> None:
    async with (
        desk() as upstream,
        process(tmp_path, "a", upstream, policy=TEN) as a,
        process(tmp_path, "b", upstream, policy=TEN) as b,
    ):
        clerks = [await a.agent("clerk-1"), await b.agent("clerk-1")]
        assert await pay(clerks, 1000) == {None: 10, "limit:a": 990}
        assert len(upstream.paid) == 10
        recorded = [*await a.entries("outcome"), *await b.entries("outcome")]
        assert [entry["status"] for entry in recorded] == ["done"] * 10


@pytest.mark.long
async def test_t23_a_process_that_is_killed_takes_nothing_with_it_and_gives_nothing_back(
    tmp_path: Path,
) -> None:
    """What it had passed stays charged, and what it had not used is there for all again."""
    async with (
        desk() as upstream,
        process(tmp_path, "a", upstream, policy=TEN) as a,
        process(tmp_path, "b", upstream, policy=TEN) as b,
    ):
        assert await pay([await a.agent("clerk-1")], 4) == {None: 4}
        await a.kill()
        await a.start()
        clerks = [await a.agent("clerk-1"), await b.agent("clerk-1")]
        assert await pay(clerks, 100) == {None: 6, "limit:a": 94}


@pytest.mark.parametrize("way", WAYS)
async def test_t23_every_way_in_draws_on_the_same_budget(tmp_path: Path, way: str) -> None:
    async with desk() as upstream, running(tmp_path, TEN, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert await pay([clerk], 9) == {None: 9}
        other = await gateway.agent(clerk.name, way=way)
        assert await pay([other], 3) == {None: 1, "limit:a": 2}


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        pytest.param("limits:\n  a: {per: agent, rate: 3/day}\n", "limit:a", id="calls"),
        pytest.param("limits:\n  a: {per: user, rate: 3/day}\n", "limit:a", id="of-a-user"),
        pytest.param("limits:\n  a: {per: tool, rate: 3/day}\n", "limit:a", id="of-a-tool"),
        pytest.param("limits:\n  a: {per: session, rate: 3/day}\n", "limit:a", id="of-a-session"),
        pytest.param("limits:\n  a: {per: tree, rate: 3/day}\n", "limit:a", id="of-a-tree"),
        pytest.param(
            "budgets:\n  a: {per: agent, amount: 3, window: 1d, unit: eur}\n", "limit:a", id="cost"
        ),
        pytest.param(
            "budgets:\n  a: {per: agent, amount: 90, window: 1d, unit: bytes-out}\n",
            "limit:a",
            id="bytes-out",
        ),
        pytest.param(
            "budgets:\n  a: {per: agent, amount: 260, window: 1d, unit: bytes-in,"
            " unknown_cost: 100}\n",
            "limit:a",
            id="bytes-in",
        ),
    ],
)
async def test_t23_everything_that_can_run_out_does(tmp_path: Path, terms: str, code: str) -> None:
    policy = limited(terms)
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        found = await pay([clerk], 20)
        assert set(found) == {None, code}
        assert 2 <= found[None] <= 3
        assert len(upstream.paid) == found[None]


async def test_t23_a_refused_call_names_the_limit_and_its_entry_too(tmp_path: Path) -> None:
    policy = limited("limits:\n  a: {per: agent, rate: 1/day}\n")
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("desk.pay", amount=1)).done
        refused = await clerk.call("desk.pay", amount=2)
        assert "'a'" in refused.text
        assert gateway.entry(refused.entry)["decision"]["rules"] == ["limit:a"]


async def test_t23_calls_that_never_end_take_no_more_than_their_places(tmp_path: Path) -> None:
    policy = limited("limits:\n  a: {per: user, at_once: 3}\n")
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        upstream.then = turnstile = Turnstile()
        clerk = await gateway.agent()
        calls = [
            asyncio.create_task(clerk.call("desk.pay", amount=1, note=str(n))) for n in range(20)
        ]
        await _answered(gateway, calls, 17)
        turnstile.open.set()
        codes = Counter([(await call).code for call in calls])
        assert codes == {None: 3, "limit:a": 17}
        assert (await clerk.call("desk.pay", amount=1, note="again")).done


async def _answered(gateway: Running, calls: Sequence["asyncio.Task[object]"], count: int) -> None:
    await gateway.until(lambda: sum(call.done() for call in calls) >= count)


async def test_t23_new_sessions_are_no_new_budget(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, TEN, {"desk": upstream}) as gateway:
        name = (await gateway.agent()).name
        clerks = [await gateway.agent(name) for _ in range(15)]
        assert await pay(clerks, 30) == {None: 10, "limit:a": 20}


async def test_t23_what_was_not_done_is_not_charged(tmp_path: Path) -> None:
    async with Desk() as upstream, running(tmp_path, TEN, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("desk.pay", amount="many")).code == "args.invalid"
        assert (await clerk.call("desk.pay", amount=101)).code == "approval.pending"
        assert await pay([clerk], 12) == {None: 10, "limit:a": 2}
