"""Connect: the pages on which a person lets an agent use a server with their own account there.

    GET  /oauth/upstream/{server}/start?agent=A   to log in (`at=ISSUER`: where), and the question
    POST /oauth/upstream/{server}/consent         yes: on to the server's authorization server
    GET  /oauth/upstream/{server}/callback        back from there: done

Who somebody is, is found out in between (`gateway.faces.log_in`).
"""

from html import escape
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from gateway import page
from gateway.faces.http import source
from gateway.faces.log_in import LogInFace
from gateway.faces.visits import Visits
from gateway.identity.log_ins import Person
from gateway.links.connecting import Connecting, Wanted
from gateway.links.connections import Between


class ConnectFace:
    """The pages, over the steps of `connecting`."""

    def __init__(self, connecting: Connecting, visits: Visits, log_in: LogInFace) -> None:
        self._connecting = connecting
        self._visits = visits
        self._log_in = log_in
        log_in.asks(Wanted, self._ask)

    def router(self) -> APIRouter:
        """The routes, to be included in the listener's application."""
        router = APIRouter(include_in_schema=False)
        for method, path, endpoint in (
            ("GET", "/oauth/upstream/{name}/start", self._start),
            ("POST", "/oauth/upstream/{name}/consent", self._agreed),
            ("GET", "/oauth/upstream/{name}/callback", self._finished),
        ):
            router.add_api_route(path, endpoint, methods=[method], response_model=None)
        return router

    async def _start(self, request: Request, name: str) -> Response:
        async def begin() -> Response:
            asked = self._visits.query(request)
            wanted = Wanted(asked.get("agent", ""), name)
            self._connecting.check(wanted)
            return await self._log_in.begin(request, wanted, asked.get("at"))

        return await self._visits.answer(request, begin)

    def _ask(self, wanted: object, person: Person, browser: str | None) -> Response:
        assert isinstance(wanted, Wanted)
        between, ticket = self._connecting.question(wanted, person.name, browser)
        return page.page("Connect an agent", _question(between, ticket))

    async def _agreed(self, request: Request, name: str) -> Response:
        del name  # what is agreed to is what the ticket stands for

        async def go_on() -> Response:
            form, browser = await self._visits.form(request), self._visits.browser(request)
            url = await self._connecting.agreed(form.get("ticket", ""), browser)
            return page.onwards("Going on", url)

        return await self._visits.answer(request, go_on)

    async def _finished(self, request: Request, name: str) -> Response:
        async def finish() -> Response:
            answer, browser = self._visits.query(request), self._visits.browser(request)
            between = await self._connecting.finish(
                name, answer, browser, source=source(request.scope)
            )
            done = page.page("Connected", _done(between))
            self._visits.end(done)
            return done

        return await self._visits.answer(request, finish)


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
