"""Hand on: the page on which a person lets one agent hand the work it does for them to another.

    GET  /oauth/delegation/start?from=A&to=B   to log in
    POST /oauth/delegation/consent             their answer

Who somebody is, is found out in between (`gateway.faces.log_in`).
"""

from html import escape

from fastapi import APIRouter, Request, Response

from gateway import page
from gateway.faces.http import source
from gateway.faces.log_in import LogInFace
from gateway.faces.visits import Visits
from gateway.identity.consents import Consent
from gateway.identity.handing_on import HandingOn, HandOn
from gateway.identity.log_ins import Person

_PATH = "/oauth/delegation"


class HandOnFace:
    """The page, over the steps of `handing_on`."""

    def __init__(self, handing_on: HandingOn, visits: Visits, log_in: LogInFace) -> None:
        self._handing_on = handing_on
        self._visits = visits
        self._log_in = log_in
        log_in.asks(HandOn, self._ask)

    def router(self) -> APIRouter:
        """The routes, to be included in the listener's application."""
        router = APIRouter(include_in_schema=False)
        for method, path, endpoint in (
            ("GET", f"{_PATH}/start", self._start),
            ("POST", f"{_PATH}/consent", self._answered),
        ):
            router.add_api_route(path, endpoint, methods=[method], response_model=None)
        return router

    async def _start(self, request: Request) -> Response:
        async def begin() -> Response:
            asked = self._visits.query(request)
            wanted = HandOn(asked.get("from", ""), asked.get("to", ""))
            self._handing_on.check(wanted)
            return await self._log_in.begin(request, wanted, asked.get("at"))

        return await self._visits.answer(request, begin)

    def _ask(self, wanted: object, person: Person, browser: str | None) -> Response:
        assert isinstance(wanted, HandOn)
        consent, ticket = self._handing_on.question(wanted, person.name, browser)
        return page.page("Hand your work on?", _question(wanted, consent, ticket))

    async def _answered(self, request: Request) -> Response:
        async def answer() -> Response:
            form, browser = await self._visits.form(request), self._visits.browser(request)
            ticket, said = form.get("ticket", ""), "It stays as it was."
            if form.get("answer") == "allow":
                await self._handing_on.agreed(ticket, browser, source=source(request.scope))
                said = "Agreed. Have it try again."
            else:
                self._handing_on.refused(ticket, browser)
            done = page.page("Done", f"<p>{said} You can close this page.</p>")
            self._visits.end(done)
            return done

        return await self._visits.answer(request, answer)


def _question(wanted: HandOn, consent: Consent, ticket: str) -> str:
    tools = ", ".join(f"<code>{escape(tool)}</code>" for tool in consent.scope.split(" "))
    # Refusing comes first: it is what the Enter key does.
    return f"""
<p>You are <strong>{escape(consent.user)}</strong>.</p>
<p>May the agent <strong>{escape(wanted.origin)}</strong> hand work that it does for you to the
agent <strong>{escape(wanted.to)}</strong>, which could then use {tools} for you?</p>
<p>What it does stays subject to the rules of this gateway and is recorded. Operators can end this
at any time. Refuse if you did not ask for it.</p>
<form method="post" action="{_PATH}/consent">
<input type="hidden" name="ticket" value="{escape(ticket)}">
<button name="answer" value="deny">Refuse</button>
<button name="answer" value="allow">Let it hand on</button></form>"""
