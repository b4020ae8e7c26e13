"""Authorize: the page on which a person lets an application on their machine act for them.

    GET  /oauth/authorize           where the application sends its person: to log in
    POST /oauth/authorize/consent   their answer: back to the application

Who somebody is, is found out in between (`gateway.faces.log_in`). What the page says of application
and agent, operators wrote; the application has no word in it.
"""

from html import escape
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from gateway import page
from gateway.faces.http import source
from gateway.faces.log_in import LogInFace
from gateway.faces.visits import Visits
from gateway.identity.authorization_request import AuthorizationRequest
from gateway.identity.authorizing import Authorizing, Question
from gateway.identity.log_ins import Person
from gateway.identity.redirects import Redirect
from gateway.identity.scopes import ALL, Scopes

PATH = "/oauth/authorize"


class AuthorizeFace:
    """The page, over the steps of `authorizing`."""

    def __init__(self, authorizing: Authorizing, visits: Visits, log_in: LogInFace) -> None:
        self._authorizing = authorizing
        self._visits = visits
        self._log_in = log_in
        log_in.asks(AuthorizationRequest, self._ask)

    def router(self) -> APIRouter:
        """The routes, to be included in the listener's application."""
        router = APIRouter(include_in_schema=False)
        for method, path, endpoint in (
            ("GET", PATH, self._start),
            ("POST", f"{PATH}/consent", self._answered),
        ):
            router.add_api_route(path, endpoint, methods=[method], response_model=None)
        return router

    async def _start(self, request: Request) -> Response:
        async def begin() -> Response:
            parameters = self._visits.parameters(request)
            asked = await self._authorizing.read(parameters)
            at = parameters.get("at", (None,))[0]
            return await self._log_in.begin(request, asked, at)

        return await self._visits.answer(request, begin)

    def _ask(self, asked: object, person: Person, browser: str | None) -> Response:
        assert isinstance(asked, AuthorizationRequest)
        question = self._authorizing.question(asked, person, browser)
        return page.page("Let an application act for you?", _question(question))

    async def _answered(self, request: Request) -> Response:
        async def go_back() -> Response:
            form, browser = await self._visits.form(request), self._visits.browser(request)
            ticket, at = form.get("ticket", ""), source(request.scope)
            if form.get("answer") == "allow":
                url = await self._authorizing.agreed(ticket, browser, source=at)
            else:
                url = self._authorizing.refused(ticket, browser)
            answer = page.onwards("Going back to the application", url)
            self._visits.end(answer)
            return answer

        return await self._visits.answer(request, go_back)


def _question(question: Question) -> str:
    request, agent = question.request, question.agent
    name = escape(request.application.agent)
    of = "" if agent.owner is None else f", which is {escape(agent.owner)}'s"
    purpose = "" if agent.purpose is None else f": {escape(agent.purpose)}"
    # Refusing comes first: it is what the Enter key does.
    return f"""
<p>You are <strong>{escape(question.person.name)}</strong>.</p>
<p>May <strong>{escape(request.application.id)}</strong>{_unverified(request)} act for you as the
agent <strong>{name}</strong>{of}{purpose}</p>
<p>It could use {_tools(request.scopes)}, until this session ends after eight hours. The answer goes
to {_destination(request)}.</p>
<p>What it does stays subject to the rules of this gateway and is recorded in your name. Refuse if
you did not begin this in that application just now.</p>
<form method="post" action="{PATH}/consent">
<input type="hidden" name="ticket" value="{escape(question.ticket)}">
<button name="answer" value="deny">Refuse</button>
<button name="answer" value="allow">Let it act for me</button></form>"""


def _unverified(request: AuthorizationRequest) -> str:
    # What it is, only the owner of that address says.
    return " (unverified)" if request.application.is_a_document else ""


def _tools(scopes: Scopes) -> str:
    if scopes == ALL:
        return "every tool that the rules let this agent use for you"
    return ", ".join(f"<code>{escape(each)}</code>" for each in scopes)


def _destination(request: AuthorizationRequest) -> str:
    registered = Redirect(request.registered)
    if registered.is_here:
        return "a program on this machine"
    if registered.is_on_the_web:
        return f"<strong>{escape(urlsplit(request.redirect).netloc)}</strong>"
    scheme = request.redirect.partition(":")[0]
    return f"the program on this machine that opens <code>{escape(scheme)}:</code> links"
