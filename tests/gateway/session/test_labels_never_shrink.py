"""Labels never shrink, whatever is called, handed on, restarted or opened anew."""

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.session.opening import HandedOn
from gateway.session.session import Session
from tests.gateway.rooms import KEY, Call, House

AGENTS = ("ada", "bo")
LABELS = ("web", "pii", "untrusted")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from(AGENTS), st.booleans()),
        st.tuples(st.just("hand on"), st.integers(0, 9), st.sampled_from(AGENTS)),
        st.tuples(st.just("touch"), st.integers(0, 9), st.sampled_from(LABELS)),
        st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(LABELS)),
        st.tuples(st.just("restart"), st.booleans(), st.none()),
        st.tuples(st.just("wait"), st.integers(0, 9), st.none()),
        st.tuples(st.just("end"), st.integers(0, 9), st.none()),
    ),
    max_size=14,
)


@dataclass
class Walk:
    """One house, and the least that must stand on each session."""

    house: House
    sessions: list[str] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    most: dict[str, frozenset[str]] = field(default_factory=dict)

    def session(self, number: int) -> Session | None:
        if not self.sessions:
            return None
        return self.house.sessions.get(self.sessions[number % len(self.sessions)])

    def known(self, session: Session) -> None:
        self.sessions.append(session.id)

    async def step(self, what: str, one: object, other: object) -> None:
        house = self.house
        if what == "open":
            opening = (
                house.openings.by_agent(str(one), "ana")
                if other
                else house.openings.clean(str(one), "ana", by="operator:adam")
            )
            self.known(await opening)
        elif what == "restart":
            if one:
                await house.keeper.save()
            self.house = house.reopen()
        elif what == "wait":
            house.clock.pass_s(60 * int(str(one)))
        else:
            await self._in_session(what, self.session(int(str(one))), other)

    async def _in_session(self, what: str, session: Session | None, other: object) -> None:
        if session is None or session.ended:
            return
        house = self.house
        if what == "end":
            await house.sessions.end(session.id, by="operator:adam")
        elif what == "hand on":
            to = HandedOn(session, str(other), (session.agent,), session.ends, "t1", 99)
            child = await house.openings.handed_on(to)
            self.known(child)
            self.parents[child.id] = session.id
        else:
            key = replace(KEY, agent=session.agent, user=session.user, session=session.id)
            emits = (str(other),) if what == "touch" else ()
            labels = (str(other),) if what == "answer" else ()
            call = Call(house.recorder.new_id(), key, emits=emits, labels=labels)
            await house.end(call, await house.decide(call))

    def check(self) -> None:
        """Nothing went, and along a delegation nothing is missing."""
        now: Mapping[str, frozenset[str]] = {
            name: found.labels
            for name in self.sessions
            if (found := self.house.sessions.get(name)) is not None
        }
        for name, labels in now.items():
            assert self.most.get(name, frozenset()) <= labels
            parent = self.parents.get(name, "")
            if parent in now:
                assert labels == now[parent], "one tree, one set of labels"
        self.most = {**self.most, **now}


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_labels_only_grow_under_any_sequence(steps: list[tuple[str, object, object]]) -> None:
    async def walk(folder: Path) -> None:
        walked = Walk(House.open(folder))
        try:
            for step in steps:
                await walked.step(*step)
                walked.check()
        finally:
            walked.house.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(walk(Path(folder)))
