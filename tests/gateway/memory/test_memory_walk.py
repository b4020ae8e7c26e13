"""Memory walked at random beside a small model: two sessions and a team, time, crashes, ends."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from audit.sealed import Vault
from gateway.errors import MemoryRefused
from gateway.memory.memory import Memory, Writer
from gateway.memory.place import Place, Reach
from gateway.memory.retention import Retention
from gateway.memory.texts import Texts
from gateway.session.opening import LIFETIME_S
from tests.gateway.rooms import KEY, Call, House

T = TypeVar("T")

NAMES = ["a", "b", "../a", "*", "A"]
TEXTS = ["", "note", "Notes of the day", "x" * 90, "ﬁle"]
LABELS = ["web", "pii"]
WHO = st.integers(0, 1)
WHERE = st.booleans()  # the session's own, or the team's


@dataclass
class Kept:
    """What the model knows of one text."""

    text: str
    labels: frozenset[str]
    until: int

    def size(self, name: str) -> int:
        return len(name.encode()) + len(self.text.encode())


class Walk(RuleBasedStateMachine):
    """Two agents put, get, search and delete; the process dies at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[Place, dict[str, Kept]] = {}
        self.sessions: list[str] = []
        self.ends: list[int] = []
        self.labels: list[frozenset[str]] = []
        self.run(self.begin)

    async def begin(self) -> None:
        self.take(House.open(Path(self.folder.name)))
        for number in range(2):
            await self.open(number, new=True)

    def take(self, house: House) -> None:
        self.house = house
        sessions, spaces = (Vault.open(folder, bytes(32)) for folder in self.key_folders())
        texts = Texts(house.recorder, sessions=sessions, spaces=spaces)
        self.memory = Memory(house.state.memory, texts, house.recorder, house.sessions)
        self.retention = Retention(
            house.state.memory, texts, house.recorder, house.sessions, self.memory.turns
        )
        house.sessions.when_ended = self.retention.sweep

    async def open(self, number: int, *, new: bool = False) -> None:
        session = await self.house.openings.clean(f"agent-{number}", None, by="operator:omar")
        if new:
            self.sessions.append("")
            self.ends.append(0)
            self.labels.append(frozenset())
        self.sessions[number] = session.id
        self.ends[number] = session.ends
        self.labels[number] = frozenset()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self.runner.run(work())

    def teardown(self) -> None:
        self.house.close()
        self.runner.close()
        self.folder.cleanup()

    def reach(self, who: int, *, own: bool) -> Reach:
        if own:
            return Reach(Place("session", "session", self.sessions[who]), None, 3, 150)
        return Reach(Place("team", "board", "team-a"), 3600, 4, 10_000)

    def living(self, place: Place) -> dict[str, Kept]:
        known = self.model.get(place, {})
        now_s = self.house.now_s
        return {name: kept for name, kept in known.items() if now_s < kept.until}

    def is_over(self, who: int) -> bool:
        return self.ends[who] <= self.house.now_s

    async def writer(self, who: int, *, emits: tuple[str, ...] = ()) -> Writer:
        key = replace(KEY, agent=f"agent-{who}", session=self.sessions[who], tool="memory.put")
        call = Call(self.house.recorder.new_id(), key, emits=emits)
        receipt = await self.house.decide(call)
        await self.house.end(call, receipt)
        return Writer({"agent": f"agent-{who}", "chain": [], "sub": None}, key.session, receipt)

    # -- what agents do ---------------------------------------------------------------------

    @rule(who=WHO, label=st.sampled_from(LABELS))
    def something_is_touched(self, who: int, label: str) -> None:
        self.run(lambda: self.writer(who, emits=(label,)))
        self.labels[who] |= {label}

    @rule(
        who=WHO,
        own=WHERE,
        name=st.sampled_from(NAMES),
        text=st.sampled_from(TEXTS),
        keep_s=st.sampled_from([None, 60, 7200]),
    )
    def text_is_put(self, who: int, own: bool, name: str, text: str, keep_s: int | None) -> None:
        to = self.reach(who, own=own)
        others = {n: kept for n, kept in self.living(to.place).items() if n != name}
        lives = [each for each in (to.keep_s, keep_s) if each is not None]
        until = self.house.now_s + min(lives) if lives else self.ends[who]
        kept = Kept(text, self.labels[who], until)
        size = sum(each.size(n) for n, each in others.items()) + kept.size(name)
        fits = len(others) < to.entries and size <= to.bytes and not self.is_over(who)

        async def put() -> None:
            await self.memory.put(to, await self.writer(who), name, text, keep_s)

        if fits:
            self.run(put)
            self.model.setdefault(to.place, {})[name] = kept
        else:
            with pytest.raises(MemoryRefused):
                self.run(put)

    @rule(who=WHO, own=WHERE, name=st.sampled_from([*NAMES, "nothing"]))
    def text_is_read(self, who: int, own: bool, name: str) -> None:
        at = self.reach(who, own=own)
        known = self.living(at.place).get(name)
        found = self.run(lambda: self.memory.get(at, name))
        assert (found is None) == (known is None)
        if found is not None and known is not None:
            assert found.text == known.text
            assert found.item.labels == known.labels

    @rule(who=WHO, own=WHERE, words=st.sampled_from(["note", "FILE", "a", "zz"]))
    def words_are_looked_for(self, who: int, own: bool, words: str) -> None:
        at = self.reach(who, own=own)
        folded = {"ﬁle": "file"}
        known = {
            name
            for name, kept in self.living(at.place).items()
            if words.lower() in f"{name}\n{folded.get(kept.text, kept.text)}".lower()
        }
        found = self.run(lambda: self.memory.search(at, words))
        assert {each.key for each in found} == known
        assert len(found) == len(known)

    @rule(who=WHO, own=WHERE, name=st.sampled_from([*NAMES, "nothing"]))
    def text_is_deleted(self, who: int, own: bool, name: str) -> None:
        at = self.reach(who, own=own)
        was_there = name in self.living(at.place)

        async def delete() -> bool:
            return await self.memory.delete(at, await self.writer(who), name)

        assert self.run(delete) == was_there
        self.model.get(at.place, {}).pop(name, None)

    # -- what happens to them ---------------------------------------------------------------

    @rule(seconds=st.sampled_from([59, 61, 3600, LIFETIME_S]))
    def time_passes(self, seconds: int) -> None:
        self.house.clock.pass_s(seconds)
        if seconds >= 3600:
            self.what_is_over_is_swept()

    @rule(who=WHO)
    def session_is_ended(self, who: int) -> None:
        ended = self.sessions[who]
        self.run(lambda: self.house.sessions.end(ended, by="operator:omar"))
        self.model.pop(Place("session", "session", ended), None)
        assert Place("session", "session", ended) not in self.house.state.memory.places()
        assert self.key_files() == self.needed()
        self.run(lambda: self.open(who))

    def what_is_over_is_swept(self) -> None:
        self.run(self.retention.sweep)
        assert self.key_files() == self.needed()

    @rule(is_saved=st.booleans())
    def process_dies(self, is_saved: bool) -> None:
        if is_saved:
            self.run(self.house.keeper.save)

        async def again() -> None:
            self.take(self.house.reopen())
            await self.retention.begin()

        self.run(again)
        assert self.key_files() == self.needed()

    # -- what always holds ------------------------------------------------------------------

    @invariant()
    def no_more_is_held_than_fits(self) -> None:
        for place in self.house.state.memory.places():
            living = [i for i in self.house.state.memory.of(place) if i.lives(self.house.now_s)]
            assert len(living) <= 4

    @invariant()
    def nothing_is_there_that_the_model_does_not_know(self) -> None:
        for place in self.house.state.memory.places():
            if place.of == "session" and place.owner not in self.sessions:
                pytest.fail("the memory of a session that has ended")

    def key_folders(self) -> list[Path]:
        return [Path(self.folder.name) / name for name in ("sessions", "spaces")]

    def key_files(self) -> int:
        return sum(len(list(folder.iterdir())) for folder in self.key_folders())

    def needed(self) -> int:
        """One key for each place and month of whatever lives there."""
        memory = self.house.state.memory
        return len({(i.place, _month(i.written)) for i in memory})


def _month(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y%m}"


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.generate],  # a walk that fails is short enough, and shrinking it takes minutes
)
