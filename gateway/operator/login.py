"""`/login` and `/logout`: how a person gets a browser session, and ends it.

At the configured provider, or with a one-time code. Somebody is logged in only
once that is recorded; the session is always a new one, whatever cookie was there before.
"""

from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from audit.canonical import Json
from gateway.errors import GatewayError
from gateway.identity.errors import AuthError
from gateway.identity.throttle import network
from gateway.links.tickets import LIFETIME_S
from gateway.operator import pages
from gateway.operator.access import (
    CSRF_HEADER,
    check_csrf,
    cookie_of,
    is_secure,
    login_cookie,
    session_cookie,
    session_of,
)
from gateway.operator.api import Here, Routes, peer, status_of
from gateway.operator.credentials import Operator
from gateway.operator.entrance import check_own_page, let_in, now_s, turn_away
from gateway.operator.errors import OperatorRefused
from gateway.operator.forms import form_of
from gateway.operator.services import Services
from gateway.operator.single_sign_on import SingleSignOn

NO_WAY_IN = "Nobody can log in now: whoever holds a key gets a code by `passavant operator code`."

router = Routes(include_in_schema=False)


def _sign_on(services: Here) -> SingleSignOn:
    if services.ways_in.sign_on is None:
        raise OperatorRefused("operator.unknown", "no provider is configured for operators")
    return services.ways_in.sign_on


SignOn = Annotated[SingleSignOn, Depends(_sign_on)]


@router.get("/login")
async def show(services: Here, http: Request) -> Response:
    """Who is logged in, or the way to log in."""
    url = services.settings.operators_url
    if http.headers["host"].lower() != url.partition("://")[2]:
        return RedirectResponse(f"{url}/login", 303)  # where forms and cookies are good
    try:
        session = session_of(services, http, now_s(services))
    except AuthError:
        session = None
    if session is not None:
        own = services.state.passkeys.of(session.operator.name)
        shown = None if services.ways_in.site is None else own
        return pages.logged_in(session.operator.name, session.csrf, shown)
    ways = _ways(services)
    if ways == pages.Ways(provider=True):
        return RedirectResponse("/login/oidc", 303)
    if ways == pages.Ways():
        return pages.refused(NO_WAY_IN, 404)
    return pages.ways_in(ways)


@router.post("/login")
async def log_in_with_code(services: Here, http: Request) -> Response:
    """Log in with the one-time code, which was typed into our form."""
    check_own_page(http)
    form = await form_of(http)
    try:
        name = services.ways_in.codes.redeem(form.get("code", ""), now_s(services))
        operator = _holder(services, name)
    except AuthError as error:
        # Only what may have been a guess is an entry: there are five at most.
        code = "operator.login" if error.reason == "expired" else "operator.code"
        refused = OperatorRefused(code, str(error))
        page = await _refused(services, http, refused, by="code")
        if not services.ways_in.codes.is_any_good(now_s(services)):
            return page
        return pages.ways_in(_ways(services), said="This is not the code.", status=401)
    answer = RedirectResponse("/login", 303)
    await let_in(services, http, answer, operator, by="code")
    return answer


@router.get("/login/oidc")
async def go_to_provider(services: Here, http: Request, sign_on: SignOn) -> Response:
    """Send the browser to the provider."""
    now = now_s(services)
    try:
        if services.ways_in.attempts.charge(network(peer(http)), now):
            raise OperatorRefused("operator.slow", "too many log-ins: try again in a minute")
        begun = await sign_on.begin()
    except GatewayError as error:
        return await _refused(services, http, error, by=sign_on.name)
    answer = RedirectResponse(begun.url, 303)
    answer.set_cookie(
        login_cookie(services),
        begun.browser,
        max_age=LIFETIME_S,
        secure=is_secure(services),
        httponly=True,
        samesite="lax",  # it must come along when the provider sends the browser back
    )
    return answer


@router.get("/login/callback")
async def come_back(services: Here, http: Request, sign_on: SignOn) -> Response:
    """Log in whom the provider sent back."""
    pairs = http.query_params.multi_items()
    answer = dict(pairs)
    try:
        if len(answer) < len(pairs):
            raise OperatorRefused("operator.login", "a parameter appears twice")
        browser = cookie_of(http, login_cookie(services))
        operator = await sign_on.finish(answer, browser)
        page = pages.onwards()
        await let_in(services, http, page, operator, by=sign_on.name)
    except GatewayError as error:
        return await _refused(services, http, error, by=sign_on.name)
    page.delete_cookie(login_cookie(services), secure=is_secure(services), httponly=True)
    return page


@router.post("/logout")
async def log_out(services: Here, http: Request) -> Response:
    """End the browser session."""
    session = session_of(services, http, now_s(services))
    if session is None:
        raise OperatorRefused("auth.missing", "nobody is logged in")
    form = await form_of(http)
    given = [*http.headers.getlist(CSRF_HEADER), *([form["csrf"]] if "csrf" in form else [])]
    check_csrf(session, given)
    name = session_cookie(services)
    cookie = cookie_of(http, name)
    assert cookie is not None
    services.ways_in.browsers.end(cookie)  # first: a log that is full must keep nobody logged in
    entry: dict[str, Json] = {"operator": session.operator.name, "source": peer(http)}
    await services.recorder.write("operator.logout", entry)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(name, secure=is_secure(services), httponly=True, samesite="strict")
    return answer


def _ways(services: Services) -> pages.Ways:
    """How somebody can log in now."""
    return pages.Ways(
        code=services.ways_in.codes.is_any_good(now_s(services)),
        provider=services.ways_in.sign_on is not None,
        passkey=services.ways_in.site is not None and bool(services.state.passkeys.all()),
    )


def _holder(services: Services, name: str) -> Operator:
    """The operator of that name. Raises OperatorRefused when they hold a key no more."""
    found = next((each for each in services.operators.all() if each.name == name), None)
    if found is None:
        raise OperatorRefused("operator.no-role", f"{name} is no operator any more")
    return found


async def _refused(services: Services, http: Request, error: GatewayError, *, by: str) -> Response:
    """Record that somebody was not logged in, and say so."""
    await turn_away(services, http, error, by=by)
    said = str(error)
    return pages.refused(f"{said[:1].upper()}{said[1:]}.", status_of(error.code))
