"""Alarms: what the guards have noticed, as the log tells it.

A room of the state, filled by entries `alarm.raised` alone: which alarms were raised lately, which
agents are held up and until when, and which agent has used which tool before.
"""

from collections.abc import Mapping
from typing import Literal, cast

from audit.canonical import Json
from gateway.approval.request import Request

Kind = Literal["denials", "repeats", "first-use", "circuit", "questions", "break-glass"]

KEPT_US = 24 * 3600 * 1_000_000
"""How long an alarm is shown; then the log alone has it."""

MOST_SHOWN = 50
_ALARM, _USED = "alarm:", "used:"


def broken_glass(request: Request, until_s: int) -> dict[str, Json]:
    """The members of `alarm.raised` for a request that somebody approves alone."""
    return {
        "alarm": "break-glass",
        "agent": request.key.agent,
        "tool": request.key.tool,
        "server": None,
        "count": 1,
        "then": "alarm",
        "until": until_s * 1_000_000,
    }


class Alarms:
    """What was noticed; times in microseconds.

    counts  alarms since the start, by kind, for metrics
    """

    def __init__(self) -> None:
        self._raised: dict[str, Mapping[str, Json]] = {}  # by id of the entry, oldest first
        self._held: dict[str, int] = {}  # agents, and until when
        self._used: set[str] = set()
        self.counts: dict[str, int] = {}
        self.changed: set[str] = set()

    def holds(self, agent: str, now: int) -> bool:
        """Whether calls of this agent are refused for now."""
        until = self._held.get(agent)
        return until is not None and now < until

    def knows(self, agent: str, tool: str) -> bool:
        """Whether this agent has used the tool since first uses are noticed."""
        return f"{agent} {tool}" in self._used

    def recent(self) -> list[Mapping[str, Json]]:
        """The newest alarms of the last day, newest first."""
        return list(reversed(self._raised.values()))[:MOST_SHOWN]

    def forget(self, now: int) -> None:
        """Drop what is past."""
        for entry_id, row in list(self._raised.items()):
            if cast("int", row["at"]) + KEPT_US < now:
                del self._raised[entry_id]
                self.changed.add(_ALARM + entry_id)
        for agent, until in list(self._held.items()):
            if until <= now:
                del self._held[agent]

    # -- the fold ---------------------------------------------------------------------------

    def raised(self, body: Mapping[str, Json]) -> None:
        """Entry `alarm.raised`."""
        entry_id, kind = cast("str", body["id"]), cast("str", body["alarm"])
        names = ("alarm", "agent", "tool", "server", "count", "then", "until")
        row = {"at": body["ts"], **{name: body[name] for name in names}}
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self._put(entry_id, row)
        self.changed.add(_ALARM + entry_id)
        if kind == "first-use":
            used = f"{body['agent']} {body['tool']}"
            self._used.add(used)
            self.changed.add(_USED + used)

    def _put(self, entry_id: str, row: Mapping[str, Json]) -> None:
        self._raised[entry_id] = row
        if row["alarm"] == "denials" and row["then"] == "throttle":
            self._held[cast("str", row["agent"])] = cast("int", row["until"])

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one alarm, or of one first use."""
        if key.startswith(_USED):
            return {}
        row = self._raised.get(key.removeprefix(_ALARM))
        return None if row is None else dict(row)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        if key.startswith(_USED):
            self._used.add(key.removeprefix(_USED))
        else:
            self._put(key.removeprefix(_ALARM), row)
