"""Visitors: the person who looks at a page, known by the cookie of a browser session.

The same sessions, roles and refusals as of the operators' API, of which a page is one more view.
A key is not taken: whoever has one uses the API. What changes something comes from a form of ours
and carries the session's second secret.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from gateway.errors import GatewayError
from gateway.identity.errors import AuthError
from gateway.operator.access import check_csrf, check_standing, cookie_of, session_cookie
from gateway.operator.api import record_refusal, services_of
from gateway.operator.browser_sessions import BrowserSession
from gateway.operator.credentials import Operator, Role
from gateway.operator.entrance import check_own_page, now_s
from gateway.operator.errors import OperatorRefused
from gateway.operator.forms import form_of
from gateway.operator.services import Services

MAX_FORM = 64 * 1024
MAX_TEXT = 1 << 20
"""Of a form with the text of a whole file in it."""

STREAM = "/events"


class NotLoggedIn(GatewayError):
    """Nobody is known by this cookie, or no more: the way in is /login."""

    code = "auth.missing"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks.

    fields  what their form says, when this is one: it was found to be theirs
    """

    session: BrowserSession
    fields: Mapping[str, str]

    @property
    def operator(self) -> Operator:
        """The person, with their roles."""
        return self.session.operator

    def field(self, name: str) -> str:
        """What stands in a field of the form; "" where there is none."""
        return self.fields.get(name, "").replace("\r\n", "\n")

    def confirm(self, word: str) -> None:
        """Raises OperatorRefused unless they typed what confirms a severe act."""
        if self.field("word").strip() != word:
            raise OperatorRefused("operator.body", f"type {word} to confirm")


def session_of(services: Services, request: Request) -> BrowserSession:
    """The session of the cookie that came. Raises NotLoggedIn.

    What a page asks by itself does not count as a sign that somebody is there, so that a page left
    open does not keep them logged in.
    """
    cookie = cookie_of(request, session_cookie(services))
    if cookie is None:
        raise NotLoggedIn("nobody is logged in")
    look = (
        services.ways_in.browsers.peek
        if asks_by_itself(request)
        else services.ways_in.browsers.find
    )
    try:
        session = look(cookie, now_s(services))
        check_standing(services, session.operator)
    except AuthError as error:
        raise NotLoggedIn(str(error)) from error
    return session


def asks_by_itself(request: Request) -> bool:
    """Whether a script of the page asks for this, and nobody pressed anything."""
    return "hx-request" in request.headers or request.url.path.startswith(STREAM)


def visits(role: Role, *, most_bytes: int = MAX_FORM) -> Callable[..., Awaitable[Visitor]]:
    """A dependency: who looks at a page, or sends its form; they must hold `role`.

    most_bytes  of a form
    """

    async def visitor(request: Request) -> Visitor:
        services = services_of(request)
        session = session_of(services, request)
        try:
            fields = {} if request.method == "GET" else await _fields(request, session, most_bytes)
            if not session.operator.may(role):
                raise OperatorRefused("operator.role", f"this needs the role {role}")
        except GatewayError as error:
            await record_refusal(services, request, error.code)
            raise
        return Visitor(session, fields)

    return visitor


Viewer: TypeAlias = Annotated[Visitor, Depends(visits("viewer"))]
Writer: TypeAlias = Annotated[Visitor, Depends(visits("viewer", most_bytes=MAX_TEXT))]
"""Who looks, and may send a long text."""

Approver: TypeAlias = Annotated[Visitor, Depends(visits("approver"))]
Administrator: TypeAlias = Annotated[Visitor, Depends(visits("administrator"))]


async def _fields(request: Request, session: BrowserSession, most_bytes: int) -> Mapping[str, str]:
    check_own_page(request)
    fields = await form_of(request, most_bytes=most_bytes)
    check_csrf(session, [fields["csrf"]] if "csrf" in fields else [])
    return fields
