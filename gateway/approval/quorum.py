"""Quorum: who may answer a request, and what an answer makes of it.

An approval needs people other than the asker, each counted once, from the group that its rule
names. Nothing here is satisfied by an empty list: no obligations, no voters and a quorum below
one all mean that nobody has approved. Which of the asked groups a person was in is settled when
they answer and stands in their vote, so that counting needs nothing but the votes.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from gateway.approval.request import Request, State, Vote
from gateway.errors import ApprovalRefused
from policies.decision import Obligation

Members = Callable[[str], frozenset[str]]
"""The people whom the policy in force lists for a group; empty: their own groups say it."""


def groups_of(
    name: str, groups: Iterable[str], request: Request, members: Members
) -> tuple[str, ...]:
    """Of the groups that `request` asks, those that the person is in; see `groups_among`."""
    asked = frozenset().union(*map(request.asks, request.obligations))
    return groups_among(name, groups, asked, members)


def groups_among(
    name: str, groups: Iterable[str], asked: Iterable[str], members: Members
) -> tuple[str, ...]:
    """Of the groups in `asked`, those that the person is in, sorted.

    groups  that the person is registered with; they count for no group whose members are listed
    """
    registered = frozenset(groups)
    return tuple(
        group
        for group in sorted(asked)
        if (name in members(group) if members(group) else group in registered)
    )


def check_vote(request: Request, vote: Vote, *, reason: str) -> None:
    """Raise ApprovalRefused, with the reason, when this person's answer may not count."""
    if _is_among(vote.operator, (earlier.operator for earlier in request.votes)):
        raise ApprovalRefused("approval.voted", "you have already answered this request")
    if _is_among(vote.operator, request.askers):
        raise ApprovalRefused("approval.self", "who asks may not answer")
    concerned = [o for o in request.obligations if request.asks(o).intersection(vote.groups)]
    if not concerned:
        raise ApprovalRefused("approval.group", "you are in none of the groups that are asked")
    if vote.verdict == "approve" and vote.passkey is None and must_sign(request, vote.groups):
        raise ApprovalRefused("approval.passkey", "this approval must be signed with a passkey")
    if any(obligation.reason_required for obligation in concerned) and not reason.strip():
        raise ApprovalRefused("approval.reason", "this request is answered with a reason")


def must_sign(request: Request, groups: Iterable[str]) -> bool:
    """Whether a yes of somebody in these groups is signed with a passkey."""
    own = frozenset(groups)
    return any(o.passkey and own & request.asks(o) for o in request.obligations)


def answered(request: Request, vote: Vote) -> Request:
    """The request after this answer; as it was when it is over, or the person has answered.

    One no is enough. It is approved when every obligation has its number of distinct approvers.
    """
    if request.state != "asked" or _is_among(vote.operator, (v.operator for v in request.votes)):
        return request
    voted = replace(request, votes=(*request.votes, vote))
    state: State = "asked"
    if vote.verdict == "deny":
        state = "denied"
    elif is_reached(voted):
        state = "approved"
    return replace(voted, state=state)


def retracted(request: Request, name: str) -> Request:
    """The request without the yes of this person; as it was when it is over."""
    if request.state != "asked":
        return request
    others = tuple(vote for vote in request.votes if not _is_among(name, [vote.operator]))
    return replace(request, votes=others)


def due(request: Request, now_s: int) -> tuple[Obligation, ...]:
    """Obligations of an open request of which a further group is to be asked from now on."""
    if request.state != "asked":
        return ()
    return tuple(
        each
        for each in request.obligations
        if each.escalate_to
        and each.approval not in request.escalated
        and request.asked + each.escalate_s <= now_s
    )


def is_reached(request: Request) -> bool:
    """Whether every obligation has its number of distinct approvers, none of them an asker."""
    return bool(request.obligations) and all(
        approvers(request, obligation) >= max(1, obligation.quorum)
        for obligation in request.obligations
    )


def approvers(request: Request, obligation: Obligation) -> int:
    """How many people have agreed so far whose yes counts for this obligation."""
    names = {
        vote.operator.casefold()
        for vote in request.votes
        if vote.verdict == "approve"
        and request.asks(obligation).intersection(vote.groups)
        and (vote.passkey is not None or not obligation.passkey)
        and not _is_among(vote.operator, request.askers)
    }
    return len(names)


def _is_among(name: str, names: Iterable[str]) -> bool:
    """Names that differ in case alone are taken for one person's."""
    return name.casefold() in {other.casefold() for other in names}
