"""The state as a whole: walked at random beside a small model, crashed and folded again."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from audit.canonical import Json
from audit.sealed import Vault
from gateway.approval.request import Key, Request, Verdict
from gateway.errors import ApprovalRefused
from gateway.memory.memory import Memory, Writer
from gateway.memory.place import Place, Reach
from gateway.memory.texts import Texts
from gateway.session.charge import Charge
from gateway.session.cost import MICRO
from gateway.session.opening import HandedOn
from gateway.session.purpose import Purpose
from gateway.session.session import Session
from gateway.state import REVOKING, State, authorises
from policies.decision import Obligation
from tests.gateway.rooms import (
    APPROVERS,
    KEY,
    NOW_S,
    ONE_PERSON,
    TWO_PEOPLE,
    Call,
    House,
    fold,
    rows,
)

T = TypeVar("T")

PEOPLE = ["omar", "ines", "lena", "ana", "clerk", "eve"]
STATUSES = ["done", "error", "refused", "unknown", None]
NOBODY = replace(ONE_PERSON, quorum=0, from_group="nobody")


@dataclass
class Asked:
    """What the model knows of one request."""

    obligations: tuple[Obligation, ...]
    expires: int
    approvers: set[str]
    is_denied: bool = False
    is_over: bool = False

    @property
    def is_approved(self) -> bool:
        return (
            not self.is_denied
            and bool(self.obligations)
            and all(
                o.from_group == "approvers" and len(self.approvers) >= o.quorum
                for o in self.obligations
            )
        )


class Walk(RuleBasedStateMachine):
    """People ask, answer, withdraw and call in any order; the process dies at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.house = self.run(self.open)
        self.model: dict[str, Asked] = {}
        self.used: list[str] = []  # requests whose claim is in the log
        self.labels: dict[str, frozenset[str]] = {}
        self.charged = 0

    async def open(self) -> House:
        return House.open(Path(self.folder.name))

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self.runner.run(work())

    def teardown(self) -> None:
        self.house.close()
        self.runner.close()
        self.folder.cleanup()

    def request(self, n: int) -> Request:
        known = self.house.approvals.all()
        return known[n % len(known)]

    # -- sessions ---------------------------------------------------------------------------

    @rule(agent=st.sampled_from(["clerk", "scout"]), own=st.booleans())
    def session_is_opened(self, agent: str, own: bool) -> None:
        openings = self.house.openings
        if own:
            self.run(lambda: openings.by_agent(agent, None))
        else:

            async def opened() -> None:
                await openings.clean(agent, None, by="operator:omar")

            self.run(opened)

    @precondition(lambda self: self.house.sessions.all())
    @rule(n=st.integers(0, 99))
    def session_is_ended(self, n: int) -> None:
        known = self.house.sessions.all()
        self.run(lambda: self.house.sessions.end(known[n % len(known)].id, by="operator:omar"))

    # -- calls ------------------------------------------------------------------------------

    @rule(
        n=st.integers(0, 99),
        labels=st.sets(st.sampled_from(["web", "pii", "private"]), max_size=2),
        amount=st.integers(0, 5),
        status=st.sampled_from(STATUSES),
    )
    def call_is_allowed(self, n: int, labels: set[str], amount: int, status: str | None) -> None:
        known = self.house.sessions.all()
        session = known[n % len(known)].id if known else "none"
        charges = (charge(amount),) if amount else ()
        call = Call(
            self.house.recorder.new_id(),
            replace(KEY, session=session),
            emits=tuple(sorted(labels)),
            charges=charges,
        )
        self.run(lambda: self.made(call, None, status))
        if status != "refused":
            self.charged += amount

    async def made(self, call: Call, approval: str | None, status: str | None) -> None:
        receipt = await self.house.decide(call, approval=approval)
        if status is not None:
            await self.house.end(call, receipt, status)

    # -- questions --------------------------------------------------------------------------

    @rule(
        session=st.sampled_from(["s1", "s2"]),
        user=st.sampled_from([None, "ana"]),
        obligations=st.sampled_from(
            [
                (ONE_PERSON,),
                (TWO_PEOPLE,),
                (ONE_PERSON, TWO_PEOPLE),
                (NOBODY,),
                (ONE_PERSON, NOBODY),
            ]
        ),
    )
    def call_is_asked_about(
        self, session: str, user: str | None, obligations: tuple[Obligation, ...]
    ) -> None:
        key = replace(KEY, session=session, user=user)
        request = self.run(lambda: self.house.ask(key, *obligations))
        self.model[request.id] = Asked(obligations, request.expires, set())

    @precondition(lambda self: self.house.approvals.all())
    @rule(
        n=st.integers(0, 99),
        name=st.sampled_from(PEOPLE),
        verdict=st.sampled_from(["approve", "approve", "deny"]),
    )
    def person_answers(self, n: int, name: str, verdict: Verdict) -> None:
        request = self.request(n)
        known = self.model[request.id]
        may = (
            request.state == "asked"
            and known.expires > self.house.now_s
            and name in APPROVERS
            and name not in known.approvers
            and any(o.from_group == "approvers" for o in known.obligations)
        )
        try:
            self.run(lambda: self.house.answer(request, name, verdict))
        except ApprovalRefused:
            assert not may
            return
        assert may
        if verdict == "deny":
            known.is_denied = True
        else:
            known.approvers.add(name)

    @precondition(lambda self: self.house.approvals.all())
    @rule(n=st.integers(0, 99))
    def request_is_withdrawn(self, n: int) -> None:
        request = self.request(n)
        try:
            self.run(lambda: self.house.approvals.withdraw(request.id, by="agent:clerk"))
        except ApprovalRefused:
            assert request.state not in {"asked", "approved"}
            return
        self.model[request.id].is_over = True

    @rule(
        session=st.sampled_from(["s1", "s2"]),
        user=st.sampled_from([None, "ana"]),
        status=st.sampled_from(STATUSES),
        is_recorded=st.booleans(),
    )
    def call_is_made(
        self, session: str, user: str | None, status: str | None, is_recorded: bool
    ) -> None:
        key = replace(KEY, session=session, user=user)
        request = self.house.approvals.find(key, self.house.now_s)
        if request is None:
            return
        call = Call(self.house.recorder.new_id(), key, effect="ask")
        if not self.house.approvals.claim(request, call.id):
            assert request.state != "approved"
            return
        known = self.model[request.id]
        assert request.key == key
        assert known.is_approved
        assert not known.is_over
        assert known.expires > self.house.now_s
        assert not any(self.no_to(other, key) for other in self.model)
        if is_recorded:
            self.run(lambda: self.made(call, request.id, status))
            self.used.append(request.id)

    def no_to(self, request_id: str, key: Key) -> bool:
        """Whether this request was refused, has not ended, and is the same question."""
        request = self.house.approvals.get(request_id)
        known = self.model[request_id]
        return (
            request is not None
            and replace(request.key, session="") == replace(key, session="")
            and known.is_denied
            and known.expires > self.house.now_s
        )

    # -- time, and the end of the process ---------------------------------------------------

    @rule(seconds=st.sampled_from([1, 61, 1800, 9 * 3600, 30 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.house.clock.pass_s(seconds)

    @rule()
    def room_is_tidied(self) -> None:
        self.run(self.tidy)

    async def tidy(self) -> None:
        house, now = self.house, self.house.recorder.now()
        await house.approvals.pass_time(now // MICRO)
        house.sessions.forget(now // MICRO)
        house.revocations.forget(now // MICRO)
        house.limits.forget(now)

    @rule()
    def view_is_saved(self) -> None:
        self.run(self.house.keeper.save)

    @rule()
    def process_dies(self) -> None:
        self.run(self.crash)

    async def crash(self) -> None:
        await self.tidy()
        before, applied = rows(self.house), self.house.state.applied
        self.house = self.house.reopen()
        assert self.house.state.applied == applied
        await self.tidy()  # what was forgotten and not saved comes back, and is forgotten again
        assert rows(self.house) == before

    # -- what holds at any moment -----------------------------------------------------------

    @invariant()
    def nothing_is_used_twice(self) -> None:
        assert len(self.used) == len(set(self.used))
        claims = [body["approval"] for body in self.house.bodies("decision") if body["approval"]]
        assert claims == self.used

    @invariant()
    def labels_only_grow(self) -> None:
        now = {session.id: session.labels for session in self.house.sessions.all()}
        for name in now.keys() & self.labels.keys():
            assert now[name] >= self.labels[name]
        self.labels = now

    @invariant()
    def what_was_counted_is_what_was_not_given_back(self) -> None:
        assert self.house.limits.used(charge(1)) == self.charged

    @invariant()
    def the_requests_are_those_of_the_model(self) -> None:
        for request in self.house.approvals.all():
            known = self.model[request.id]
            if request.state == "approved":
                assert known.is_approved
            if known.is_denied and not known.is_over:
                assert request.state == "denied"


Walk.TestCase.settings = settings(max_examples=20, stateful_step_count=25)
TestWalk = Walk.TestCase


def charge(amount: int) -> Charge:
    # Its window is longer than any walk, so that the model need not know of time.
    return Charge("limit", "pays", "agent:clerk", amount, 366 * 86400 * MICRO, NOW_S * MICRO)


# -- every cut ------------------------------------------------------------------------------


async def test_a_state_restored_at_any_entry_and_folded_on_is_the_same(house: House) -> None:
    await everything(house)
    entries = list(house.log.entries())
    for cut in range(len(entries) + 1):
        stored = restored(fold_from(None, house, entries[:cut]))
        assert rows(fold_from(stored, house, entries[cut:])) == rows(house)


async def everything(house: House) -> None:
    """Something of every kind that the state is made of."""
    session = await house.openings.by_agent("clerk", None)
    other = await house.openings.clean("clerk", None, by="operator:omar")
    child = await house.openings.handed_on(handed_on(session))
    await house.openings.handed_on(handed_on(child))
    await house.openings.clean("clerk", "ana", by="x", purpose=Purpose("pay", ("a.*",)))
    await house.single_use.use("clerk", "one", until_s=house.now_s + 60, source="x")
    key = replace(KEY, session=session.id)
    approved = await house.answer(await house.ask(key), "omar")
    used = Call(house.recorder.new_id(), key, effect="ask", emits=("web",), charges=(charge(2),))
    house.approvals.claim(approved, used.id)
    receipt = await house.decide(used, approval=approved.id)
    for status in ("done", "refused"):
        call = Call(house.recorder.new_id(), key, labels=("pii",), charges=(charge(3),))
        await house.end(call, await house.decide(call), status)
    await house.decide(Call(house.recorder.new_id(), key, charges=(charge(4),)))
    await house.end(used, receipt, "unknown")
    await house.answer(await house.ask(replace(key, tool="ledger.refund")), "omar", "deny")
    open_one = await house.ask(replace(key, user="ana"), TWO_PEOPLE)
    await house.answer(open_one, "ines")
    await house.approvals.withdraw((await house.ask(KEY)).id, by="agent:clerk")
    await house.sessions.end(other.id, by="operator:omar")
    await remembered(house, session.id)
    for kind in ("agent", "user", "server", "tool"):
        await house.recorder.write(f"{kind}.suspended", {kind: "scout"})
    await house.recorder.write("agent.resumed", {"agent": "scout"})
    await house.recorder.write("gateway.stopped", {"by": "operator:omar"})
    await house.recorder.write("fleet.joined", {"fleet": "f1"})
    told: dict[str, Json] = {"number": 3, "policy": None, "activated": None}
    told["keys"] = ["user:scout", "everything"]
    await house.recorder.write("fleet.told", told)
    await house.recorder.write("fleet.heard", {"number": 4, "policy": None, "count": 0})
    await house.recorder.write("token.revoke", {"jti": "t9", "until": house.now_s + 900})
    changed: dict[str, Json] = {"snapshot": "ee" * 32, "before": "dd" * 32, "by": "operator:omar"}
    await house.recorder.write("policy.changed", changed)
    await house.recorder.write("start", {"version": "0"})


async def remembered(house: House, session: str) -> None:
    """Texts that are put, replaced, deleted and wiped."""
    sessions, spaces = (Vault.open(house.folder / name, bytes(32)) for name in ("own", "spaces"))
    texts = Texts(house.recorder, sessions=sessions, spaces=spaces)
    memory = Memory(house.state.memory, texts, house.recorder, house.sessions)
    receipt = await house.decide(Call(house.recorder.new_id(), replace(KEY, session=session)))
    writer = Writer({"agent": "clerk", "chain": [], "sub": None}, session, receipt)
    own = Reach(Place("session", "session", session), None, 9, 999)
    team = Reach(Place("team", "board", "team-a"), 3600, 9, 999)
    for key in ("a", "a", "b"):
        await memory.put(own, writer, key, "text")
        await memory.put(team, writer, key, "text")
    await memory.delete(own, writer, "b")
    gone = Place("session", "session", "s0")
    await memory.put(Reach(gone, None, 9, 999), writer, "a", "text")
    await house.recorder.write("memory.wiped", {"place": gone.to_json(), "items": 1, "keys": 1})


def handed_on(parent: Session) -> HandedOn:
    return HandedOn(parent, "scout", (parent.agent,), parent.ends, "t9", 8)


Rows = dict[str, dict[str, Json]]


def fold_from(stored: Rows | None, house: House, entries: list[Any]) -> House:
    empty = House(house.log, house.folder, house.clock, "today's")
    for room, kept in (stored or {}).items():
        for name, row in kept.items():
            assert isinstance(row, dict)
            empty.state.rooms[room].restore(name, row)
    empty.state.applied = entries[0].index if entries else empty.state.applied
    fold(empty, entries)
    empty.view.close()
    return empty


def restored(house: House) -> Rows:
    return rows(house)


# -- entries --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "approval", "joined", "authorised"),
    [
        ("allow", None, None, True),
        ("ask", "r1", None, True),
        ("ask", None, None, False),
        ("deny", None, None, False),
        ("deny", "r1", None, False),
        ("allow", None, "c0", False),
        ("ask", "r1", "c0", False),
        ("permit", None, None, False),
    ],
)
def test_an_entry_authorises_by_allow_or_by_a_claim(
    effect: str, approval: str | None, joined: str | None, authorised: bool
) -> None:
    body: dict[str, Json] = {
        "decision": {"effect": effect},
        "approval": approval,
        "joined": joined,
    }
    assert authorises(body) is authorised


async def test_entries_that_authorise_nothing_change_nothing(house: House) -> None:
    session = await house.openings.clean("clerk", None, by="operator:omar")
    before = rows(house)
    call = Call("", replace(KEY, session=session.id), emits=("web",), charges=(charge(3),))
    await house.decide(replace(call, id=house.recorder.new_id(), effect="deny"))
    await house.decide(replace(call, id=house.recorder.new_id(), effect="ask"))
    await house.decide(replace(call, id=house.recorder.new_id()), joined="c0")
    assert rows(house) == before


@pytest.mark.parametrize("kind", sorted(REVOKING))
async def test_what_takes_rights_away_raises_the_epoch(house: House, kind: str) -> None:
    before = house.epoch.value
    fields: dict[str, Json] = {
        **dict.fromkeys(("agent", "user", "server", "tool"), "clerk"),
        "snapshot": "ee" * 32,
        "before": None,
        "by": "start",
        "session": "none",
        "jti": "t1",
        "until": 1,
    }
    await house.recorder.write(kind, fields)
    assert house.epoch.value > before


async def test_a_suspension_outlives_the_process_until_it_is_taken_back(house: House) -> None:
    await house.recorder.write("agent.suspended", {"agent": "scout"})
    delegated = Call("", replace(KEY, chain=("scout",))).principal
    assert house.revocations.revoked(delegated)
    again = house.reopen()
    assert again.revocations.revoked(delegated)
    await again.recorder.write("agent.resumed", {"agent": "scout"})
    assert not again.revocations.revoked(delegated)
    again.close()


async def test_an_abandoned_call_that_becomes_durable_is_reported_to_be_closed(
    house: House,
) -> None:
    late: list[str] = []
    house.state.on_abandoned = lambda body, _index, _leaf: late.append(str(body["id"]))
    kept, given_up = (Call(house.recorder.new_id(), KEY) for _ in range(2))
    house.calls.abandon(given_up.id, house.recorder.now())
    await house.decide(kept)
    await house.decide(given_up)
    assert late == [given_up.id]


def test_entries_come_in_order_and_once(house: House) -> None:
    state: State = house.state
    with pytest.raises(AssertionError):
        state.apply(1, "", {"kind": "start"})
    state.apply(0, "", {"kind": "start"})
    with pytest.raises(AssertionError):
        state.apply(0, "", {"kind": "start"})
