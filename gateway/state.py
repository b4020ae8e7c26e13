"""The state: what the log amounts to.

Sessions, approvals, revocations, unfinished calls and the policy in force are a fold over the
entries and nothing else: each entry is handed to the room it concerns, in the order of the log,
right after it became durable and before anyone who waits for it goes on. What a restart finds is
therefore what was acknowledged.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

from audit.canonical import Json
from gateway.approval.approvals import Approvals
from gateway.calls import Calls
from gateway.epoch import Epoch
from gateway.guard.alarms import Alarms
from gateway.identity import consents, passkeys
from gateway.identity.consents import Consents
from gateway.identity.renewals import Renewals
from gateway.identity.revocation import KINDS, Kind, Revocations
from gateway.identity.single_use import SingleUse
from gateway.in_force import Activations
from gateway.links.connections import GIVEN, WITHDRAWN, Connections
from gateway.membership import Membership
from gateway.memory import items as memory
from gateway.memory.items import Items
from gateway.notices.hooks import EVENTS
from gateway.notices.notices import TOLD, Notices
from gateway.runs import made
from gateway.runs.run import FACE, place_of
from gateway.runs.runs import Runs
from gateway.session.limits import Limits, read_charges
from gateway.session.session import Session
from gateway.session.sessions import Sessions
from gateway.store.fleet import Fact
from gateway.triggers.heard import Heard
from gateway.undo import rollback
from gateway.undo.rollbacks import Rollbacks
from gateway.values.objects import Objects
from gateway.values.releases import Releases
from gateway.values.uses import Uses

REVOKING = frozenset(
    {
        WITHDRAWN,
        consents.WITHDRAWN,
        "policy.changed",
        "session.end",
        "token.revoke",
        "gateway.stopped",
        "gateway.resumed",
    }
    | {f"{kind}.{what}" for kind in KINDS for what in ("suspended", "resumed")}
)
"""Kinds of entry after which nothing that was verified or decided before still stands."""

Fold = Callable[[Mapping[str, Json], int, str], None]
"""Takes an entry into a room: its members, its index and its leaf hash."""


class StoredRoom(Protocol):
    """A room of the state that the view keeps rows of."""

    changed: set[str]

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of `key`; None when there is nothing to keep any more."""

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""


class State:
    """The rooms, and which entry goes to which of them."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        approvals: Approvals,
        calls: Calls,
        limits: Limits,
        revocations: Revocations,
        single_use: SingleUse,
        runs: Runs,
        epoch: Epoch,
    ) -> None:
        self.sessions = sessions
        self.approvals = approvals
        self.calls = calls
        self.limits = limits
        self.revocations = revocations
        self.single_use = single_use
        self.runs = runs
        self.uses = Uses()
        self.objects = Objects()
        self.releases = Releases()
        self.activations = Activations()
        self.connections = Connections()
        self.consents = Consents()
        self.renewals = Renewals()
        self.membership = Membership()
        self.alarms = Alarms()
        self.memory = Items()
        self.rollbacks = Rollbacks()
        self.triggered = Heard()
        self.made = made.MadeAgents()
        self.passkeys = passkeys.Passkeys()
        self.notices = Notices()
        self._epoch = epoch
        self.applied = 0  # entries folded so far
        self.on_abandoned: Fold = lambda *_: None
        self._kinds: dict[str, Fold] = {
            **self._of_sessions(),
            **self._of_people(),
            **self._of_the_gateway(),
        }
        for kind in KINDS:
            self._kinds |= _suspending(kind, revocations)
        for event in EVENTS:
            self._kinds[event] = self._noting(self._kinds[event])

    def _of_sessions(self) -> dict[str, Fold]:
        """Entries of calls, and of the sessions and tokens that they are made with."""
        return {
            "decision": self._decision,
            "outcome": self._outcome,
            "session.open": lambda body, index, _: self.sessions.opened(body, index),
            "label.released": self._label_released,
            "session.purpose": lambda body, index, _: self.sessions.purposed(body, index),
            "session.end": self._session_end,
            "token.issue": lambda body, *_: self.renewals.issued(body),
            "token.revoke": self._token_revoke,
            "assertion.used": lambda body, *_: self.single_use.used(body),
            made.CREATED: lambda body, index, _: self.made.created(body, index),
            "run.started": self._run_started,
            "run.granted": lambda body, *_: self.runs.granted(body),
            "run.progress": lambda body, index, *_: self.runs.told(body, index),
            "run.cut": lambda body, index, *_: self.runs.cut(body, index),
            "run.paused": lambda body, *_: self.runs.went(body),
            "run.resumed": lambda body, *_: self.runs.went(body),
            "run.cancelled": lambda body, *_: self.runs.went(body),
            "run.ended": self._run_ended,
            "trigger.read": lambda body, *_: self.triggered.read(body),
            "trigger.refused": lambda body, *_: self.triggered.refused(body),
            "rollback.started": lambda body, *_: self.rollbacks.started(body),
            "rollback.stopped": lambda body, *_: self.rollbacks.stopped(body),
            "rollback.resumed": lambda body, *_: self.rollbacks.resumed(body),
            "rollback.ended": lambda body, *_: self.rollbacks.ended(body),
        }

    def _of_people(self) -> dict[str, Fold]:
        """Entries of what people were asked, agreed to and registered."""
        return {
            "approval.asked": self._approval_asked,
            "approval.decided": self._approval_decided,
            "approval.retracted": lambda body, *_: self.approvals.retracted(body),
            "approval.escalated": lambda body, *_: self.approvals.escalated(body),
            "approval.break-glass": self._glass_broken,
            "approval.reviewed": lambda body, *_: self.approvals.reviewed(body),
            "approval.ended": lambda body, *_: self.approvals.ended(body),
            GIVEN: lambda body, *_: self.connections.given(body),
            WITHDRAWN: lambda body, *_: self.connections.withdrawn(body),
            consents.GIVEN: lambda body, *_: self.consents.given(body),
            consents.WITHDRAWN: self._consent_withdrawn,
            passkeys.REGISTERED: lambda body, *_: self.passkeys.registered(body),
            passkeys.REMOVED: lambda body, *_: self.passkeys.removed(body),
            "operator.login": lambda body, *_: self.passkeys.logged_in(body),
            "operator.invited": lambda body, *_: self.passkeys.begun_anew(body),
            "operator.removed": lambda body, *_: self.passkeys.begun_anew(body),
        }

    def _of_the_gateway(self) -> dict[str, Fold]:
        """Entries of what is kept, in force, withdrawn or noticed here and in a fleet."""
        return {
            "gateway.stopped": lambda *_: self.revocations.stop(),
            "gateway.resumed": lambda *_: self.revocations.go(),
            memory.PUT: lambda body, index, _: self.memory.put(body, index),
            memory.REMOVED: lambda body, *_: self.memory.removed(body),
            memory.WIPED: lambda body, *_: self.memory.wiped(body),
            "policy.changed": lambda body, *_: self.activations.activated(body),
            TOLD: lambda body, *_: self.notices.told(body),
            "alarm.raised": lambda body, *_: self.alarms.raised(body),
            "fleet.joined": self._fleet_joined,
            "fleet.told": self._fleet_told,
            "fleet.heard": lambda body, *_: self.membership.reached(body),
        }

    @property
    def rooms(self) -> Mapping[str, StoredRoom]:
        """The rooms whose rows the view keeps, by name."""
        return {
            "sessions": self.sessions,
            "approvals": self.approvals,
            "rates": self.approvals.rates,
            "calls": self.calls,
            "limits": self.limits,
            "revocations": self.revocations,
            "single_use": self.single_use,
            "uses": self.uses,
            "objects": self.objects,
            "releases": self.releases,
            "activations": self.activations,
            "connections": self.connections,
            "consents": self.consents,
            "renewals": self.renewals,
            "membership": self.membership,
            "alarms": self.alarms,
            "passkeys": self.passkeys,
            "notices": self.notices,
            "runs": self.runs,
            "rollbacks": self.rollbacks,
            "triggered": self.triggered,
            "made": self.made,
            "memory": self.memory,
        }

    def apply(self, index: int, leaf: str, body: Mapping[str, Any]) -> None:
        """Fold entry `index` in. Entries come in order, each once.

        leaf  its leaf hash, hex
        body  its members, `kind`, `id` and `ts` among them
        """
        assert index == self.applied, f"entry {index} folded when {self.applied} was due"
        kind = body["kind"]
        handle = self._kinds.get(kind)
        if handle is not None:
            handle(body, index, leaf)
        if kind in REVOKING:
            self._epoch.advance()
            self.activations.raised(body["ts"])
            self.calls.running.stop(self.revocations.against)
        self.applied = index + 1

    def heard(self, facts: Iterable[Fact], now: int) -> None:
        """Let what the fleet says count, at `now` in microseconds: at once, and recorded later."""
        before = self._epoch.value
        for fact in facts:
            self.revocations.heard(fact.key, stands=fact.stands, until_s=fact.until)
        if self._epoch.value != before:
            self.activations.raised(now)
            self.calls.running.stop(self.revocations.against)

    def lose(self) -> None:
        """Give this state up: it is not what the log amounts to, so nothing may rely on it."""
        self._epoch.lose()

    def _decision(self, body: Mapping[str, Any], index: int, leaf: str) -> None:
        authorised = authorises(body)
        face = body["req"]["face"]
        if face == FACE:
            self.runs.decided(body, index, authorised=authorised)
        elif face == rollback.FACE:
            self.rollbacks.decided(body, index, authorised=authorised)
        if not authorised:
            return
        self.sessions.touch(body["session"], body["emits"], body["ts"] // 1_000_000)
        claimed = body["approval"]
        if claimed is not None:
            self.approvals.used(claimed, body["id"])
        charges = self.limits.charged(body)
        if "marks" in body:
            self.objects.marked(body)
        if "write" in body:
            self._spent(body)
        if self.calls.authorised(body, index, leaf, charges):
            self.on_abandoned(body, index, leaf)

    def _spent(self, body: Mapping[str, Any]) -> None:
        session = self.sessions.get(body["session"])
        if session is not None:
            self.uses.spent(body["id"], session.root, body["write"])

    def _outcome(self, body: Mapping[str, Any], index: int, _leaf: str) -> None:
        call_id, status = body["call"], body["status"]
        call = self.calls.settled(call_id)
        if call is not None and status == "refused":  # it was not forwarded
            self.limits.returned(call.charges)
        elif call is not None and "charges" in body:
            self.limits.settled(call.charges, read_charges(body["charges"]))
        self.approvals.settled(call_id, status)
        self.runs.settled(call_id, body, index)
        self.rollbacks.settled(call_id, body, index)
        self.uses.settled(call_id, status)
        labels = body["labels"]
        if labels:
            self.sessions.touch(body["session"], labels, body["ts"] // 1_000_000)

    def _approval_decided(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        self.approvals.decided(body)
        self.passkeys.signed(body)

    def _noting(self, fold: Fold) -> Fold:
        """The same, for entries that others are told of."""

        def noting(body: Mapping[str, Json], index: int, leaf: str) -> None:
            fold(body, index, leaf)
            self.notices.noted(body, index)

        return noting

    def _glass_broken(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        self.approvals.broken(body)
        self.passkeys.signed(body)

    def _label_released(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        session = self.sessions.get(cast("str", body["session"]))
        if session is not None:
            self.releases.released(session.root, body)

    def _approval_asked(self, body: Mapping[str, Json], index: int, leaf: str) -> None:
        self.approvals.asked(body, index, leaf)
        step = body.get("step")
        if isinstance(step, str):
            self.runs.stirred(place_of(step)[0])

    def _session_end(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        self._end(self.sessions.closed(body))

    def _consent_withdrawn(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        consent = self.consents.withdrawn(body)
        handed_on = self.sessions.handed_on(consent.client.removeprefix("agent:"), consent.agent)
        resting = {*self.renewals.resting_on(str(body["consent"]))}
        if consent.client.startswith("agent:"):
            resting |= {each.id for each in handed_on if each.user == consent.user}
        for session in sorted(resting):
            self._end(self.sessions.closed({"session": session}))

    def _run_started(self, body: Mapping[str, Json], index: int, _leaf: str) -> None:
        cause = self.runs.started(body, index).cause
        if cause is not None:
            self.triggered.answered(cause.trigger, cause.event)

    def _run_ended(self, body: Mapping[str, Json], index: int, _leaf: str) -> None:
        """A run is over, and its sessions with it. No token of theirs was ever outside and no step
        is under way, so nobody else's rights have to be looked at anew.
        """
        session = self.runs.ended(body, index)
        if session is not None:
            self.sessions.closed({"session": session})

    def _end(self, ended: Iterable[Session]) -> None:
        for each in ended:
            self.revocations.end_session(each.id, until_s=each.ends)

    def _fleet_joined(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        self.membership.joined(body)
        self.revocations.tell_anew()

    def _fleet_told(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        self.membership.reached(body)
        for key in cast("list[str]", body["keys"]):
            self.revocations.told(key)
        self.activations.told(cast("str | None", body["activated"]))

    def _token_revoke(self, body: Mapping[str, Json], _index: int, _leaf: str) -> None:
        token_id = cast("str", body["jti"])
        self.revocations.revoke_token(token_id, until_s=cast("int", body["until"]))
        self._end(self.sessions.withdrawn(str(body.get("session")), token_id))


def _suspending(kind: Kind, revocations: Revocations) -> dict[str, Fold]:
    """What entries that suspend or resume one of this kind do."""
    return {
        f"{kind}.suspended": lambda body, *_: revocations.suspend(kind, str(body[kind])),
        f"{kind}.resumed": lambda body, *_: revocations.resume(kind, str(body[kind])),
    }


def authorises(body: Mapping[str, Any]) -> bool:
    """Whether a decision entry is one after which the call may be forwarded."""
    if body["joined"] is not None:
        return False
    effect = body["decision"]["effect"]
    return effect == "allow" or (effect == "ask" and body["approval"] is not None)
