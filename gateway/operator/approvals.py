"""`/api/approvals`: the questions to people, and their answers."""

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request as HttpRequest

from audit.canonical import Json
from gateway.approval.emergency import Finding, check_break, check_review
from gateway.approval.quorum import check_vote, groups_of, must_sign
from gateway.approval.request import Request, Verdict, Vote
from gateway.approval.signature import Said
from gateway.errors import ApprovalRefused
from gateway.operator import signing
from gateway.operator.api import Approver, Here, Nothing, Routes, Viewer, body_of
from gateway.operator.browser_sessions import BrowserSession
from gateway.operator.credentials import Operator
from gateway.operator.passkey_login import Tapped
from gateway.operator.services import Services
from gateway.operator.shown_requests import card, find, summary, words_of
from policies.snapshot import Snapshot

router = Routes()


class Answer(BaseModel):
    """One person's answer.

    digest  of what they were shown
    signed  what their passkey answered to the challenge of `sign`, in the same browser
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    digest: str
    reason: str = ""
    signed: Tapped | None = None


class Signing(BaseModel):
    """Which answer somebody is about to sign."""

    model_config = ConfigDict(extra="forbid", strict=True)

    digest: str
    verdict: Said


class Breaking(Answer):
    """That somebody approves a request alone, in an emergency.

    for_s  how long the yes can be used; the policy says how long at most
    """

    for_s: Annotated[int, Field(gt=0)] = 600


class Review(BaseModel):
    """What somebody else says of that afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True)

    finding: Finding
    reason: str


@router.get("")
async def list_requests(
    services: Here, _: Viewer, state: str | None = None
) -> list[dict[str, Json]]:
    """Every known request, newest first; of one state when it is named."""
    found = reversed(services.state.approvals.all())
    return [summary(request) for request in found if state in {None, request.state}]


@router.get("/rates")
async def list_rates(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """How often each rule asked, what people made of it, and how long they took."""
    return [
        {
            "rule": rule,
            "asked": rate.asked,
            "approved": rate.approved,
            "denied": rate.denied,
            "alone": rate.alone,
            "over": rate.over,
            "percent": rate.percent,
            "median_s": rate.median_s,
            "waved_through": rate.is_waved_through,
        }
        for rule, rate in services.state.approvals.rates.all().items()
    ]


@router.get("/{request_id}")
async def show_request(services: Here, _: Viewer, request_id: str) -> dict[str, Json]:
    """One request, whole: what is asked, for whom, why, and its arguments."""
    return card(services, find(services, request_id))


@router.post("/{request_id}/sign")
async def begin_signing(
    services: Here, _: Approver, http: HttpRequest, request_id: str
) -> dict[str, Json]:
    """What a passkey has to sign for an answer to a request."""
    wanted = await body_of(http, Signing)
    request = _shown(services, request_id, wanted.digest)
    session = signing.session_behind(services, http)
    return signing.begin(services, session, request, wanted.verdict)


@router.post("/{request_id}/retract")
async def retract_answer(
    services: Here, operator: Approver, http: HttpRequest, request_id: str
) -> dict[str, Json]:
    """Take one's own yes back, before the last one."""
    await body_of(http, Nothing)
    return card(services, await services.state.approvals.retract(request_id, operator))


@router.post("/{request_id}/break-glass")
async def break_glass(
    services: Here, operator: Approver, http: HttpRequest, request_id: str
) -> dict[str, Json]:
    """Approve a request alone, in an emergency."""
    wanted = await body_of(http, Breaking)
    session = signing.session_behind(services, http)
    return card(services, await broken(services, operator, request_id, wanted, session))


@router.post("/{request_id}/review")
async def review_request(
    services: Here, operator: Approver, http: HttpRequest, request_id: str
) -> dict[str, Json]:
    """Say what it was that somebody else approved alone."""
    return card(
        services, await reviewed(services, operator, request_id, await body_of(http, Review))
    )


@router.post("/{request_id}/{verdict}")
async def answer_request(
    services: Here,
    operator: Approver,
    http: HttpRequest,
    request_id: str,
    verdict: Verdict,
) -> dict[str, Json]:
    """Answer a request. The digest must be the one of what was shown."""
    answer = await body_of(http, Answer)
    session = signing.session_behind(services, http)
    decided = await decide(services, operator, request_id, verdict, answer, session)
    return card(services, decided)


async def decide(
    services: Services,
    operator: Operator,
    request_id: str,
    verdict: Verdict,
    answer: Answer,
    session: BrowserSession | None,
) -> Request:
    """Answer a request; as it then stands.

    session  of the browser in which it was answered; None: with a key

    Raises ApprovalRefused: also when the digest is not that of this request, or somebody would
    approve what nobody can be shown any more. Raises AuditUnavailable.
    """
    request = _shown(services, request_id, answer.digest)
    if verdict == "approve" and words_of(services, request) is None:
        raise ApprovalRefused("approval.unseen", "its arguments are not kept, so nobody saw them")
    snapshot, tap = services.worlds.current.snapshot, None
    if answer.signed is not None:
        tap = signing.tap_of(services, session, request, verdict, answer.signed)
    elif verdict == "approve" and is_signed(services, operator, request):
        raise ApprovalRefused("approval.passkey", signing.how(services, request))
    return await services.state.approvals.decide(
        request_id,
        _placed(operator, snapshot),
        verdict,
        reason=answer.reason,
        members=snapshot.members,
        tap=tap,
    )


async def broken(
    services: Services,
    operator: Operator,
    request_id: str,
    wanted: Breaking,
    session: BrowserSession | None,
) -> Request:
    """Approve a request alone; as it then stands. Raises as `decide` does."""
    request = _shown(services, request_id, wanted.digest)
    if words_of(services, request) is None:
        raise ApprovalRefused("approval.unseen", "its arguments are not kept, so nobody saw them")
    snapshot, tap = services.worlds.current.snapshot, None
    if wanted.signed is not None:
        tap = signing.tap_of(services, session, request, "break-glass", wanted.signed)
    elif any(each.passkey for each in request.obligations):
        raise ApprovalRefused("approval.passkey", signing.how(services, request))
    return await services.state.approvals.break_glass(
        request_id,
        _placed(operator, snapshot),
        reason=wanted.reason,
        for_s=wanted.for_s,
        members=snapshot.members,
        tap=tap,
    )


async def reviewed(
    services: Services, operator: Operator, request_id: str, review: Review
) -> Request:
    """Close the review that a request owes; as it then stands. Raises ApprovalRefused."""
    snapshot = services.worlds.current.snapshot
    return await services.state.approvals.review(
        request_id,
        _placed(operator, snapshot),
        review.finding,
        reason=review.reason,
        members=snapshot.members,
    )


def may_break(services: Services, operator: Operator, request: Request) -> bool:
    """Whether this person could approve an open request alone."""
    snapshot = services.worlds.current.snapshot
    placed = _placed(operator, snapshot)
    try:
        check_break(request, placed, snapshot.members, reason="any", is_signed=True)
    except ApprovalRefused:
        return False
    return request.state == "asked" and operator.may("approver")


def may_review(services: Services, operator: Operator, request: Request) -> bool:
    """Whether this person can say what it was that somebody else approved alone."""
    snapshot = services.worlds.current.snapshot
    placed = _placed(operator, snapshot)
    try:
        check_review(request, placed, snapshot.members, reason="any")
    except ApprovalRefused:
        return False
    return operator.may("approver")


def is_signed(services: Services, operator: Operator, request: Request) -> bool:
    """Whether a yes of this person has to be signed with a passkey."""
    snapshot = services.worlds.current.snapshot
    placed = _placed(operator, snapshot)
    return must_sign(request, groups_of(placed.name, placed.groups, request, snapshot.members))


def hindrance(
    services: Services, operator: Operator, request: Request, verdict: Verdict
) -> str | None:
    """Why this person cannot answer a request so, as a sentence; None: they can."""
    if not operator.may("approver"):
        return "You are no approver."
    snapshot = services.worlds.current.snapshot
    placed = _placed(operator, snapshot)
    groups = groups_of(placed.name, placed.groups, request, snapshot.members)
    try:
        check_vote(request, Vote(placed.name, verdict, groups, 0, passkey="any"), reason="any")
    except ApprovalRefused as error:
        said = str(error)
        return f"{said[:1].upper()}{said[1:]}."
    if verdict == "approve" and words_of(services, request) is None:
        return "Its arguments are not kept: what nobody can see, nobody can approve."
    return None


def _placed(operator: Operator, snapshot: Snapshot) -> Operator:
    """The operator in those groups of the policy that stand for their groups at the provider."""
    own = {
        name
        for name, group in snapshot.groups.items()
        if group.from_ is not None and group.from_ in operator.groups
    }
    return replace(operator, groups=operator.groups | own)


def _shown(services: Services, request_id: str, digest: str) -> Request:
    """The request of that id, as it was shown. Raises ApprovalRefused."""
    request = find(services, request_id)
    if request.digest != digest:
        raise ApprovalRefused("approval.changed", "this is not the request that was shown to you")
    return request
