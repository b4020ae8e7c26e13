"""What operators are shown of a request: on a line of a list, and whole."""

from audit import canonical
from audit.canonical import Json
from audit.errors import SealBroken, SubjectErased
from gateway.approval.request import Request, obligation_to_json
from gateway.errors import ApprovalRefused
from gateway.operator.services import Services


def summary(request: Request) -> dict[str, Json]:
    """One line of a list."""
    return {
        "id": request.id,
        "state": request.state,
        "agent": request.key.agent,
        "user": request.key.user,
        "tool": request.key.tool,
        "rules": list(request.rules),
        "asked": request.asked,
        "expires": request.expires,
        "digest": request.digest,
        "owes_review": request.owes_review,
    }


def card(services: Services, request: Request) -> dict[str, Json]:
    """The whole request, with its arguments as they would be forwarded."""
    words = words_of(services, request)
    arguments = None if words is None else canonical.read(words, max_bytes=len(words))
    return {
        **summary(request),
        "chain": list(request.key.chain),
        "registered": _registered(services, request.key.agent),
        "session": request.key.session,
        "pin": request.key.pin,
        "snapshot": request.snapshot,
        "labels": sorted(request.labels),  # type: ignore[dict-item]  # a list of text is Json
        "provenance": dict(request.provenance),
        "evidence": [dict(each) for each in request.evidence],
        "obligations": [obligation_to_json(o) for o in request.obligations],
        "askers": list[Json](sorted(request.askers)),
        "broken_by": request.broken_by or None,
        "reviewed_by": request.reviewed_by or None,
        "escalated": list[Json](sorted(request.escalated)),
        "arguments": arguments,
        "arguments_kept": words is not None,
        "votes": [
            {
                "by": vote.operator,
                "verdict": vote.verdict,
                "at": vote.at,
                "passkey": vote.passkey,
            }
            for vote in request.votes
        ],
        "entry": request.index,
        "call": request.call,
    }


def words_of(services: Services, request: Request) -> bytes | None:
    """The canonical arguments that are asked about; None when they are not kept any more."""
    try:
        return services.recorder.words(request.index, "args")
    except (SealBroken, SubjectErased):
        return None


def find(services: Services, request_id: str) -> Request:
    """The request of that id. Raises ApprovalRefused (`approval.unknown`)."""
    found = services.state.approvals.get(request_id)
    if found is None:
        raise ApprovalRefused("approval.unknown", "there is no such request")
    return found


def _registered(services: Services, name: str) -> dict[str, Json] | None:
    """What the policy in force says of an agent; nothing that the agent says of itself."""
    agent = services.worlds.current.snapshot.agents.get(name)
    return None if agent is None else {"owner": agent.owner, "purpose": agent.purpose}
