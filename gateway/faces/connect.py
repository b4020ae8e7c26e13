"""Connect: the pages on which a person lets an agent use a server with their own account there.

    GET  /oauth/upstream/{server}/start?agent=A   to log in (`at=ISSUER`: where)
    GET  /oauth/login/{issuer}/callback           back from there: the question
    POST /oauth/upstream/{server}/consent         yes: on to the server's authorization server
    GET  /oauth/upstream/{server}/callback        back from there: done

For browsers, and without any credential of ours: who somebody is, their issuer says. One cookie
ties the steps to one browser. No page has a script, and none can be framed.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from html import escape
from urllib.parse import parse_qsl, quote

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from audit.errors import AuditError
from gateway import page
from gateway.errors import ConnectRefused, GatewayError, RequestRefused
from gateway.faces.http import ClientGone, EdgeRules, read_body, read_head, source
from gateway.faces.oauth import Refuse
from gateway.faces.problems import status_of
from gateway.identity.throttle import Throttle, network
from gateway.links.connecting import Connecting, Wanted
from gateway.links.connections import Between
from gateway.links.tickets import LIFETIME_S, secret

MAX_BODY = 2048
MAX_QUERY = 8192

_log = structlog.get_logger(__name__)


class ConnectFace:
    """The pages of the agents' listener that people see.

    starts  counts the log-ins that each place begins
    random  so many bytes that nobody can guess
    """

    def __init__(
        self,
        *,
        connecting: Connecting,
        rules: EdgeRules,
        refuse: Refuse,
        starts: Throttle,
        now_s: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._connecting = connecting
        self._rules = replace(rules, max_body=MAX_BODY)
        self._refuse = refuse
        self._starts = starts
        self._now_s = now_s
        self._random = random
        self._secure = rules.public_url.startswith("https://")
        self._cookie = "__Host-passavant-connect" if self._secure else "passavant-connect"

    def router(self) -> APIRouter:
        """The routes, to be included in the listener's application."""
        router = APIRouter(include_in_schema=False)
        for method, path, endpoint in (
            ("GET", "/oauth/upstream/{name}/start", self._start),
            ("GET", "/oauth/login/{name}/callback", self._logged_in),
            ("POST", "/oauth/upstream/{name}/consent", self._agreed),
            ("GET", "/oauth/upstream/{name}/callback", self._finished),
        ):
            router.add_api_route(path, endpoint, methods=[method], response_model=None)
        return router

    # -- the steps

    async def _start(self, request: Request, name: str) -> Response:
        async def begin() -> Response:
            asked = self._query(request)
            place = network(source(request.scope))
            if self._starts.charge(place, self._now_s()):
                raise RequestRefused("request.too_many", "too many log-ins: wait a minute")
            agent, issuers = asked.get("agent", ""), self._connecting.issuers
            if "at" not in asked and len(issuers) > 1:
                return page.page("Log in", _choice(name, agent, issuers))
            browser = secret(self._random)
            at = asked.get("at", issuers[0] if issuers else "")
            url = await self._connecting.start(Wanted(agent, name), at, browser)
            answer = RedirectResponse(url, 303, headers=page.HEADERS)
            answer.set_cookie(
                self._cookie,
                browser,
                max_age=LIFETIME_S,
                secure=self._secure,
                httponly=True,
                samesite="lax",  # it must come along when others send the browser back
            )
            return answer

        return await self._answer(request, begin)

    async def _logged_in(self, request: Request, name: str) -> Response:
        async def ask() -> Response:
            between, ticket = await self._connecting.logged_in(
                name, self._query(request), self._browser(request)
            )
            return page.page("Connect an agent", _question(between, ticket))

        return await self._answer(request, ask)

    async def _agreed(self, request: Request, name: str) -> Response:
        del name  # what is agreed to is what the ticket stands for

        async def go_on() -> Response:
            form = await self._form(request)
            url = await self._connecting.agreed(form.get("ticket", ""), self._browser(request))
            return page.onwards("Going on", url)

        return await self._answer(request, go_on)

    async def _finished(self, request: Request, name: str) -> Response:
        async def finish() -> Response:
            between = await self._connecting.finish(
                name, self._query(request), self._browser(request), source=source(request.scope)
            )
            answer = page.page("Connected", _done(between))
            answer.delete_cookie(self._cookie, secure=self._secure, httponly=True)
            return answer

        return await self._answer(request, finish)

    # -- requests and answers

    async def _answer(self, request: Request, step: Callable[[], Awaitable[Response]]) -> Response:
        """Do one step, and say what went wrong in words for the person."""
        try:
            read_head(request.scope, self._rules)
            return await step()
        except GatewayError as error:
            await self._refuse(None, source(request.scope), error.code, str(error))
            said = str(error) if isinstance(error, ConnectRefused | RequestRefused) else _SILENT
            return page.page(
                "Not connected", f"<p>{escape(said)}.</p>", status=status_of(error.code)
            )
        except AuditError:
            return page.page(
                "Not connected", "<p>It cannot be recorded at the moment.</p>", status=503
            )
        except ClientGone:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the outermost handler: it denies
            _log.error("connect.failed", error=type(error).__name__)
            return page.page("Not connected", "<p>The gateway failed.</p>", status=500)

    def _query(self, request: Request) -> dict[str, str]:
        raw: bytes = request.scope["query_string"]
        return _pairs(raw, MAX_QUERY)

    async def _form(self, request: Request) -> dict[str, str]:
        head = read_head(request.scope, self._rules)
        if b"origin" not in head.headers:  # a foreign one has been refused already
            raise RequestRefused("request.origin", "expected a form of this gateway")
        return _pairs(await read_body(request.receive, head, self._rules), MAX_BODY)

    def _browser(self, request: Request) -> str | None:
        return request.cookies.get(self._cookie)


_SILENT = "The other side did not answer as it should; try again later"


def _pairs(raw: bytes, most: int) -> dict[str, str]:
    """Parameters, each given once. Raises RequestRefused."""
    if len(raw) > most:
        raise RequestRefused("request.too_large", f"more than {most} bytes")
    try:
        pairs = parse_qsl(raw.decode("ascii"), max_num_fields=32, errors="strict")
    except ValueError:
        raise RequestRefused("request.malformed", "these are no parameters") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RequestRefused("request.malformed", "a parameter appears twice")
    return found


def _choice(server: str, agent: str, issuers: tuple[str, ...]) -> str:
    links = "".join(
        f'<li><a href="/oauth/upstream/{quote(server)}/start?agent={quote(agent)}&amp;'
        f'at={quote(issuer)}">{escape(issuer)}</a></li>'
        for issuer in issuers
    )
    return f"<p>Where do you log in?</p><ul>{links}</ul>"


def _question(between: Between, ticket: str) -> str:
    return f"""
<p>You are <strong>{escape(between.user)}</strong>.</p>
<p>May the agent <strong>{escape(between.agent)}</strong>, when it acts for you, use
<strong>{escape(between.server)}</strong> with your own account there?</p>
<p>What it does stays subject to the rules of this gateway and is recorded. Operators can end this
at any time. Close this page if you did not ask for it.</p>
<form method="post" action="/oauth/upstream/{quote(between.server)}/consent">
<input type="hidden" name="ticket" value="{escape(ticket)}">
<button>Allow {escape(between.agent)}</button></form>"""


def _done(between: Between) -> str:
    return (
        f"<p><strong>{escape(between.agent)}</strong> can now use {escape(between.server)} for"
        f" {escape(between.user)}. You can close this page and have it try again.</p>"
    )
