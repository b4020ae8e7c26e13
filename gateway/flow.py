"""Flow: where the values of calls come from, and what the results of calls carry.

The room between sessions, their memories and the gate: it gives the facts of a call their
provenance before it is decided, and looks at what came back before it is given out. A policy that
asks for no provenance pays for none, and nothing is remembered for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from audit.canonical import Json
from audit.value import value_type
from gateway.session.memories import Memories
from gateway.session.provenance import Memory, Source, Traced
from gateway.session.result_values import read_result, read_text
from gateway.session.scale import Weighing
from gateway.session.session import Session, Sessions
from gateway.session.uses import Uses
from policies.decision import Facts
from policies.snapshot import Snapshot, ToolRule

_ASKED_FOR = frozenset({"provenance", "origin"})


@value_type
class Weighed:
    """Facts with the provenance of their values.

    write  by what this call is known when it is repeated, if it uses up what the user said
    """

    facts: Facts
    write: str | None


class Flow:
    """What is known of values, for the calls of all sessions."""

    def __init__(self, sessions: Sessions, memories: Memories, uses: Uses) -> None:
        self._sessions = sessions
        self._memories = memories
        self._uses = uses
        sessions.on_begun = self._begun

    def weighed(self, snapshot: Snapshot, facts: Facts, match: Callable[[], str]) -> Weighed:
        """The facts with what conditions for this call may ask about its values.

        match  the digest by which equal arguments are recognised, if it is needed
        """
        engine = snapshot.engine
        links = (facts.agent, *facts.chain)
        if all(engine.reads(link, facts.tool).isdisjoint(_ASKED_FOR) for link in links):
            return Weighed(facts, None)
        rule = snapshot.tools[facts.tool]
        write = None if rule.risk == "read" else f"{facts.tool} {match()}"
        found = self._memory(facts.tree).weigh(self._weighing(facts, rule, write))
        origin = {"target": found.target, "carried": found.carried}
        facts = replace(facts, provenance=found.provenance, origin=origin)
        return Weighed(facts, write if found.rests else None)

    def traced(self, snapshot: Snapshot, facts: Facts, match: str) -> tuple[Traced, ...]:
        """Each value of a call with where it was read, for the people who are asked."""
        if not snapshot.engine.weighs:
            return ()
        rule = snapshot.tools[facts.tool]
        call = self._weighing(facts, rule, f"{facts.tool} {match}")
        return tuple(self._memory(facts.tree).trace(call))

    def hold(self, call_id: str, facts: Facts, write: str | None) -> None:
        """A write that uses up what the user said is on its way into the log."""
        if write is not None:
            self._uses.hold(call_id, facts.tree, write)

    def examine(
        self,
        snapshot: Snapshot,
        facts: Facts,
        said: Mapping[str, Json] | str,
        carried: frozenset[str],
        entry: int,
    ) -> frozenset[str]:
        """Look at what a tool said before anybody is told; the labels that it puts on the session.

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
            call = self._weighing(facts, rule, None)
            memory.remember(reading, call, Source(facts.tool, entry))
            if declared.result != "trusted":
                self._taint(memory, facts)
        return carried | reading.labels

    def forget(self) -> None:
        """Drop what belongs to sessions that nobody remembers."""
        roots = {session.root for session in self._sessions.all()}
        self._memories.forget(roots)
        self._uses.forget(roots)

    def _weighing(self, facts: Facts, rule: ToolRule, write: str | None) -> Weighing:
        spent = 0 if write is None or rule.risk == "read" else self._uses.count(facts.tree, write)
        return Weighing(facts.tool.partition(".")[2], facts.args, rule.target, spent)

    def _memory(self, root: str) -> Memory:
        memory = self._memories.of(root)
        memory.hear(self._sessions.said(root))
        return memory

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
