"""One request for approval, from the question to the effect.

A request is bound to exactly one call: who asks for whom through whom, in which session, which
tool as it was pinned, which arguments. What people are shown is what is digested, and what is
digested is what they answer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from audit import canonical
from audit.canonical import Json
from policies.decision import Obligation

State = Literal[
    "asked",
    "approved",
    "denied",
    "expired",
    "withdrawn",
    "claimed",
    "executed",
    "failed",
    "unknown",
]

NEXT: Mapping[State, frozenset[State]] = {
    "asked": frozenset({"approved", "denied", "expired", "withdrawn"}),
    "approved": frozenset({"claimed", "expired", "withdrawn"}),
    "claimed": frozenset({"executed", "failed", "unknown"}),
    "denied": frozenset(),
    "expired": frozenset(),
    "withdrawn": frozenset(),
    "executed": frozenset(),
    "failed": frozenset(),
    "unknown": frozenset(),
}
"""The only steps a request takes. A claim never goes back to `approved`."""

OPEN: frozenset[State] = frozenset({"asked", "approved"})


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer."""

    operator: str
    verdict: Literal["approve", "deny"]
    groups: tuple[str, ...]  # of the person, as resolved when they answered
    reason: str
    at: int  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Key:
    """What a call must match to use an approval; `arguments` is a keyed digest of them."""

    agent: str
    user: str | None
    chain: tuple[str, ...]
    session: str
    tool: str
    pin: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Request:
    """A question to people about one call; times in seconds since the epoch."""

    id: str
    key: Key
    snapshot: str
    labels: frozenset[str]
    provenance: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    obligations: tuple[Obligation, ...]
    digest: str  # SHA-256, hex; what an approver's signature covers
    index: int  # of the entry that asked, which holds the arguments sealed
    leaf: str  # its leaf hash, hex
    asked: int
    expires: int
    state: State = "asked"
    votes: tuple[Vote, ...] = ()
    call: str | None = None  # id of the call that claimed it

    @property
    def askers(self) -> frozenset[str]:
        """The names that may not answer: every actor, and the person they act for."""
        self_allowed = all(obligation.self_allowed for obligation in self.obligations)
        people = () if self_allowed or self.key.user is None else (self.key.user,)
        return frozenset((self.key.agent, *self.key.chain, *people))


def digest(shown: Mapping[str, Json], nonce: str) -> str:
    """The digest of what is shown to an approver, hex.

    `shown` holds principal, chain, session, tool and pin, the arguments' commitment, snapshot,
    labels, provenance and obligations; `nonce` is random, so that no digest can be foretold.
    """
    text = b"passavant-approval-v1\n" + canonical.write({**shown, "nonce": nonce})
    return hashlib.sha256(text).hexdigest()


def obligation_to_json(obligation: Obligation) -> dict[str, Json]:
    """An obligation as it stands in entries and digests."""
    return {
        "approval": obligation.approval,
        "from": obligation.from_group,
        "quorum": obligation.quorum,
        "expires": obligation.expires_s,
        "requester_excluded": obligation.exclude_requester,
        "passkey": obligation.passkey,
        "reason": obligation.reason_required,
        "self": obligation.self_allowed,
    }


def obligation_from_json(row: Mapping[str, Json]) -> Obligation:
    """The inverse of `obligation_to_json`."""
    return Obligation(
        approval=cast("str", row["approval"]),
        from_group=cast("str", row["from"]),
        quorum=cast("int", row["quorum"]),
        expires_s=cast("int", row["expires"]),
        exclude_requester=cast("bool", row["requester_excluded"]),
        passkey=cast("bool", row["passkey"]),
        reason_required=cast("bool", row["reason"]),
        self_allowed=cast("bool", row["self"]),
    )
