"""`/approvals`: the requests, each of them whole, and the answers to them."""

import re
from typing import Literal, cast

from fastapi import Request as HttpRequest
from fastapi import Response

from audit import canonical
from audit.canonical import Json
from console import frame
from console.approvals import card as cards
from console.approvals.past import past
from console.routes import Pages, see
from console.visitors import Approver, Viewer, Visitor
from gateway.approval.emergency import longest_s
from gateway.approval.request import Request, Verdict
from gateway.operator import approvals, shown_requests
from gateway.operator.api import Here, validated
from gateway.operator.approvals import Answer, Breaking, Review
from gateway.operator.passkey_login import Tapped
from gateway.operator.services import Services

Which = Literal["open", "mine", "decided"]

MOST_SHOWN = 100

_MINUTES = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)

router = Pages()


@router.get("/approvals")
async def requests(
    services: Here, visitor: Viewer, http: HttpRequest, show: Which = "open"
) -> Response:
    """The open requests, those that whoever looks may answer, or what became of the others."""
    found = [each for each in reversed(services.state.approvals.all()) if _is_in(each, show)]
    if show == "mine":
        found = [each for each in found if _can_answer(services, visitor, each)]
    now_s = services.recorder.now() // 1_000_000
    return frame.show(
        http,
        visitor,
        "approvals/list.html",
        which=show,
        requests=found[:MOST_SHOWN],
        rates=services.state.approvals.rates.all(),
        owing=[each for each in services.state.approvals.all() if each.owes_review],
        more=max(0, len(found) - MOST_SHOWN),
        now=now_s,
        asking=[
            c.id for c in services.worlds.current.snapshot.clauses.values() if c.effect == "ask"
        ],
    )


@router.get("/approvals/{request_id}")
async def card(services: Here, visitor: Viewer, http: HttpRequest, request_id: str) -> Response:
    """One request, whole."""
    request = shown_requests.find(services, request_id)
    snapshot = services.worlds.current.snapshot
    arguments, before = _arguments(services, request), await past(services, request)
    earlier = None if before is None else before.before
    who = visitor.operator
    return frame.show(
        http,
        visitor,
        "approvals/card.html",
        request=request,
        registered=snapshot.agents.get(request.key.agent),
        arguments=None if arguments is None else cards.values(arguments, earlier, request),
        gone=cards.gone(arguments or {}, earlier),
        past=before,
        effects=cards.effects(snapshot.tools.get(request.key.tool), request.labels),
        whys=cards.whys(request.rules, snapshot, services.state.approvals.rates),
        changed=services.log.entry(request.index).body["changed"],
        demands=cards.demands(request, snapshot),
        is_other_policy=request.snapshot != snapshot.digest,
        now=services.recorder.now() // 1_000_000,
        no_deny=approvals.hindrance(services, who, request, "deny"),
        no_approve=approvals.hindrance(services, who, request, "approve"),
        may_break=approvals.may_break(services, who, request),
        may_review=approvals.may_review(services, who, request),
        longest=longest_s(request) // 60,
        signs_alone=any(each.passkey for each in request.obligations),
        has_answered=any(vote.operator == who.name for vote in request.votes),
        is_signed=approvals.is_signed(services, who, request),
        has_passkey=bool(services.state.passkeys.of(who.name)),
    )


@router.post("/approvals/{request_id}/retract")
async def retract(services: Here, visitor: Approver, request_id: str) -> Response:
    """Take one's own yes back."""
    await services.state.approvals.retract(request_id, visitor.operator)
    return see(f"/approvals/{request_id}")


@router.post("/approvals/{request_id}/break-glass")
async def break_glass(services: Here, visitor: Approver, request_id: str) -> Response:
    """Let whoever looks approve a request alone."""
    minutes = visitor.field("minutes")
    wanted = {
        "digest": visitor.field("digest"),
        "reason": visitor.field("reason"),
        "signed": _tapped(visitor),
        "for_s": 60 * int(minutes) if _MINUTES.fullmatch(minutes) else 0,
    }
    breaking = validated(Breaking, wanted)
    await approvals.broken(services, visitor.operator, request_id, breaking, visitor.session)
    return see(f"/approvals/{request_id}")


@router.post("/approvals/{request_id}/review")
async def review(services: Here, visitor: Approver, request_id: str) -> Response:
    """Take a review."""
    said = {"finding": visitor.field("finding"), "reason": visitor.field("reason")}
    await approvals.reviewed(services, visitor.operator, request_id, validated(Review, said))
    return see(f"/approvals/{request_id}")


@router.post("/approvals/{request_id}/{verdict}")
async def decide(services: Here, visitor: Approver, request_id: str, verdict: Verdict) -> Response:
    """Take an answer."""
    said = [visitor.field("chip"), visitor.field("reason")]
    answer = Answer(
        digest=visitor.field("digest"),
        reason=": ".join(filter(None, said)),
        signed=_tapped(visitor),
    )
    await approvals.decide(services, visitor.operator, request_id, verdict, answer, visitor.session)
    return see(f"/approvals/{request_id}")


def _tapped(visitor: Visitor) -> Tapped | None:
    """What a passkey has signed, where the script of the page has filled it in."""
    fields = {name: visitor.field(name) for name in Tapped.model_fields}
    return validated(Tapped, fields) if any(fields.values()) else None


def _is_in(request: Request, show: Which) -> bool:
    return (request.state == "asked") != (show == "decided")


def _can_answer(services: Services, visitor: Visitor, request: Request) -> bool:
    return approvals.hindrance(services, visitor.operator, request, "deny") is None


def _arguments(services: Services, request: Request) -> dict[str, Json] | None:
    words = shown_requests.words_of(services, request)
    if words is None:
        return None
    return cast("dict[str, Json]", canonical.read(words, max_bytes=len(words)))
