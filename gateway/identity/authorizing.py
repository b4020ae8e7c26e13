"""Authorizing: how a person lets an application act for them (RFC 6749, section 4.1).

Whoever the application sent here logs in, is asked, and is sent back with a code: one browser, each
step good once. Every request is asked about, however often the same person agreed to the same
before: an application proves nothing about itself, so what comes in its name may be somebody else.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from audit.canonical import Json
from gateway.errors import ConnectRefused
from gateway.identity import scopes
from gateway.identity.applications import Applications
from gateway.identity.authorization_request import (
    AuthorizationRequest,
    Parameters,
    answer_url,
)
from gateway.identity.client_documents import ClientDocuments
from gateway.identity.codes import Agreed, Codes
from gateway.identity.consents import WITHDRAWN, Consent, Consents, entry, give
from gateway.identity.errors import ApplicationRefused
from gateway.identity.log_ins import Person
from gateway.links.tickets import Tickets
from policies.register import Agent
from policies.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked.

    agent   as the register of the policy has it
    ticket  the secret of the form that answers
    """

    request: AuthorizationRequest
    person: Person
    agent: Agent
    ticket: str


@dataclass(frozen=True, slots=True)
class AuthorizingSources:
    """What authorizing is done with.

    documents  what applications say of themselves, where they do
    policy  the snapshot in force
    record  writes an entry
    """

    applications: Applications
    documents: ClientDocuments
    consents: Consents
    codes: Codes
    policy: Callable[[], Snapshot]
    record: Callable[[str, Mapping[str, Json]], Awaitable[object]]
    now_s: Callable[[], int]
    new_id: Callable[[], str]
    random: Callable[[int], bytes]


class Authorizing:
    """The steps, and the end of a consent.

    public_url  issuer of what applications get
    """

    def __init__(self, public_url: str, sources: AuthorizingSources) -> None:
        self._url = public_url
        self._sources = sources
        self._asked: Tickets[tuple[AuthorizationRequest, Person]] = Tickets(
            sources.random, sources.now_s
        )

    @property
    def codes(self) -> Codes:
        """The codes that people were sent back with."""
        return self._sources.codes

    async def read(self, parameters: Parameters) -> AuthorizationRequest:
        """The request that a browser brings. Raises ApplicationRefused or SentBack."""
        named = parameters.get("client_id", (None,))[0]
        application = self._sources.applications.get(named)
        if application is None:
            raise ApplicationRefused("this application is not registered here")
        completed = await self._sources.documents.completed(application)
        return AuthorizationRequest.read(parameters, completed, self._url)

    def question(
        self, request: AuthorizationRequest, person: Person, browser: str | None
    ) -> Question:
        """What somebody who logged in is asked, in that browser. Raises ConnectRefused."""
        name = request.application.agent
        agent = self._sources.policy().agents.get(name)
        if agent is None or agent.has_ended(self._sources.now_s() * 1_000_000):
            raise ConnectRefused("the agent of this application is not registered")
        if browser is None:
            raise ConnectRefused("this was begun in another browser")
        ticket = self._asked.issue((request, person), browser)
        return Question(request, person, agent, ticket)

    def refused(self, ticket: str, browser: str | None) -> str:
        """Somebody said no: where to send them. Raises ConnectRefused."""
        request, _ = self._asked.take(ticket, browser)
        return answer_url(request.redirect, self._url, request.state, error="access_denied")

    async def agreed(self, ticket: str, browser: str | None, *, source: str) -> str:
        """Somebody said yes: where to send them, once that is recorded.

        Raises ConnectRefused or AuditUnavailable.
        """
        request, person = self._asked.take(ticket, browser)
        sources = self._sources
        consent = Consent(
            user=person.name,
            client=request.application.id,
            agent=request.application.agent,
            redirect=request.registered,
            scope=scopes.write(request.scopes),
        )
        consent_id = await give(consent, sources, source=source)
        code = sources.codes.issue(Agreed(request, person, consent_id))
        return answer_url(request.redirect, self._url, request.state, code=code)

    async def withdraw(self, consent_id: str, *, by: str, source: str) -> bool:
        """End a consent and what rests on it; False when there is none. Raises AuditUnavailable."""
        consent = self._sources.consents.get(consent_id)
        if consent is None:
            return False
        await self._sources.record(WITHDRAWN, entry(consent, consent_id, by=by, source=source))
        return True
