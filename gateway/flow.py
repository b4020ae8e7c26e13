"""Flow: where the values of calls come from, and what the results of calls carry.

The room between sessions, their memories and the gate: it gives the facts of a call their
provenance before it is decided, and looks at what came back before it is given out. A policy that
asks for no provenance pays for none, and nothing is remembered for it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from audit.canonical import Json
from gateway.session.session import Session
from gateway.session.sessions import Sessions
from gateway.values.freed import MOST, Freed, freed
from gateway.values.memories import Memories
from gateway.values.objects import Objects, marks, named
from gateway.values.provenance import Memory, Source, Traced
from gateway.values.releases import (
    NOTHING_LIFTED,
    Lifted,
    Released,
    Releases,
    digest_of_form,
    digests_of,
    lifted,
)
from gateway.values.result_values import Scalar, read_result, read_text
from gateway.values.scale import Weighed, Weighing
from gateway.values.secret_finder import SecretFinder
from gateway.values.uses import Uses
from policies.decision import Facts
from policies.snapshot import Snapshot, ToolRule

_NO_LABELS: frozenset[str] = frozenset()


class Flow:
    """What is known of values, for the calls of all sessions."""

    def __init__(
        self,
        sessions: Sessions,
        memories: Memories,
        uses: Uses,
        objects: Objects,
        releases: Releases,
        finder: SecretFinder,
        digest_key: bytes,
    ) -> None:
        self._sessions = sessions
        self._memories = memories
        self._uses = uses
        self._objects = objects
        self._releases = releases
        self._finder = finder
        self._key = digest_key
        sessions.on_begun = self._begun

    def weigh(
        self,
        snapshot: Snapshot,
        links: Sequence[str],
        tree: str,
        tool: str,
        args: Mapping[str, Json],
        match: Callable[[], str],
    ) -> Weighed | None:
        """Where the values of a call come from; None when no condition for this call asks.

        links  all agents of the chain
        tree   the session with which it began
        match  the digest by which equal arguments are recognised
        """
        if not snapshot.engine.weighs_for(links, tool):
            return None
        by: set[str] = set()
        weighed = self._memory(tree, by).weigh(self._weighing(snapshot, tree, tool, args, match))
        return replace(weighed, vouched=frozenset(by)) if by else weighed

    def secrets(
        self, snapshot: Snapshot, links: Sequence[str], tool: str, args: Mapping[str, Json]
    ) -> frozenset[str]:
        """Kinds of secrets in the arguments; none when no condition for this call asks."""
        if any("secrets" in snapshot.engine.reads(link, tool) for link in links):
            return self._finder.kinds(args)
        return _NO_LABELS

    def lifted(self, snapshot: Snapshot, facts: Facts, match: Callable[[], str]) -> Lifted:
        """Labels that a call is decided without: all that is in it was released."""
        released = self._releases.of(facts.tree)
        if not released or not facts.labels:
            return NOTHING_LIFTED
        call = self._weighing(snapshot, facts.tree, facts.tool, facts.args, match)
        return lifted(facts.labels, self._memory(facts.tree).owned(call), released, self._key)

    def freed(
        self,
        snapshot: Snapshot,
        facts: Facts,
        result: Mapping[str, Json],
        carried: frozenset[str],
    ) -> tuple[Freed, ...]:
        """Values of a result that rules release, and that were not released before.

        carried  labels that the answer itself carries, or that what was named carries
        """
        known = self._releases.of(facts.tree)
        if len(known) >= MOST:
            return ()
        rules, facts = snapshot.releases[facts.tool], snapshot.stated(facts)
        found = tuple(freed(rules, facts, result, carried))
        return tuple(each for each in found if not self._is_known(each, known))

    def _is_known(self, each: Freed, known: Released) -> bool:
        return all(each.labels <= known.get(m, {}).keys() for m in self.match(each.value))

    def match(self, value: Scalar) -> tuple[str, ...]:
        """The digests by which a value that is released is recognised."""
        return digests_of(value, self._key)

    def traced(self, snapshot: Snapshot, facts: Facts, match: str) -> tuple[Traced, ...]:
        """Each value of a call with where it was read, for the people who are asked."""
        if not snapshot.engine.weighs:
            return ()
        call = self._weighing(snapshot, facts.tree, facts.tool, facts.args, lambda: match)
        return tuple(self._memory(facts.tree).trace(call))

    def hold(self, call_id: str, tree: str, write: str) -> None:
        """A write that uses up what the user said is on its way into the log."""
        self._uses.hold(call_id, tree, write)

    def fall(self, server: str, args: Mapping[str, Json]) -> frozenset[str]:
        """Labels of what a call names: files that labelled sessions wrote to."""
        if not self._objects:
            return _NO_LABELS
        return self._objects.labels(named(server, args, self._key))

    def marks(self, server: str, args: Mapping[str, Json], rule: ToolRule) -> tuple[str, ...]:
        """What a labelled session marks by this call: digests of what it writes to."""
        if rule.risk == "read" or not rule.target:
            return ()
        return marks(server, args, rule.target, self._key)

    async def examine(
        self,
        snapshot: Snapshot,
        facts: Facts,
        said: Mapping[str, Json] | str,
        carried: frozenset[str],
        entry: int,
    ) -> frozenset[str]:
        """Look at what a tool said before anybody is told; the labels that it puts on the session.

        It suspends only while there is much to remember; the answer waits for the end of it.

        facts    of the call, as it was decided
        said     the result, or the message of an error
        carried  labels that the answer itself carries, or that what was named carries
        entry    index of the entry that authorised the call
        """
        rule = snapshot.tools[facts.tool]
        if not snapshot.engine.weighs:
            self._memories.lose(facts.tree)
            if not rule.parts:
                return carried
        suspect = not carried.isdisjoint(snapshot.tainting)
        declared = replace(rule, result="untrusted", trust={}) if suspect else rule
        reading = (
            read_text(said, declared) if isinstance(said, str) else read_result(said, declared)
        )
        if snapshot.engine.weighs:
            memory = self._memory(facts.tree)
            if not facts.labels.isdisjoint(snapshot.tainting):
                self._taint(memory, facts)
            call = Weighing(_own_name(facts.tool), facts.args, rule.target)
            for _ in memory.remember(reading, call, Source(facts.tool, entry)):
                await asyncio.sleep(0)  # much was read: others have their turn
            if declared.result != "trusted":
                self._taint(memory, facts)
        return carried | reading.labels

    def forget(self) -> None:
        """Drop what belongs to sessions that nobody remembers."""
        self._memories.forget(self._sessions)
        self._uses.forget(self._sessions)
        self._releases.forget(self._sessions)

    def _weighing(
        self,
        snapshot: Snapshot,
        tree: str,
        tool: str,
        args: Mapping[str, Json],
        match: Callable[[], str],
    ) -> Weighing:
        rule = snapshot.tools[tool]
        spends = rule.risk != "read" and self._uses.any(tree)
        spent = self._uses.count(tree, f"{tool} {match()}") if spends else 0
        return Weighing(_own_name(tool), args, rule.target, spent)

    def _memory(self, root: str, by: set[str] | None = None) -> Memory:
        """What a tree knows; `by` is told who has released what is asked about."""
        memory = self._memories.of(root)
        memory.hear(self._sessions.said(root))
        released = self._releases.of(root)
        memory.vouch(self._vouched(released, set() if by is None else by) if released else None)
        return memory

    def _vouched(self, released: Released, by: set[str]) -> Callable[[str], bool]:
        def vouched(form: str) -> bool:
            who = released.get(digest_of_form(form, self._key), {}).get("untrusted")
            if who is not None:
                by.add(who)
            return who is not None

        return vouched

    def _taint(self, memory: Memory, facts: Facts) -> None:
        """What one has read is known to all that stand near it."""
        if not memory.tainted:
            memory.tainted = True
            for root in self._sessions.trees_near(facts.session):
                self._memories.of(root).tainted = True

    def _begun(self, session: Session) -> None:
        """A session was opened: what its agent knows from elsewhere it brings along."""
        brings = session.own and any(
            map(self._memories.is_tainted, self._sessions.trees_before(session))
        )
        if session.parent is None:
            self._memories.begin(session.root, tainted=brings)
        elif brings:
            self._memories.of(session.root).tainted = True


def _own_name(tool: str) -> str:
    return tool.partition(".")[2]
