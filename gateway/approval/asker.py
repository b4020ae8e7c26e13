"""The asker: what an agent may know of its own requests, and do with them.

Of others' requests it is told what it is told of those that do not exist. Who decides, it learns by
their groups; what people said to each other is not for it.
"""

from audit.canonical import Json
from gateway.approval.approvals import Approvals
from gateway.approval.quorum import approvers
from gateway.approval.request import Request
from gateway.links.link import Caller

ABSENT = "there is no such request of yours"


def own_request(
    approvals: Approvals, request_id: str, caller: Caller, session: str
) -> Request | None:
    """The request of that id, if this very caller asked in this session; None otherwise."""
    request = approvals.get(request_id)
    if request is None:
        return None
    key = request.key
    asked_by = (key.agent, key.user, key.chain, key.session)
    return request if asked_by == (caller.agent, caller.user, caller.chain, session) else None


def told(request: Request) -> dict[str, Json]:
    """What its asker is told of a request."""
    return {
        "id": request.id,
        "state": request.state,
        "tool": request.key.tool,
        "asked": request.asked,
        "expires": request.expires,
        "terms": [
            {
                "from": list[Json](sorted(request.asks(each))),
                "quorum": each.quorum,
                "approved": approvers(request, each),
            }
            for each in request.obligations
        ],
    }
