"""Requests as the log tells of them: a room of the state, changed by entries and nothing else."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from audit.canonical import Json
from gateway.approval.quorum import answered, retracted
from gateway.approval.rates import Rates
from gateway.approval.request import NEXT, Key, Request, State, Vote
from gateway.store.row import from_row, to_row


class Requests:
    """Requests by id, the newest one of every key, and what was refused.

    rates    how often each rule asks, and what becomes of it
    changed  ids whose row is no longer as last stored
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Request] = {}
        self._by_key: dict[Key, str] = {}
        self._denied: dict[Key, str] = {}  # by key without session: a new one does not help
        self._claimed: dict[str, str] = {}  # call id -> request id
        self._asked_by: Counter[str] = Counter()  # agent -> requests that are `asked`
        self.rates = Rates()
        self.changed: set[str] = set()

    def moved(self, before: Request | None, after: Request | None) -> None:
        """A request is new, has changed, or is forgotten; whoever needs to know overrides this."""

    # -- entries

    def asked(self, body: Mapping[str, Json], index: int, leaf: str) -> None:
        """Entry `approval.asked`."""
        self._put(Request.from_entry(body, index, leaf))

    def decided(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.decided`. An answer that came after the end changes nothing."""
        request = self._by_id.get(str(body["approval"]))
        if request is not None:
            self._put(answered(request, Vote.from_json(body)))

    def retracted(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.retracted`. A yes that had decided stays."""
        request = self._by_id.get(str(body["approval"]))
        if request is not None:
            self._put(retracted(request, str(body["by"])))

    def escalated(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.escalated`."""
        request = self._by_id.get(str(body["approval"]))
        if request is not None:
            terms = request.escalated.union(cast("list[str]", body["terms"]))
            self._put(replace(request, escalated=terms))

    def broken(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.break-glass`."""
        request = self._by_id.get(str(body["approval"]))
        if request is not None and request.state == "asked":
            expires = min(request.expires, cast("int", body["until"]))
            by = cast("str", body["by"])
            self._put(replace(request, state="approved", expires=expires, broken_by=by))

    def reviewed(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.reviewed`."""
        request = self._by_id.get(str(body["approval"]))
        if request is not None:
            self._put(replace(request, reviewed_by=cast("str", body["by"])))

    def ended(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.ended`."""
        self._step(str(body["approval"]), cast("State", body["state"]))

    def used(self, request_id: str, call_id: str) -> None:
        """A decision entry that carries a claim."""
        if self._step(request_id, "claimed", call=call_id):
            self._claimed[call_id] = request_id

    def settled(self, call_id: str, status: str) -> None:
        """An outcome entry of the call that claimed a request."""
        request_id = self._claimed.pop(call_id, None)
        if request_id is not None:
            self._step(request_id, _ENDS.get(status, "failed"))

    def _step(self, request_id: str, state: State, *, call: str | None = None) -> bool:
        request = self._by_id.get(request_id)
        if request is None or state not in NEXT[request.state]:
            return False
        self._put(replace(request, state=state, call=call or request.call))
        return True

    def _put(self, request: Request) -> None:
        before = self._by_id.get(request.id)
        self._index(request)
        self.changed.add(request.id)
        self.rates.moved(before, request)
        self.moved(before, request)

    def _index(self, request: Request) -> None:
        self._count(self._by_id.get(request.id), request)
        self._by_id[request.id] = request
        newest = self._by_id.get(self._by_key.get(request.key, ""))
        if newest is None or newest.index < request.index:
            self._by_key[request.key] = request.id
        if request.state == "denied":
            longest = self._by_id.get(self._denied.get(anywhere(request.key), ""))
            if longest is None or longest.expires < request.expires:
                self._denied[anywhere(request.key)] = request.id

    def _count(self, before: Request | None, after: Request | None) -> None:
        """Count the questions of an agent anew."""
        if before is not None and before.state == "asked":
            self._asked_by[before.key.agent] -= 1
        if after is not None and after.state == "asked":
            self._asked_by[after.key.agent] += 1

    def _forget(self, request: Request) -> None:
        del self._by_id[request.id]
        for index, key in ((self._by_key, request.key), (self._denied, anywhere(request.key))):
            if index.get(key) == request.id:
                del index[key]
        self._claimed.pop(request.call or "", None)
        self._count(request, None)
        self.changed.add(request.id)
        self.moved(request, None)

    # -- the stored view

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one request; None when it is forgotten."""
        request = self._by_id.get(key)
        return None if request is None else to_row(request)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        request = from_row(Request, row)
        assert request.id == key
        self._index(request)
        if request.state == "claimed" and request.call is not None:
            self._claimed[request.call] = key


def anywhere(key: Key) -> Key:
    """The same call, in whichever session and run."""
    return replace(key, session="", step="")


_ENDS: Mapping[str, State] = {"done": "executed", "error": "failed", "unknown": "unknown"}
