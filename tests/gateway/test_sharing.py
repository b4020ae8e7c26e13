"""Gateways count together: never too much, and nothing is lost, whatever happens to them."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import FleetUnavailable
from gateway.session.charge import SLOTS, Charge
from gateway.session.cost import MICRO
from gateway.session.limits import Limits, Reservation, Short
from gateway.session.shares import IDLE, LEASE
from gateway.sharing import Counting, Sharing
from gateway.store.counters import FleetCounters, News, Telling
from gateway.store.fleet import FleetDatabase
from policies.decision import Facts
from policies.snapshot import Snapshot
from tests.gateway.session.test_limits import (
    FACTS,
    NOW,
    Attempt,
    at_once,
    attempt,
    budget,
    entry,
    rate,
    rules,
)
from tests.harness.fleet import CUTS, cut, database, member
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import desk

FLEET = "fleet-1"
S = MICRO
BUDGET = 100


@dataclass
class Fleet:
    """A database, the time that all gateways have, and what they did."""

    folder: Path
    now: int = NOW
    names: int = 0
    nodes: list["Node"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = FleetDatabase(database(self.folder))
        self.database.create(FLEET)

    async def join(self) -> "Node":
        node = Node(self, f"n{len(self.nodes)}")
        self.nodes.append(node)
        await node.start()
        return node

    def total(self, counter: str, since: int) -> int:
        """What the database holds as used or in use."""
        with closing(sqlite3.connect(database(self.folder))) as reader:
            asked = 'SELECT sum(amount) FROM shares WHERE counter = ? AND "end" > ?'
            (found,) = reader.execute(asked, (counter, since)).fetchone()
        return found or 0

    def name(self) -> str:
        self.names += 1
        return f"c{self.names}"


@dataclass
class Call:
    id: str
    reservation: Reservation
    is_recorded: bool = False


@dataclass
class Node:
    """One gateway: its log, as charges in order, and what is only in memory."""

    fleet: Fleet
    origin: str
    log: list[tuple[str, object]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = Line(self.fleet.database)

    async def start(self) -> None:
        """Begin as after a crash: what the log has is all there is; its open calls are kept."""
        self.stop()
        self.calls.clear()
        self.limits = Limits()
        for kind, what in self.log:
            getattr(self.limits, kind)(*what)  # type: ignore[misc]  # as it was folded
        around = Counting(
            self.line,
            self.limits,
            self.origin,
            lambda: self.fleet.now,
            lambda: FLEET,
        )
        self.sharing = Sharing(around)
        await self.sharing.begin()

    def stop(self) -> None:
        if hasattr(self, "sharing"):
            self.sharing._thread.shutdown(wait=False)

    async def reserve(self, snapshot: Snapshot, call: Attempt) -> Reservation | str:
        """As the gate does."""
        while True:
            taken = self.limits.reserve(snapshot, call)
            if not isinstance(taken, Short):
                return taken
            refused = await self.sharing.cover(taken)
            if refused is not None:
                return refused

    async def call(self, snapshot: Snapshot, name: str = "", **facts: object) -> bool:
        """A whole call; whether it passed."""
        limits, budgets = tuple(snapshot.limits), tuple(snapshot.budgets)
        told: Facts = replace(FACTS, now=self.fleet.now, **facts)  # type: ignore[arg-type]  # of facts
        call = attempt(name or self.fleet.name(), limits, budgets, facts=told)
        taken = await self.reserve(snapshot, call)
        if isinstance(taken, str):
            return False
        self.calls.append(Call(call.id, taken))
        return True

    def record(self, call: Call) -> None:
        body = entry(call.id, call.reservation.charges)
        self.fold("charged", body)
        call.is_recorded = True
        call.reservation.keep()

    def fold(self, kind: str, *what: object) -> None:
        self.log.append((kind, what))
        getattr(self.limits, kind)(*what)

    def finish(self, call: Call) -> None:
        self.calls.remove(call)
        call.reservation.__exit__()

    async def tell(self) -> None:
        await self.sharing._tell(is_due=True)


async def told(fleet: Fleet) -> None:
    """Everything that lies unused is given back, and everybody has heard it."""
    for _ in range(4):
        fleet.now += IDLE
        for node in fleet.nodes:
            await node.tell()


# -- how many pass --------------------------------------------------------------------------


async def test_of_a_thousand_calls_at_two_gateways_ten_pass(tmp_path: Path) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(ten=rate(10, 3600))
    nodes = [await fleet.join(), await fleet.join()]
    passed = await asyncio.gather(*(nodes[n % 2].call(snapshot) for n in range(1000)))
    assert sum(passed) == 10


@pytest.mark.parametrize("amount", [1, 7, 10, 100, 1000])
async def test_a_budget_is_used_up_to_the_last_bit_by_all_together(
    tmp_path: Path, amount: int
) -> None:
    """Nobody keeps what others could use: what lies unused for a while is given back."""
    fleet, snapshot = Fleet(tmp_path), rules(some=rate(amount, 36_000))
    nodes = [await fleet.join() for _ in range(3)]
    count = 0
    for n in range(min(amount, 10)):
        count += await nodes[n % 3].call(snapshot)
        await told(fleet)
    while await nodes[0].call(snapshot):
        count += 1
    assert count == amount


async def test_a_gateway_passes_calls_on_its_share_without_asking(tmp_path: Path) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(some=rate(1000, 36_000))
    node = await fleet.join()
    assert await node.call(snapshot)
    with cut(tmp_path, "locked"):
        passed = [await node.call(snapshot) for _ in range(126)]
    assert passed == [True] * 124 + [False] * 2  # an eighth of what there is
    await node.tell()
    assert await node.call(snapshot)


@pytest.mark.parametrize("how", CUTS)
async def test_a_gateway_that_is_cut_off_denies(tmp_path: Path, how: str) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(ten=rate(10, 3600), few=at_once(3))
    node = await fleet.join()
    with cut(tmp_path, how):
        assert not await node.call(snapshot)
        assert node.sharing.trouble
    assert not await node.call(snapshot)  # nobody waits for what was just not there
    await node.tell()
    assert await node.call(snapshot)
    assert node.sharing.trouble is None


async def test_a_gateway_that_starts_without_the_database_denies_until_it_is_there(
    tmp_path: Path,
) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(ten=rate(10, 3600))
    with cut(tmp_path, "removed"):
        node = await fleet.join()
        assert not await node.call(snapshot)
    await node.tell()
    assert await node.call(snapshot)


async def test_calls_under_several_limits_pass_when_all_have_room(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    snapshot = rules(ten=rate(10, 3600), three=rate(3, 3600), spend=budget(2))
    nodes = [await fleet.join(), await fleet.join()]
    passed = await asyncio.gather(*(nodes[n % 2].call(snapshot) for n in range(20)))
    assert sum(passed) == 2
    for node in nodes:
        for call in list(node.calls):
            node.finish(call)
    await told(fleet)
    assert fleet.total("limit:ten:agent:clerk", NOW - 3600 * S) == 0


# -- at once --------------------------------------------------------------------------------


async def test_no_more_calls_run_at_once_than_fit_in_the_fleet(tmp_path: Path) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(few=at_once(3))
    nodes = [await fleet.join(), await fleet.join()]
    assert sum(await asyncio.gather(*(nodes[n % 2].call(snapshot) for n in range(50)))) == 3
    for node in nodes:
        for call in list(node.calls):
            node.finish(call)
    await told(fleet)
    assert sum([await nodes[1].call(snapshot) for _ in range(5)]) == 3


async def test_places_are_kept_while_their_calls_run_and_are_free_after_a_crash(
    tmp_path: Path,
) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(few=at_once(2))
    a, b = await fleet.join(), await fleet.join()
    assert await a.call(snapshot)
    assert await a.call(snapshot)
    for _ in range(5):
        fleet.now += LEASE // 3
        await a.tell()
        assert not await b.call(snapshot)
    await a.start()
    await told(fleet)
    assert await b.call(snapshot)


async def test_places_that_expired_while_calls_ran_are_taken_again_whole(tmp_path: Path) -> None:
    """A gateway that was away for longer than its lease has more calls running than it says."""
    fleet, snapshot = Fleet(tmp_path), rules(few=at_once(4))
    a, b = await fleet.join(), await fleet.join()
    assert await a.call(snapshot)
    assert await a.call(snapshot)
    fleet.now += LEASE + S
    assert await a.call(snapshot)
    await a.tell()
    assert fleet.total("at-once:few:agent:clerk", fleet.now) == 3
    assert await b.call(snapshot)
    assert not await b.call(snapshot)


async def test_what_counts_no_more_is_forgotten(tmp_path: Path) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(ten=rate(10, 60), few=at_once(4))
    a, b = await fleet.join(), await fleet.join()
    for node in (a, b):
        assert await node.call(snapshot)
        node.finish(node.calls[0])
    await told(fleet)
    fleet.now += 2 * LEASE
    await told(fleet)
    for node in (a, b):
        node.sharing._shares.forget(fleet.now)
        assert not node.sharing._shares._own
        assert not node.sharing._shares._elsewhere
        assert not node.sharing._shares._open


async def test_places_of_a_gateway_that_never_comes_back_are_free_in_the_end(
    tmp_path: Path,
) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(few=at_once(1))
    a, b = await fleet.join(), await fleet.join()
    assert await a.call(snapshot)
    assert not await b.call(snapshot)
    fleet.now += LEASE
    assert await b.call(snapshot)


# -- what others know -----------------------------------------------------------------------


async def test_what_was_called_at_one_gateway_is_known_at_the_others(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    hour = 3600 * S
    snapshot = replace_histories({"ledger.pay": (hour,)})
    a, b = await fleet.join(), await fleet.join()
    assert await a.call(snapshot)
    a.record(a.calls[0])
    asked = Charge("history", "ledger.pay", "agent:clerk", 1, hour, NOW + S)
    assert b.limits.latest(asked) is None
    fleet.now += S
    await a.tell()
    await b.tell()
    assert (b.limits.latest(asked), b.limits.used(asked)) == (NOW, 1)
    a.fold("returned", a.calls[0].reservation.charges)
    await told(fleet)
    assert (b.limits.latest(asked), b.limits.used(asked)) == (None, 0)


def replace_histories(histories: dict[str, tuple[int, ...]]) -> Snapshot:
    found = rules()
    found.histories = histories  # type: ignore[misc]  # as much of a snapshot as is needed
    return found


async def test_a_gateway_tells_a_new_fleet_what_its_log_has_charged(tmp_path: Path) -> None:
    """Also one that was alone before."""
    snapshot = rules(ten=rate(10, 3600))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = await Fleet(tmp_path / "one").join()
    for n in range(7):
        assert await first.call(snapshot)
        first.record(first.calls[n])
    fleet = Fleet(tmp_path / "two")
    moved, other = await fleet.join(), await fleet.join()
    moved.log = first.log
    await moved.start()
    await moved.tell()
    assert sum([await other.call(snapshot) for _ in range(10)]) == 3


async def test_a_cost_beyond_what_was_reserved_counts_for_all(tmp_path: Path) -> None:
    fleet, snapshot = Fleet(tmp_path), rules(spend=budget(BUDGET))
    a, b = await fleet.join(), await fleet.join()
    assert await a.call(snapshot, args={"amount": 10})
    call = a.calls[0]
    a.record(call)
    final = tuple(charge.of(95 * MICRO) for charge in call.reservation.charges)
    a.fold("settled", call.reservation.charges, final)
    await told(fleet)
    assert not await b.call(snapshot, args={"amount": 6})
    assert await b.call(snapshot, args={"amount": 5})


# -- whatever happens -----------------------------------------------------------------------

HAPPENS = ("call", "call", "record", "record", "finish", "return", "settle", "crash", "tell")
STEPS = st.lists(
    st.tuples(
        st.sampled_from((*HAPPENS, "wait", "cut", "lost", "well")),
        st.integers(0, 2),
        st.integers(1, 30),
    ),
    max_size=50,
)


class Line(FleetCounters):
    """The way to the database, which can be cut in either direction."""

    state = "well"

    def exchange(self, telling: Telling) -> News:
        if self.state == "cut":
            raise FleetUnavailable("nothing gets there")
        news = super().exchange(telling)
        if self.state == "lost":
            raise FleetUnavailable("nothing comes back")
        return news


@settings(max_examples=25)
@given(STEPS)
def test_never_more_is_charged_than_there_is_and_nothing_is_lost(
    steps: Sequence[tuple[str, int, int]],
) -> None:
    """In a window that outlasts the walk: what is charged, held and free is always the budget."""
    with TemporaryDirectory() as folder:
        asyncio.run(_walk(Path(folder), steps, window_s=100_000))


@settings(max_examples=25)
@given(STEPS)
def test_never_more_is_charged_in_any_window_than_there_is(
    steps: Sequence[tuple[str, int, int]],
) -> None:
    """In a short window: whatever has left it is free again, and not a moment before."""
    with TemporaryDirectory() as folder:
        asyncio.run(_walk(Path(folder), steps, window_s=60))


async def _walk(folder: Path, steps: Sequence[tuple[str, int, int]], *, window_s: int) -> None:
    fleet, snapshot = Fleet(folder), rules(spend=budget(BUDGET, window_s=window_s))
    for _ in range(3):
        await fleet.join()
    spent: dict[str, tuple[int, int]] = {}  # when, and how much: what all logs have charged
    for step, which, amount in steps:
        node = fleet.nodes[which]
        call = node.calls[amount % len(node.calls)] if node.calls else None
        await _step(fleet, node, call, snapshot, spent, (step, amount))
        since = fleet.now - window_s * S
        held = sum(_amount(c) for n in fleet.nodes for c in n.calls if not c.is_recorded)
        assert _within(spent, since) + held <= BUDGET or window_s == 60
        _check_windows(spent, window_s)
    await _settle(fleet, snapshot, spent, window_s)
    for node in fleet.nodes:
        node.stop()


async def _settle(
    fleet: Fleet, snapshot: Snapshot, spent: dict[str, tuple[int, int]], window_s: int
) -> None:
    """Everybody is there again and idle: what is free is what nobody has spent."""
    for node in fleet.nodes:
        node.line.state = "well"
        await node.start()
    await told(fleet)
    since = fleet.now - window_s * S
    total = fleet.total("budget:spend:agent:clerk", since) // MICRO
    slot = -(-window_s * S // SLOTS)
    assert _within(spent, since) <= total <= _within(spent, since - slot)
    left = BUDGET - total
    assert not await fleet.nodes[0].call(snapshot, args={"amount": left + 1})
    assert not left or await fleet.nodes[0].call(snapshot, args={"amount": left})


def _within(spent: dict[str, tuple[int, int]], since: int) -> int:
    return sum(amount for at, amount in spent.values() if at > since)


def _check_windows(spent: dict[str, tuple[int, int]], window_s: int) -> None:
    for first, _ in spent.values():
        within = [amount for at, amount in spent.values() if first <= at < first + window_s * S]
        assert sum(within) <= BUDGET


async def _step(
    fleet: Fleet,
    node: Node,
    call: Call | None,
    snapshot: Snapshot,
    spent: dict[str, tuple[int, int]],
    what: tuple[str, int],
) -> None:
    """One thing that may happen; `spent` is what all logs together have charged."""
    step, amount = what
    if step == "call":
        await node.call(snapshot, args={"amount": amount})
    elif step == "crash":
        await node.start()
    elif step == "tell":
        await node.tell()
    elif step == "wait":
        fleet.now += amount * S
    elif step in {"cut", "lost", "well"}:
        node.line.state = step
    elif call is not None:
        _go_on(node, call, spent, step)


def _go_on(node: Node, call: Call, spent: dict[str, tuple[int, int]], step: str) -> None:
    """What may become of one call."""
    (charge,) = call.reservation.charges
    if step == "record" and not call.is_recorded:
        node.record(call)
        spent[call.id] = (charge.at, _amount(call))
    elif step == "finish":
        node.finish(call)
    elif step == "return" and call.is_recorded:
        node.fold("returned", (charge,))
        node.finish(call)
        del spent[call.id]
    elif step == "settle" and call.is_recorded:
        node.fold("settled", (charge,), (charge.of(_amount(call) // 2 * MICRO),))
        node.finish(call)
        spent[call.id] = (charge.at, _amount(call) // 2)


def _amount(call: Call) -> int:
    return sum(charge.amount for charge in call.reservation.charges) // MICRO


def test_a_database_that_was_put_back_gives_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        fleet, snapshot = Fleet(tmp_path), rules(ten=rate(10, 3600))
        node = await fleet.join()
        assert await node.call(snapshot)
        old = database(tmp_path).read_bytes()
        for _ in range(3):
            assert await node.call(snapshot)
        database(tmp_path).write_bytes(old)
        assert not await node.call(snapshot)
        assert node.sharing.trouble is not None
        assert "older" in node.sharing.trouble

    asyncio.run(play())


async def test_whole_gateways_know_what_was_called_and_used_at_the_others(tmp_path: Path) -> None:
    policy = (
        DESK.replace(
            'when: "args.amount > 0 && args.amount <= 100"',
            "when: \"before('desk.look') && totals.spend < 10\"\n    budgets: [spend]",
        ).replace("target: [to]}", "target: [to], cost: {eur: args.amount}}", 1)
        + "budgets:\n  spend: {per: agent, amount: 100, window: 1d, unit: eur}\n"
    )
    async with (
        desk() as upstream,
        member(tmp_path, "a", upstream, policy=policy) as a,
        member(tmp_path, "b", upstream, policy=policy) as b,
    ):
        here, there = await a.agent("clerk-1"), await b.agent("clerk-1")
        assert (await there.call("desk.pay", amount=1)).code == "policy.denied"
        assert (await here.call("desk.look", at="x")).done
        await b.until(lambda: _knows(b, "history:desk.look"))
        assert (await there.call("desk.pay", amount=10)).done
        await a.until(lambda: _knows(a, "budget:spend"))
        assert (await here.call("desk.pay", amount=1)).code == "policy.denied"
        assert upstream.paid == [10]


def _knows(gateway: Running, counter: str) -> bool:
    """Whether something on a counter of others has been heard of."""
    shares = gateway.gateway.services.state.limits._shares
    assert shares is not None
    found = shares._elsewhere
    return any(
        name.startswith(counter) and any(share.amount for share in several.values())
        for name, several in found.items()
    )
