"""Breaking the glass: one person approves alone, when those who are asked cannot be reached.

It replaces approvers who are missing and nothing else: only where every term of the request names
a group for it, only for somebody of these groups who has not asked, with a reason, for a short
time. The call is decided anew like any, so it overrides no deny. Whoever did it has somebody else
look at it afterwards; until then that is owed.
"""

from typing import Literal

from gateway.approval.quorum import Members, groups_among
from gateway.approval.request import Request
from gateway.errors import ApprovalRefused
from gateway.operator.credentials import Operator

Finding = Literal["justified", "unjustified"]
"""What somebody else says of it afterwards."""


def check_break(
    request: Request, operator: Operator, members: Members, *, reason: str, is_signed: bool
) -> None:
    """Raise ApprovalRefused, with the reason, when this person may not approve this alone."""
    if not longest_s(request):
        raise ApprovalRefused("approval.break-glass", "the policy lets nobody approve this alone")
    if operator.name.casefold() in {name.casefold() for name in request.askers}:
        raise ApprovalRefused("approval.self", "who asks may not answer")
    needed = frozenset(each.break_glass_from for each in request.obligations)
    if frozenset(groups_among(operator.name, operator.groups, needed, members)) != needed:
        raise ApprovalRefused("approval.group", "you are in no group that may approve this alone")
    if not is_signed and any(each.passkey for each in request.obligations):
        raise ApprovalRefused("approval.passkey", "this must be signed with a passkey")
    if not reason.strip():
        raise ApprovalRefused("approval.reason", "this is not done without a reason")


def check_review(request: Request, operator: Operator, members: Members, *, reason: str) -> None:
    """Raise ApprovalRefused when this person may not say what it was."""
    if not request.owes_review:
        raise ApprovalRefused("approval.ended", "there is nothing to review")
    involved = {name.casefold() for name in (*request.askers, request.broken_by)}
    if operator.name.casefold() in involved:
        raise ApprovalRefused("approval.self", "somebody else has to review this")
    asked = frozenset().union(*map(request.asks, request.obligations))
    if not groups_among(operator.name, operator.groups, asked, members):
        raise ApprovalRefused("approval.group", "you are in none of the groups that were asked")
    if not reason.strip():
        raise ApprovalRefused("approval.reason", "a review says why")


def longest_s(request: Request) -> int:
    """How long such a yes can be used at most, in seconds; 0: nobody may give one."""
    return min((each.break_glass_s for each in request.obligations), default=0)
