"""The operators' API: one application on a listener of its own, with credentials of its own.

Order of a request: Host and Origin, then the operator's credential (a key, or the cookie of a
browser session), then the role that the route states, then the body. Denials are recorded.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.routing import BaseRoute

from audit import canonical
from audit.errors import AuditError, AuditUnavailable, NotStrict
from gateway.errors import FleetUnavailable, GatewayError
from gateway.operator.access import operator_of
from gateway.operator.credentials import Operator, Role
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services
from policies.errors import PolicyError, PolicyInvalid

MAX_BODY = 1 << 20

Model = TypeVar("Model", bound=BaseModel)

STATUS: Mapping[str, int] = {
    "auth.missing": 401,
    "auth.invalid": 401,
    "auth.expired": 401,
    "auth.revoked": 401,
    "auth.audience": 401,
    "auth.algorithm": 401,
    "auth.issuer": 503,
    "fetch.failed": 503,
    "upstream.address": 503,
    "operator.role": 403,
    "operator.user": 403,
    "operator.passkey": 403,
    "operator.fresh": 403,
    "operator.self": 409,
    "operator.no-role": 403,
    "operator.csrf": 403,
    "operator.code": 401,
    "operator.login": 401,
    "operator.slow": 429,
    "operator.host": 403,
    "operator.origin": 403,
    "operator.unknown": 404,
    "operator.body": 400,
    "auth.keys": 409,
    "auth.key-file": 503,
    "operator.last": 409,
    "operator.expired": 409,
    "approval.unknown": 404,
    "approval.ended": 409,
    "approval.expired": 409,
    "approval.changed": 409,
    "approval.voted": 409,
    "approval.unanswered": 409,
    "approval.self": 403,
    "approval.group": 403,
    "approval.passkey": 403,
    "approval.signature": 403,
    "approval.reason": 422,
    "approval.unseen": 409,
    "approval.break-glass": 403,
    "run.unknown": 404,
    "run.flow": 404,
    "run.state": 409,
    "run.fork": 409,
    "rollback.unknown": 404,
    "rollback.session": 404,
    "rollback.state": 409,
    "rollback.changed": 409,
    "rollback.run": 409,
    "rollback.overlaps": 409,
    "rollback.behind": 503,
    "policy.invalid": 422,
    "policy.other-digest": 409,
    "policy.moving": 409,
    "audit_unavailable": 503,
    "fleet.unavailable": 503,
}
"""HTTP status of every code this API answers with; others are 400."""


class Routes(APIRouter):
    """Routes whose answers are JSON as they are: a model that filters them would be a second one
    beside the types.
    """

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's own
        """Add a route without a response model."""
        super().add_api_route(path, endpoint, **{**options, "response_model": None})


def services_of(request: Request) -> Services:
    """The services that this application was built with."""
    services: Services = request.app.state.services
    return services


Here: TypeAlias = Annotated[Services, Depends(services_of)]


def requires(role: Role) -> Callable[..., Awaitable[Operator]]:
    """A dependency: the operator of this request, who must hold `role`."""

    async def operator(request: Request) -> Operator:
        services = services_of(request)
        try:
            found = operator_of(services, request, services.recorder.now() // 1_000_000)
            if not found.may(role):
                raise OperatorRefused("operator.role", f"this needs the role {role}")
        except GatewayError as error:
            await record_refusal(services, request, error.code)
            raise
        return found

    return operator


Viewer: TypeAlias = Annotated[Operator, Depends(requires("viewer"))]
Approver: TypeAlias = Annotated[Operator, Depends(requires("approver"))]
Author: TypeAlias = Annotated[Operator, Depends(requires("author"))]
Administrator: TypeAlias = Annotated[Operator, Depends(requires("administrator"))]


async def body_of(request: Request, model: type[Model]) -> Model:
    """The request's body, read strictly once. Raises OperatorRefused (`operator.body`)."""
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            raise OperatorRefused("operator.body", f"more than {MAX_BODY} bytes")
    try:
        given = canonical.read(raw or b"{}", max_bytes=MAX_BODY)
    except NotStrict as error:
        raise OperatorRefused("operator.body", str(error)) from error
    return validated(model, given)


def validated(model: type[Model], given: object) -> Model:
    """What was given, as a body of that kind. Raises OperatorRefused (`operator.body`)."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        places = (
            f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False)
        )
        raise OperatorRefused("operator.body", "; ".join(places)) from error


class Nothing(BaseModel):
    """The body of a request that says everything by its path."""

    model_config = ConfigDict(extra="forbid")


def status_of(code: str) -> int:
    """The HTTP status that goes with a code."""
    return STATUS.get(code, 400)


def peer(request: Request) -> str:
    """The address that the request came from, as `host:port`."""
    found = request.client
    return "unknown" if found is None else f"{found.host}:{found.port}"


async def record_refusal(services: Services, request: Request, code: str) -> None:
    """Record, or count, that a request was refused before it became an act."""
    detail = f"operators' listener, {request.method}"
    await services.refusals.refuse(None, source=peer(request), code=code, detail=detail)


def build(services: Services, routes: Sequence[BaseRoute]) -> FastAPI:
    """The application with these routes."""
    app = FastAPI(
        title="Passavant operators' API",
        version=services.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # what is here is told to operators: `status.schema`
        routes=[*routes],
    )
    app.state.services = services
    for kind in (GatewayError, PolicyError, AuditError):
        app.add_exception_handler(kind, _problem)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_middleware(BaseHTTPMiddleware, dispatch=_check_place)
    return app


async def _check_place(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Refuse foreign Hosts and Origins before anything else is looked at."""
    services = services_of(request)
    hosts, origins = _places(services)
    code = None
    if request.headers.getlist("host") != [request.headers.get("host", "")] or (
        request.headers["host"].lower() not in hosts
    ):
        code = "operator.host"
    elif request.headers.getlist("origin") and request.headers["origin"] not in origins:
        code = "operator.origin"
    if code is None:
        answer = await _known_to_all(services, request, call_next)
        answer.headers.setdefault("cache-control", "no-store")
        answer.headers["x-content-type-options"] = "nosniff"
        return answer
    await record_refusal(services, request, code)
    return _answer(code, "this address is not served here")


async def _known_to_all(
    services: Services, request: Request, call_next: RequestResponseEndpoint
) -> Response:
    """The answer to a request; to an act when the whole fleet knows of it, or that it does not."""
    fleet = services.fleet
    if fleet is None:
        return await call_next(request)
    before = fleet.acts
    answer = await call_next(request)
    if fleet.acts == before:
        return answer
    try:
        await fleet.spread()
    except FleetUnavailable as error:
        return _answer(error.code, str(error))
    return answer


def _places(services: Services) -> tuple[frozenset[str], frozenset[str]]:
    url = services.settings.operators_url
    host = url.partition("://")[2].lower()
    listen = services.settings.listen.operators.lower()
    return frozenset({host, listen}), frozenset({url})


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, AuditUnavailable):
        return _answer(error.code, "the log cannot be written; nothing was done")
    if isinstance(error, PolicyInvalid):
        findings = [str(finding) for finding in error.findings]
        return _answer(error.code, "the policy files are refused", findings=findings)
    code = getattr(error, "code", "internal")
    return _answer(code, str(error))


async def _unreadable(_request: Request, error: Exception) -> JSONResponse:
    """A part of the path or of the query is not what the route takes."""
    assert isinstance(error, RequestValidationError), "registered for it"
    places = sorted({".".join(map(str, found["loc"])) for found in error.errors()})
    return _answer("operator.body", f"not understood: {', '.join(places)}")


def _answer(code: str, detail: str, **members: object) -> JSONResponse:
    status = status_of(code)
    body = {
        "type": f"urn:passavant:problem:{code}",
        "title": code.partition(".")[0],
        "status": status,
        "detail": detail,
        "code": code,
        **members,
    }
    return JSONResponse(body, status, media_type="application/problem+json")
