"""Approvals: the questions that are open, and the answers that wait to be used.

Every change is an entry first and a change here second (`asked`, `decided`, `ended` and the
claim in a decision are folded back in), so no answer exists that the log does not hold, and none
is used twice: a claim is one compare-and-set, taken before the decision is written and never
given back.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Literal, cast

from audit.canonical import Json
from gateway.approval.quorum import Members, check_voter, is_reached
from gateway.approval.request import (
    NEXT,
    OPEN,
    Key,
    Request,
    State,
    Vote,
    digest,
    obligation_from_json,
    obligation_to_json,
)
from gateway.errors import ApprovalRefused
from gateway.operator.credentials import Operator
from gateway.recorder import Recorder
from policies.decision import Decision, Facts

KEEP_S = 24 * 3600
"""How long an ended request can still be looked up; afterwards the log alone knows it."""


class Approvals:
    """Requests by id, and the newest one of every key."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._by_id: dict[str, Request] = {}
        self._by_key: dict[Key, str] = {}
        self._claimed: dict[str, str] = {}  # call id -> request id
        self.changed: set[str] = set()

    def get(self, request_id: str) -> Request | None:
        """The request of that id, or None."""
        return self._by_id.get(request_id)

    def all(self) -> tuple[Request, ...]:
        """Every known request, oldest first."""
        return tuple(sorted(self._by_id.values(), key=lambda request: (request.asked, request.id)))

    def find(self, key: Key, now_s: int) -> Request | None:
        """The request that governs a call with this key now: open, or refused and not yet over."""
        request = self._by_id.get(self._by_key.get(key, ""))
        if request is None or request.expires <= now_s:
            return None
        return request if request.state in OPEN or request.state == "denied" else None

    def claim(self, request: Request, call_id: str) -> bool:
        """Take an approved request for one call; False when another call was first.

        No await lies between the comparison and the change, and the change is never undone: if
        the decision then cannot be recorded, the call has to be asked anew.
        """
        if self._by_id[request.id].state != "approved":
            return False
        self._put(replace(request, state="claimed", call=call_id))
        self._claimed[call_id] = request.id
        return True

    async def ask(
        self, key: Key, facts: Facts, decision: Decision, *, words: bytes, changed: Sequence[str]
    ) -> Request:
        """Open a request for the call of `key` and record it.

        words    the canonical arguments, kept sealed
        changed  what differs from an earlier answer that no longer fits, for the people asked
        """
        now = self._recorder.now()
        request_id = self._recorder.new_id()
        obligations = [obligation_to_json(o) for o in decision.obligations]
        shown: dict[str, Json] = {
            "actor": {"agent": key.agent, "chain": list(key.chain), "sub": key.user},
            "session": key.session,
            "tool": {"name": key.tool, "pin": key.pin},
            "match": key.arguments,
            "snapshot": decision.snapshot,
            "labels": cast("list[Json]", sorted(facts.labels)),
            "provenance": dict(facts.provenance),
            "obligations": cast("list[Json]", obligations),
        }
        expires_s = min((o.expires_s for o in decision.obligations), default=0)
        fields: dict[str, Json] = {
            **shown,
            "approval": request_id,
            "rules": list(decision.rules),
            "changed": list(changed),
            "digest": digest(shown, secrets.token_hex(16)),
            "asked": now // 1_000_000,
            "expires": now // 1_000_000 + expires_s,
        }
        await self._recorder.write_sealed(
            "approval.asked", fields, subject=key.user or key.agent, name="args", words=words
        )
        return self._by_id[request_id]

    async def decide(
        self,
        request_id: str,
        operator: Operator,
        verdict: Literal["approve", "deny"],
        *,
        reason: str,
        members: Members,
    ) -> Request:
        """Record one person's answer; the request as it then stands.

        Raises ApprovalRefused when there is no such open request or this person may not answer
        it, and AuditUnavailable when the answer could not be recorded: then it was not given.
        """
        now_s = self._recorder.now() // 1_000_000
        request = self._by_id.get(request_id)
        if request is None:
            raise ApprovalRefused("approval.unknown", "there is no such request")
        if request.state != "asked":
            raise ApprovalRefused("approval.ended", f"this request is {request.state}")
        if request.expires <= now_s:
            raise ApprovalRefused("approval.expired", "this request has expired")
        vote = Vote(operator.name, verdict, tuple(sorted(operator.groups)), reason, now_s)
        check_voter(request, vote, members)
        voted = replace(request, votes=(*request.votes, vote))
        state: State = "asked"
        if verdict == "deny":
            state = "denied"
        elif is_reached(voted, members):
            state = "approved"
        fields: dict[str, Json] = {
            "approval": request.id,
            "digest": request.digest,
            "by": vote.operator,
            "groups": list(vote.groups),
            "verdict": vote.verdict,
            "at": vote.at,
            "state": state,
        }
        await self._recorder.write_sealed(
            "approval.decided", fields, subject=operator.name, name="reason", words=reason.encode()
        )
        return self._by_id[request_id]

    async def withdraw(self, request_id: str, *, by: str) -> Request:
        """Take a question back, for its asker or an operator. Raises ApprovalRefused."""
        request = self._by_id.get(request_id)
        if request is None or request.state not in OPEN:
            raise ApprovalRefused("approval.ended", "this request is not open")
        await self._end(request, "withdrawn", by=by)
        return self._by_id[request_id]

    async def expire(self, now_s: int) -> None:
        """End what is past its time, and forget what ended long ago."""
        for request in self.all():
            if request.state in OPEN and request.expires <= now_s:
                await self._end(request, "expired", by="clock")
            elif request.state not in OPEN and request.expires + KEEP_S < now_s:
                self._forget(request)

    async def _end(self, request: Request, state: State, *, by: str) -> None:
        await self._recorder.write(
            "approval.ended", {"approval": request.id, "state": state, "by": by}
        )

    # -- the fold ---------------------------------------------------------------------------

    def asked(self, body: Mapping[str, Json], index: int, leaf: str) -> None:
        """Entry `approval.asked`."""
        request = _request(body, index, leaf)
        self._by_key[request.key] = request.id
        self._put(request)

    def decided(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.decided`. An answer that came after the end changes nothing."""
        request = self._by_id.get(str(body["approval"]))
        if request is None or request.state != "asked":
            return
        groups = tuple(cast("list[str]", body["groups"]))
        verdict = cast("Literal['approve', 'deny']", body["verdict"])
        vote = Vote(str(body["by"]), verdict, groups, "", cast("int", body["at"]))
        state = cast("State", body["state"])
        self._put(replace(request, votes=(*request.votes, vote), state=state))

    def ended(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.ended`."""
        self._step(str(body["approval"]), cast("State", body["state"]))

    def used(self, request_id: str, call_id: str) -> None:
        """A decision entry that carries a claim."""
        request = self._by_id.get(request_id)
        if request is not None and request.state in OPEN:
            self._put(replace(request, state="claimed", call=call_id))
        self._claimed[call_id] = request_id

    def settled(self, call_id: str, status: str) -> None:
        """An outcome entry of the call that claimed a request."""
        request_id = self._claimed.pop(call_id, None)
        if request_id is not None:
            self._step(request_id, _ENDS.get(status, "failed"))

    def _step(self, request_id: str, state: State) -> None:
        request = self._by_id.get(request_id)
        if request is not None and state in NEXT[request.state]:
            self._put(replace(request, state=state))

    def _put(self, request: Request) -> None:
        self._by_id[request.id] = request
        self.changed.add(request.id)

    def _forget(self, request: Request) -> None:
        del self._by_id[request.id]
        if self._by_key.get(request.key) == request.id:
            del self._by_key[request.key]
        self.changed.add(request.id)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one request; None when it is forgotten."""
        request = self._by_id.get(key)
        if request is None:
            return None
        return {
            "actor": {
                "agent": request.key.agent,
                "chain": list(request.key.chain),
                "sub": request.key.user,
            },
            "approval": request.id,
            "session": request.key.session,
            "tool": {"name": request.key.tool, "pin": request.key.pin},
            "match": request.key.arguments,
            "snapshot": request.snapshot,
            "labels": cast("list[Json]", sorted(request.labels)),
            "provenance": dict(request.provenance),
            "rules": list(request.rules),
            "obligations": [obligation_to_json(o) for o in request.obligations],
            "digest": request.digest,
            "index": request.index,
            "leaf": request.leaf,
            "asked": request.asked,
            "expires": request.expires,
            "state": request.state,
            "votes": [{**asdict(vote), "groups": list(vote.groups)} for vote in request.votes],
            "call": request.call,
        }

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        votes = cast("list[dict[str, Json]]", row["votes"])
        request = replace(
            _request(row, cast("int", row["index"]), cast("str", row["leaf"])),
            state=cast("State", row["state"]),
            votes=tuple(_vote(vote) for vote in votes),
            call=cast("str | None", row["call"]),
        )
        self._by_id[key] = request
        newest = self._by_id.get(self._by_key.get(request.key, ""))
        if newest is None or newest.index < request.index:
            self._by_key[request.key] = request.id
        if request.state == "claimed" and request.call is not None:
            self._claimed[request.call] = request.id


_ENDS: Mapping[str, State] = {"done": "executed", "error": "failed", "unknown": "unknown"}


def _request(body: Mapping[str, Json], index: int, leaf: str) -> Request:
    actor = cast("Mapping[str, Json]", body["actor"])
    tool = cast("Mapping[str, str]", body["tool"])
    obligations = cast("list[Mapping[str, Json]]", body["obligations"])
    key = Key(
        agent=cast("str", actor["agent"]),
        user=cast("str | None", actor["sub"]),
        chain=tuple(cast("list[str]", actor["chain"])),
        session=cast("str", body["session"]),
        tool=tool["name"],
        pin=tool["pin"],
        arguments=cast("str", body["match"]),
    )
    return Request(
        id=cast("str", body["approval"]),
        key=key,
        snapshot=cast("str", body["snapshot"]),
        labels=frozenset(cast("list[str]", body["labels"])),
        provenance=tuple(sorted(cast("dict[str, str]", body["provenance"]).items())),
        rules=tuple(cast("list[str]", body["rules"])),
        obligations=tuple(obligation_from_json(o) for o in obligations),
        digest=cast("str", body["digest"]),
        index=index,
        leaf=leaf,
        asked=cast("int", body["asked"]),
        expires=cast("int", body["expires"]),
    )


def _vote(row: Mapping[str, Json]) -> Vote:
    return Vote(
        operator=cast("str", row["operator"]),
        verdict=cast("Literal['approve', 'deny']", row["verdict"]),
        groups=tuple(cast("list[str]", row["groups"])),
        reason=cast("str", row["reason"]),
        at=cast("int", row["at"]),
    )
