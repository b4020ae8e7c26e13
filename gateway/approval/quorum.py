"""Quorum: who may answer a request, and when enough of them have.

An approval needs people other than the asker, each counted once, from the group that its rule
names. Nothing here is satisfied by an empty list: no obligations, no voters and a quorum below
one all mean that nobody has approved.
"""

from collections.abc import Callable

from gateway.approval.request import Request, Vote
from gateway.errors import ApprovalRefused
from policies.decision import Obligation

Members = Callable[[str], frozenset[str]]
"""The names of the people in a group, as the policy in force states them."""


def check_voter(request: Request, vote: Vote, members: Members) -> None:
    """Raise ApprovalRefused, with the reason, when this person's answer may not count."""
    if any(earlier.operator == vote.operator for earlier in request.votes):
        raise ApprovalRefused("approval.voted", "you have already answered this request")
    if vote.operator in request.askers:
        raise ApprovalRefused("approval.self", "who asks may not answer")
    concerned = [o for o in request.obligations if in_group(vote, o, members)]
    if not concerned:
        raise ApprovalRefused("approval.group", "you are in none of the groups that are asked")
    if any(obligation.passkey for obligation in concerned):
        raise ApprovalRefused("approval.passkey", "this approval must be signed with a passkey")
    if any(o.reason_required for o in concerned) and not vote.reason.strip():
        raise ApprovalRefused("approval.reason", "this approval needs a reason")


def is_reached(request: Request, members: Members) -> bool:
    """Whether every obligation has its number of distinct approvers."""
    return bool(request.obligations) and all(
        _approvers(request, obligation, members) >= max(1, obligation.quorum)
        for obligation in request.obligations
    )


def in_group(vote: Vote, obligation: Obligation, members: Members) -> bool:
    """Whether the voter belongs to the group that this obligation asks."""
    return obligation.from_group in vote.groups or vote.operator in members(obligation.from_group)


def _approvers(request: Request, obligation: Obligation, members: Members) -> int:
    names = {
        vote.operator
        for vote in request.votes
        if vote.verdict == "approve" and in_group(vote, obligation, members)
    }
    return len(names - request.askers)
