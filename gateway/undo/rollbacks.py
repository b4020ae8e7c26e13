"""The rollbacks: a fold of the log, so that a restart takes each up where it was.

A call is taken back once, whichever rollback does it: sessions lie in each other, and one can be
rolled back after the other.
"""

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import cast

from audit.canonical import Json
from gateway.runs.run import place_of
from gateway.runs.steps import Steps, Taken
from gateway.store.row import from_row, to_row
from gateway.undo.rollback import Rollback


class Rollbacks:
    """Rollbacks by id, and what their calls did."""

    def __init__(self) -> None:
        self._by_id: dict[str, Rollback] = {}
        self._latest: dict[str, str] = {}  # of a session, by the session that it was ordered for
        self._steps = Steps()
        self.changed: set[str] = set()

    def get(self, rollback_id: str) -> Rollback | None:
        """The rollback of that id."""
        return self._by_id.get(rollback_id)

    def all(self) -> tuple[Rollback, ...]:
        """Every known rollback, oldest first."""
        return tuple(sorted(self._by_id.values(), key=lambda each: each.id))

    def of(self, session: str) -> Rollback | None:
        """The latest one that was ordered for this session."""
        return self._by_id.get(self._latest.get(session, ""))

    def steps(self, rollback_id: str) -> Mapping[str, Taken]:
        """What its calls did, by what they take back."""
        return self._steps.of(rollback_id)

    def is_over(self, call: str) -> bool:
        """Whether nothing more is to be done about a call: it is taken back, or to be left."""
        for each in self._by_id.values():
            taken = self._steps.of(each.id).get(call)
            if call in each.left or (taken is not None and taken.status == "done"):
                return True
        return False

    def forget(self, sessions: Container[str]) -> None:
        """Drop those of sessions that can be rolled back no more, since nobody knows them."""
        for each in list(self._by_id.values()):
            if each.state == "ended" and not any(one in sessions for one in each.sessions):
                del self._by_id[each.id]
                if self._latest[each.session] == each.id:
                    del self._latest[each.session]
                self._steps.drop(each.id)
                self.changed.add(each.id)

    # -- the fold ---------------------------------------------------------------------------

    def started(self, body: Mapping[str, Json]) -> None:
        """Entry `rollback.started`."""
        self._put(Rollback.from_entry(body))

    def stopped(self, body: Mapping[str, Json]) -> None:
        """Entry `rollback.stopped`: it waits for a person."""
        found = self._by_id.get(str(body["rollback"]))
        if found is not None:
            at, why = cast("str", body["call"]), cast("str", body["why"])
            self._put(replace(found, state="stopped", at=at, why=why))

    def resumed(self, body: Mapping[str, Json]) -> None:
        """Entry `rollback.resumed`: a person lets it go on, and may leave the call as it is."""
        found = self._by_id.get(str(body["rollback"]))
        if found is not None:
            left = {str(body["left"])} if body["left"] is not None else set()
            self._put(replace(found, state="running", at=None, why="", left=found.left | left))

    def ended(self, body: Mapping[str, Json]) -> None:
        """Entry `rollback.ended`."""
        found = self._by_id.get(str(body["rollback"]))
        if found is not None:
            ts = cast("int", body["ts"]) // 1_000_000
            self._put(replace(found, state="ended", at=None, why="", ended=ts))

    def decided(self, body: Mapping[str, Json], index: int, *, authorised: bool) -> None:
        """The decision entry of a call that a rollback makes."""
        owner, _ = place_of(cast("str", cast("Mapping[str, Json]", body["req"])["id"]))
        if owner in self._by_id:
            self._steps.decided(body, index, authorised=authorised)
            self.changed.add(owner)

    def settled(self, call_id: str, body: Mapping[str, Json], index: int) -> None:
        """The outcome entry of a call, if it is one of a rollback."""
        owner = self._steps.settled(call_id, body, index)
        if owner is not None:
            self.changed.add(owner)

    def _put(self, rollback: Rollback) -> None:
        self._keep(rollback)
        self.changed.add(rollback.id)

    def _keep(self, rollback: Rollback) -> None:
        self._by_id[rollback.id] = rollback
        # Ids begin with the time at which they were made.
        before = self._latest.get(rollback.session, "")
        self._latest[rollback.session] = max(before, rollback.id)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one rollback; None when it is forgotten."""
        found = self._by_id.get(key)
        if found is None:
            return None
        return {"rollback": to_row(found), "steps": self._steps.stored(key)}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        found = from_row(Rollback, cast("Mapping[str, Json]", row["rollback"]))
        assert found.id == key
        self._keep(found)
        self._steps.restore(key, row["steps"])
