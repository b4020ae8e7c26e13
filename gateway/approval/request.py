"""One request for approval, from the question to the effect.

A request is bound to exactly one call: who asks for whom through whom, in which session, which
tool as it was pinned, which arguments. What people are shown is what is digested, and what is
digested is what they answer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast

from audit import canonical
from audit.canonical import Json
from audit.value import value_type
from policies.decision import Obligation

Verdict = Literal["approve", "deny"]
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

DIGESTED = (
    "actor",
    "session",
    "step",
    "tool",
    "match",
    "snapshot",
    "labels",
    "provenance",
    "evidence",
    "obligations",
    "behind",
)
"""Members of entry `approval.asked` that the digest covers; `step` is in entries of runs alone."""

OPEN: frozenset[State] = frozenset({"asked", "approved"})


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer."""

    operator: str
    verdict: Verdict
    groups: tuple[str, ...]  # those that were asked and the person was in when they answered
    at: int  # seconds since the epoch
    passkey: str | None = None  # id of the one that it was signed with

    def to_json(self) -> dict[str, Json]:
        """The vote as it stands in entries and rows."""
        return {
            "by": self.operator,
            "verdict": self.verdict,
            "groups": list(self.groups),
            "at": self.at,
            "passkey": self.passkey,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Self:
        """The inverse of `to_json`."""
        return cls(
            operator=cast("str", row["by"]),
            verdict=cast("Verdict", row["verdict"]),
            groups=tuple(cast("list[str]", row["groups"])),
            at=cast("int", row["at"]),
            passkey=cast("str | None", row.get("passkey")),
        )


@value_type
class Key:
    """What a call must match to use an approval; `arguments` is a keyed digest of them.

    step  of which run, and where in it; "": a call of no run
    """

    agent: str
    user: str | None
    chain: tuple[str, ...]
    session: str
    tool: str
    pin: str
    arguments: str
    step: str = ""

    def to_json(self) -> dict[str, Json]:
        """The key as it stands in entries and rows."""
        key: dict[str, Json] = {
            "actor": {"agent": self.agent, "chain": list(self.chain), "sub": self.user},
            "session": self.session,
            "tool": {"name": self.tool, "pin": self.pin},
            "match": self.arguments,
        }
        return {**key, "step": self.step} if self.step else key

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Self:
        """The inverse of `to_json`."""
        actor = cast("Mapping[str, Json]", row["actor"])
        tool = cast("Mapping[str, str]", row["tool"])
        return cls(
            agent=cast("str", actor["agent"]),
            user=cast("str | None", actor["sub"]),
            chain=tuple(cast("list[str]", actor["chain"])),
            session=cast("str", row["session"]),
            tool=tool["name"],
            pin=tool["pin"],
            arguments=cast("str", row["match"]),
            step=cast("str", row.get("step", "")),
        )


def arguments_digest(words: bytes, digest_key: bytes) -> str:
    """By what equal arguments are recognised: a keyed digest of their canonical bytes, hex."""
    return hashlib.blake2b(words, key=digest_key, digest_size=32).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """A question to people about one call; times in seconds since the epoch."""

    id: str
    key: Key
    snapshot: str
    labels: frozenset[str]
    provenance: tuple[tuple[str, str], ...]
    evidence: tuple[Mapping[str, Json], ...]  # values and where they were read, by path
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
    behind: tuple[str, ...] = ()  # whose agents these are, and who opened their session
    escalated: frozenset[str] = frozenset()  # terms of which a further group is asked by now
    broken_by: str = ""  # who approved it alone, in an emergency
    reviewed_by: str = ""  # who has looked at that since

    @property
    def owes_review(self) -> bool:
        """Whether somebody approved it alone, and nobody else has looked at that."""
        return bool(self.broken_by) and not self.reviewed_by

    def asks(self, obligation: Obligation) -> frozenset[str]:
        """The groups that are asked by one of its obligations now."""
        if obligation.approval in self.escalated:
            return frozenset({obligation.from_group, obligation.escalate_to})
        return frozenset({obligation.from_group})

    @property
    def askers(self) -> frozenset[str]:
        """The names that may not answer: every actor, the person they act for, who is behind it."""
        agents = (self.key.agent, *self.key.chain)
        if self.obligations and all(o.self_allowed for o in self.obligations):
            return frozenset(agents)
        user = () if self.key.user is None else (self.key.user,)
        return frozenset((*agents, *user, *self.behind))

    @classmethod
    def from_entry(cls, body: Mapping[str, Json], index: int, leaf: str) -> Self:
        """The question that entry `approval.asked` puts."""
        obligations = cast("list[Mapping[str, Json]]", body["obligations"])
        return cls(
            id=cast("str", body["approval"]),
            key=Key.from_json(body),
            snapshot=cast("str", body["snapshot"]),
            labels=frozenset(cast("list[str]", body["labels"])),
            provenance=tuple(sorted(cast("dict[str, str]", body["provenance"]).items())),
            evidence=tuple(cast("list[Mapping[str, Json]]", body["evidence"])),
            rules=tuple(cast("list[str]", body["rules"])),
            obligations=tuple(obligation_from_json(o) for o in obligations),
            digest=cast("str", body["digest"]),
            index=index,
            leaf=leaf,
            asked=cast("int", body["asked"]),
            expires=cast("int", body["expires"]),
            behind=tuple(cast("list[str]", body.get("behind", ()))),
        )


def digest(shown: Mapping[str, Json], nonce: str) -> str:
    """The digest of what is shown to an approver, hex.

    shown  those of `DIGESTED` that the entry which asked has
    nonce  random, so that no digest can be foretold; stands in the entry too, so that anybody
           who reads it can make the digest anew
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
        "escalate": _timed("to", obligation.escalate_to, "after", obligation.escalate_s),
        "break_glass": _timed(
            "from", obligation.break_glass_from, "within", obligation.break_glass_s
        ),
    }


def obligation_from_json(row: Mapping[str, Json]) -> Obligation:
    """The inverse of `obligation_to_json`."""
    escalate = cast("Mapping[str, Json]", row.get("escalate") or {})
    break_glass = cast("Mapping[str, Json]", row.get("break_glass") or {})
    return Obligation(
        approval=cast("str", row["approval"]),
        from_group=cast("str", row["from"]),
        quorum=cast("int", row["quorum"]),
        expires_s=cast("int", row["expires"]),
        exclude_requester=cast("bool", row["requester_excluded"]),
        passkey=cast("bool", row["passkey"]),
        reason_required=cast("bool", row["reason"]),
        self_allowed=cast("bool", row["self"]),
        escalate_to=cast("str", escalate.get("to", "")),
        escalate_s=cast("int", escalate.get("after", 0)),
        break_glass_from=cast("str", break_glass.get("from", "")),
        break_glass_s=cast("int", break_glass.get("within", 0)),
    )


def _timed(who: str, group: str, when: str, seconds: int) -> dict[str, Json] | None:
    return {who: group, when: seconds} if group else None
