"""Access: who sends a request to the operators' listener, by key or by cookie.

A key in the Authorization header is never sent by a browser on its own. A cookie is: so what it
changes must carry the session's second secret too, in the header `X-CSRF-Token`.
"""

from starlette.requests import Request

from gateway.identity.errors import AuthError
from gateway.operator.browser_sessions import BrowserSession
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

CSRF_HEADER = "x-csrf-token"
HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})

_COOKIE = "passavant"
_LOGIN_COOKIE = "passavant-login"
_PASSKEY_COOKIE = "passavant-passkey"


def operator_of(services: Services, request: Request, now_s: int) -> Operator:
    """The operator who sent a request.

    Raises AuthError, or OperatorRefused (`auth.missing`, `operator.csrf`).
    """
    if request.headers.getlist("authorization"):
        operator = services.operators.check(_bearer(request), now_s)
        check_standing(services, operator)
        return operator
    session = session_of(services, request, now_s)
    if session is None:
        raise OperatorRefused("auth.missing", "an operator's key is needed")
    if request.method not in HARMLESS:
        check_csrf(session, request.headers.getlist(CSRF_HEADER))
    return session.operator


def check_may(services: Services, request: Request) -> None:
    """Raises AuthError when whoever sent a request, which is still being answered, is known no
    more. That it goes on is no sign that somebody is there: it keeps nobody logged in.
    """
    now_s = services.recorder.now() // 1_000_000
    if request.headers.getlist("authorization"):
        operator_of(services, request, now_s)
        return
    cookie = cookie_of(request, session_cookie(services)) or ""
    check_standing(services, services.ways_in.browsers.peek(cookie, now_s).operator)


def session_of(services: Services, request: Request, now_s: int) -> BrowserSession | None:
    """The session of the cookie that came; None: there was none. Raises AuthError."""
    cookie = cookie_of(request, session_cookie(services))
    if cookie is None:
        return None
    session = services.ways_in.browsers.find(cookie, now_s)
    check_standing(services, session.operator)
    return session


def check_standing(services: Services, operator: Operator) -> None:
    """Raises AuthError (`revoked`) for a person who is suspended, here or anywhere in the fleet."""
    if services.state.revocations.suspended("user", operator.name):
        raise AuthError("revoked", "this person is suspended")


def check_csrf(session: BrowserSession, given: list[str]) -> None:
    """Raises OperatorRefused (`operator.csrf`) unless the session's secret was given, once."""
    if len(given) != 1 or not session.may_change(given[0]):
        raise OperatorRefused("operator.csrf", "this did not come from a page of this gateway")


def session_cookie(services: Services) -> str:
    """The name of the cookie of a session."""
    return _prefixed(services, _COOKIE)


def login_cookie(services: Services) -> str:
    """The name of the cookie that a log-in is bound to while somebody is at the provider."""
    return _prefixed(services, _LOGIN_COOKIE)


def passkey_cookie(services: Services) -> str:
    """The name of the cookie that a challenge is bound to while nobody is logged in."""
    return _prefixed(services, _PASSKEY_COOKIE)


def cookie_of(request: Request, name: str) -> str | None:
    """The value of a cookie; None when there is none, or two: somebody planted one."""
    lines = "; ".join(request.headers.getlist("cookie")).split(";")
    values = [line.strip().removeprefix(f"{name}=") for line in lines if _is(line, name)]
    return values[0] if len(values) == 1 and values[0] else None


def is_secure(services: Services) -> bool:
    """Whether browsers reach this listener encrypted."""
    return services.settings.operators_url.startswith("https://")


def _is(line: str, name: str) -> bool:
    return line.strip().startswith(f"{name}=")


def _prefixed(services: Services, name: str) -> str:
    # A browser takes a cookie of that prefix only from this very host, and encrypted.
    return f"__Host-{name}" if is_secure(services) else name


def _bearer(request: Request) -> str:
    found = request.headers.getlist("authorization")
    if len(found) != 1 or not found[0].startswith("Bearer "):
        raise OperatorRefused("auth.missing", "an operator's key is needed")
    return found[0].removeprefix("Bearer ")
