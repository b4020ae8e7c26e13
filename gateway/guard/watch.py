"""The watch: counts what agents do against the guards, raises alarms, and holds agents up.

It counts in memory, for one window at a time; what it finds becomes an entry, and only that has
consequences that last. An alarm is raised once in a window, however long the burst is.
"""

import asyncio
from collections.abc import Mapping

import structlog

from audit.canonical import Json
from audit.entry import Record
from audit.errors import AuditError
from gateway.approval.request import Key
from gateway.guard.alarms import Alarms, Kind
from gateway.guard.circuits import Circuits
from gateway.guard.rules import Burst, Guards
from gateway.identity.throttle import Throttle
from gateway.principal import Principal
from gateway.recorder import Recorder

BY: Mapping[Kind, str] = {"denials": "guard:denials", "repeats": "guard:repeats"}
"""Who suspends an agent, as entries name it."""

_WHY: Mapping[Kind, str] = {
    "denials": "it was denied more often than its deployment says an agent is",
    "repeats": "it repeated one call more often than its deployment says an agent does",
}
_US = 1_000_000

CROWDED_S = 600
"""How long it is no news that an agent has too many questions."""

log = structlog.get_logger(__name__)


class Watch:
    """The guards of one gateway at work.

    circuits  which servers are left alone for which agents
    """

    def __init__(self, rules: Guards, alarms: Alarms, recorder: Recorder) -> None:
        self.rules = rules
        self._alarms = alarms
        self._recorder = recorder
        self._denials = None if rules.denials is None else _Counted(rules.denials)
        self._repeats = None if rules.repeats is None else _Counted(rules.repeats)
        self._suspending: dict[str, asyncio.Task[None]] = {}
        self._first: set[tuple[str, str]] = set()  # first uses of which the entry is under way
        self._crowding: dict[str, int] = {}  # agents, and until when that is no news
        self.circuits = Circuits(rules.circuit, self._opened)

    def holds(self, principal: Principal, now: int) -> bool:
        """Whether calls of this agent are refused for now; `now` in microseconds."""
        return self._alarms.holds(principal.agent, now)

    def denied(self, principal: Principal, now: int) -> None:
        """An authenticated caller was denied or refused something."""
        if self._denials is not None and self._denials.exceeds(principal.agent, now):
            self._burst("denials", self._denials, principal.agent, None, now)

    def repeats(self, key: Key, now: int) -> bool:
        """Count a call that may change something; True: it is one repetition too many."""
        if self._repeats is None:
            return False
        same = f"{key.agent} {key.user} {key.tool} {key.arguments}"
        if self._repeats.exceeds(same, now):
            self._burst("repeats", self._repeats, key.agent, key.tool, now)
        return self._repeats.rule.then != "alarm" and self._repeats.is_over(same)

    def uses(self, agent: str, tool: str, now: int) -> None:
        """A call of this tool is about to be made."""
        if self.rules.first_use == "off" or self._alarms.knows(agent, tool):
            return
        if (agent, tool) not in self._first:
            self._first.add((agent, tool))
            self._raise("first-use", agent=agent, tool=tool, count=1, until=now)

    def crowds(self, agent: str, now: int) -> None:
        """People have as many questions of this agent as they are put at a time."""
        if now < self._crowding.get(agent, 0):
            return
        if len(self._crowding) >= _MOST_OVER:
            self._crowding.clear()
        self._crowding[agent] = until = now + CROWDED_S * _US
        self._raise("questions", agent=agent, count=self.rules.questions, until=until)

    def _burst(
        self, kind: Kind, counted: "_Counted", agent: str, tool: str | None, now: int
    ) -> None:
        rule = counted.rule
        until = now + rule.window * _US
        self._raise(kind, agent=agent, tool=tool, count=rule.most + 1, until=until, then=rule.then)
        if rule.then == "suspend" and agent not in self._suspending:
            task = asyncio.create_task(self._suspend(kind, agent))
            self._suspending[agent] = task
            task.add_done_callback(lambda _: self._suspending.pop(agent, None))

    def _opened(self, server: str, agent: str, failures: int, until: int) -> None:
        self._raise("circuit", agent=agent, server=server, count=failures, until=until)

    def _raise(self, kind: Kind, *, count: int, until: int, **said: Json) -> None:
        fields: dict[str, Json] = {
            "alarm": kind,
            "agent": said["agent"],
            "tool": said.get("tool"),
            "server": said.get("server"),
            "count": count,
            "then": said.get("then", "alarm"),
            "until": until,
        }
        log.warning("alarm.raised", alarm=kind, agent=said["agent"], count=count)
        record = Record(self._recorder.new_id(), "alarm.raised", fields)
        try:
            self._recorder.leave(record, "alarm.lost")
        except AuditError as error:
            log.error("alarm.lost", reason=error.code)

    async def _suspend(self, kind: Kind, agent: str) -> None:
        fields: dict[str, Json] = {"agent": agent, "by": BY[kind], "source": None}
        try:
            await self._recorder.write_sealed(
                "agent.suspended", fields, subject=agent, name="reason", words=_WHY[kind].encode()
            )
        except AuditError as error:  # nothing passes a log that cannot be written anyway
            log.error("alarm.not_suspended", agent=agent, reason=error.code)


class _Counted:
    """How often something was done by each key in its present window."""

    def __init__(self, rule: Burst) -> None:
        self.rule = rule
        self._throttle = Throttle(attempts=rule.most, window_s=rule.window)
        self._over: dict[str, int] = {}  # key -> second until which it is known to be too much

    def exceeds(self, key: str, now: int) -> bool:
        """Count one; True for the first that is too many in a window."""
        now_s = now // _US
        wait_s = self._throttle.charge(key, now_s)
        if not wait_s:
            self._over.pop(key, None)
            return False
        is_first = key not in self._over
        if len(self._over) >= _MOST_OVER:
            self._over.clear()
        self._over[key] = now_s + wait_s
        return is_first

    def is_over(self, key: str) -> bool:
        """Whether the last one counted was too many."""
        return key in self._over


_MOST_OVER = 4096
