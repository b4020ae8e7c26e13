"""Log in: the pages on which it becomes known who sits in front of a browser.

    GET  /oauth/login/{issuer}/callback   back from an issuer of users
    POST /oauth/login/code                the code that a development gateway has shown

What somebody came for is kept meanwhile, and what they are asked then is the page's that sent them.
"""

from collections.abc import Callable
from html import escape
from typing import TypeAlias
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from gateway import page
from gateway.errors import RequestRefused
from gateway.faces.http import source
from gateway.faces.visits import Visits
from gateway.identity.errors import AuthError
from gateway.identity.log_ins import LogIns, Person
from gateway.identity.shown_codes import ShownCodes
from gateway.identity.throttle import Throttle, network
from gateway.links.tickets import Tickets, secret

Ask: TypeAlias = Callable[[object, Person, str | None], Response]
"""The page that somebody is asked on: what they came for, who they are, and their browser's secret.

Raises ConnectRefused.
"""


class LogInFace:
    """Sends people to log in, and on from there.

    starts  counts the log-ins that each place begins
    random  so many bytes that nobody can guess
    """

    def __init__(
        self,
        *,
        visits: Visits,
        log_ins: LogIns,
        starts: Throttle,
        now_s: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._visits = visits
        self._log_ins = log_ins
        self._starts = starts
        self._now_s = now_s
        self._random = random
        self._asks: dict[type, Ask] = {}
        self._typing: Tickets[object] = Tickets(random, now_s)

    def router(self) -> APIRouter:
        """The routes, to be included in the listener's application."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route(
            "/oauth/login/{name}/callback", self._back, methods=["GET"], response_model=None
        )
        if self._log_ins.codes is not None:
            router.add_api_route(
                "/oauth/login/code", self._typed, methods=["POST"], response_model=None
            )
        return router

    def asks(self, kind: type, ask: Ask) -> None:
        """Have those who came for something of this kind asked on that page."""
        self._asks[kind] = ask

    async def begin(self, request: Request, purpose: object, at: str | None) -> Response:
        """Have somebody log in for `purpose`, `at` an issuer if they have chosen one.

        Raises RequestRefused, ConnectRefused, FetchFailed or AddressRefused.
        """
        self._count(request)
        issuers, codes = self._log_ins.issuers, self._log_ins.codes
        if at is None and codes is not None:
            return self._code_page(codes, purpose, secret(self._random))
        if at is None and len(issuers) > 1:
            return page.page("Log in", _choice(request, issuers))
        browser = secret(self._random)
        found = at or (issuers[0] if issuers else "")
        url = await self._log_ins.begin(found, purpose, browser)
        answer = RedirectResponse(url, 303, headers=page.HEADERS)
        self._visits.begin(answer, browser)
        return answer

    async def _back(self, request: Request, name: str) -> Response:
        async def ask() -> Response:
            answer, browser = self._visits.query(request), self._visits.browser(request)
            purpose, person = await self._log_ins.finish(name, answer, browser)
            return self._asks[type(purpose)](purpose, person, browser)

        return await self._visits.answer(request, ask)

    async def _typed(self, request: Request) -> Response:
        async def ask() -> Response:
            self._count(request)
            codes, browser = self._log_ins.codes, self._visits.browser(request)
            assert codes is not None
            form = await self._visits.form(request)
            purpose = self._typing.take(form.get("ticket", ""), browser)
            assert browser is not None
            try:
                person = Person(codes.redeem(form.get("code", ""), self._now_s()))
            except AuthError:
                return self._code_page(codes, purpose, browser, said="This is not the code.")
            return self._asks[type(purpose)](purpose, person, browser)

        return await self._visits.answer(request, ask)

    def _count(self, request: Request) -> None:
        if self._starts.charge(network(source(request.scope)), self._now_s()):
            raise RequestRefused("request.too_many", "too many log-ins: wait a minute")

    def _code_page(
        self, codes: ShownCodes, purpose: object, browser: str, *, said: str = ""
    ) -> Response:
        codes.want(self._now_s())
        ticket = self._typing.issue(purpose, browser)
        answer = page.page("Log in", _code_form(ticket, said), status=401 if said else 200)
        self._visits.begin(answer, browser)
        return answer


def _choice(request: Request, issuers: tuple[str, ...]) -> str:
    asked = escape(f"{request.url.path}?{request.url.query}")
    links = "".join(
        f'<li><a href="{asked}&amp;at={quote(issuer)}">{escape(issuer)}</a></li>'
        for issuer in issuers
    )
    return f"<p>Where do you log in?</p><ul>{links}</ul>"


def _code_form(ticket: str, said: str) -> str:
    warning = f'<p role="alert">{escape(said)}</p>' if said else ""
    return f"""{warning}
<form method="post" action="/oauth/login/code" autocomplete="off">
<input type="hidden" name="ticket" value="{escape(ticket)}">
<p><label for="code">The code that is shown now where this gateway was started</label></p>
<p><input id="code" name="code" required autofocus spellcheck="false" maxlength="32">
<button>Log in</button></p></form>"""
