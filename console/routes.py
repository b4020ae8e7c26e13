"""Routes of pages: what goes wrong becomes a page; who is not logged in is shown the way in."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from audit.errors import AuditError, AuditUnavailable
from console import frame
from console.visitors import NotLoggedIn, Visitor, asks_by_itself, session_of
from gateway.errors import GatewayError
from gateway.operator.api import services_of, status_of
from policies.errors import PolicyError, PolicyInvalid

_OWN_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~%/?&=:+*,-]*", re.ASCII)
_EXPECTED = (GatewayError, PolicyError, AuditError, RequestValidationError)


class _PageRoute(APIRoute):
    """A route whose refusals are pages."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # FastAPI's says coroutine
        """The handler, with refusals made into pages."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except NotLoggedIn:
                return _the_way_in(request)
            except _EXPECTED as error:
                return refused(request, error)

        return answer


class Pages(APIRouter):
    """Routes of one page; none of them is a part of the API."""

    def __init__(self) -> None:
        super().__init__(route_class=_PageRoute, include_in_schema=False)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's own
        """Add a route without a response model: it answers with a page."""
        super().add_api_route(path, endpoint, **{**options, "response_model": None})


def see(path: str) -> Response:
    """Show the page at `path` after a form was dealt with, so that loading anew repeats nothing."""
    return RedirectResponse(path, 303, headers={"cache-control": "no-store"})


def see_again(visitor: Visitor, otherwise: str) -> Response:
    """As `see`, for the page that a form says it was on; for another where that is none of ours."""
    back = visitor.field("back")
    return see(back if _OWN_PATH.fullmatch(back) else otherwise)


def refused(request: Request, error: Exception) -> Response:
    """Why something was not done, as a page for whoever is logged in."""
    try:
        visitor = Visitor(session_of(services_of(request), request), {})
    except NotLoggedIn:
        return _the_way_in(request)
    code = getattr(error, "code", "operator.body")
    said, findings = _told(error)
    status = status_of(code)
    return frame.show(
        request,
        visitor,
        "templates/refused.html",
        status=status,
        title="Not found" if status == 404 else "Not done",
        said=said,
        findings=findings,
        code=code,
        back=request.url.path if request.method == "GET" and status != 404 else "/",
    )


def _told(error: Exception) -> tuple[str, list[str]]:
    if isinstance(error, AuditUnavailable):
        return "The log cannot be written; nothing was done.", []
    if isinstance(error, PolicyInvalid):
        return "The policy files are refused.", [str(each) for each in error.findings]
    if isinstance(error, RequestValidationError):
        return "A part of the address is not understood.", []
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}.", []


def _the_way_in(request: Request) -> Response:
    if asks_by_itself(request):
        return Response(status_code=401, headers={"hx-redirect": "/login"})
    return see("/login")
