"""Client authentication: from credentials to a registered client, slowly for who is guessing.

By a secret (`client_secret_basic`, `client_secret_post`: RFC 6749, section 2.3.1), by a key of the
client's own (`private_key_jwt`: RFC 7523), or by a token in which a trusted issuer vouches for the
workload that the client is, as it is registered and no other way. An application proves nothing:
it says who it is, and what it gets rests on what it shows besides.
"""

import asyncio

from gateway.identity.applications import NONE, Applications
from gateway.identity.assertions import Assertions
from gateway.identity.clients import Client, Clients
from gateway.identity.errors import AuthError, IssuerSilent, NameInvalid, OAuthError
from gateway.identity.issuers import NOBODY, WorkloadIssuers
from gateway.identity.names import agent
from gateway.identity.oauth_request import Assertion, Credentials, OAuthRequest
from gateway.identity.single_use import SingleUse
from gateway.identity.throttle import Throttle, network

ATTEMPTS_PER_CLIENT = 10
"""Wrong secrets a minute for one client from one place."""

ATTEMPTS_PER_SOURCE = 120
"""Wrong secrets a minute from one place, whichever clients they name: many agents may share it."""

MAX_AT_ONCE = 2
"""Secrets compared at a time; each takes 16 MiB."""

MAX_WAITING = 64


class ClientAuthentication:
    """Checks what a client says to prove who it is."""

    def __init__(
        self,
        clients: Clients,
        assertions: Assertions,
        single_use: SingleUse,
        workloads: WorkloadIssuers = NOBODY,
        applications: Applications = NONE,
    ) -> None:
        self._applications = applications
        self._clients = clients
        self._assertions = assertions
        self._single_use = single_use
        self._workloads = workloads
        self._by_client = Throttle(attempts=ATTEMPTS_PER_CLIENT, window_s=60)
        self._by_source = Throttle(attempts=ATTEMPTS_PER_SOURCE, window_s=60)
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0

    async def authenticate(self, request: OAuthRequest, now_s: int) -> Client:
        """The client that sent `request`.

        Raises OAuthError: `invalid_client`, the same for an unknown name and a wrong secret;
        `slow_down` after too many wrong ones; `temporarily_unavailable` under a flood. Raises
        AuditUnavailable when the use of an assertion cannot be recorded.
        """
        application = self._applications.get(request.one("client_id"))
        if application is not None and request.credentials is None:
            return Client(application.agent, scopes=application.scopes, application=application)
        if request.credentials is None:
            raise OAuthError("invalid_client", "no client authentication")
        if isinstance(request.credentials, Assertion):
            return await self._by_key(request.credentials, request.source, now_s)
        return await self._by_secret(request.credentials, network(request.source), now_s)

    async def _by_key(self, assertion: Assertion, source: str, now_s: int) -> Client:
        if self._workloads.issued(assertion.text):
            name = await self._vouched_for(assertion.text, source, now_s)
        else:
            name = await self._assertions.check(assertion.text, now_s=now_s, source=source)
        client = self._clients.get(name)
        if client is None or assertion.client not in (None, name):
            raise OAuthError("invalid_client", "client authentication failed")
        return client

    async def _vouched_for(self, token: str, source: str, now_s: int) -> str:
        try:
            found = await self._workloads.authenticate_workload(token, now_s)
        except AuthError:
            raise OAuthError("invalid_client", "client authentication failed") from None
        except IssuerSilent as error:
            raise OAuthError("temporarily_unavailable", str(error), retry_after=5) from error
        if found.once is not None:
            await self._use_up(found.agent, found.once, until_s=found.expires, source=source)
        return found.agent

    async def _use_up(self, agent: str, token: str, *, until_s: int, source: str) -> None:
        is_first = await self._single_use.use(
            agent, f"workload {token}", until_s=until_s, source=source
        )
        if not is_first:
            raise OAuthError("invalid_client", "the assertion was used before")

    async def _by_secret(self, credentials: Credentials, place: str, now_s: int) -> Client:
        pair = f"{_known_spelling(credentials.client)} {place}"
        self._charge(pair, place, now_s)
        client = await self._compare(credentials)
        if client is None:
            raise OAuthError("invalid_client", "client authentication failed")
        self._by_client.forgive(pair)
        self._by_source.forgive(place)
        return client

    def _charge(self, pair: str, place: str, now_s: int) -> None:
        # The pair first: one agent with a wrong secret does not use up its neighbours' attempts.
        wait_s = self._by_client.charge(pair, now_s) or self._by_source.charge(place, now_s)
        if wait_s:
            raise OAuthError("slow_down", "too many wrong client secrets", retry_after=wait_s)

    async def _compare(self, credentials: Credentials) -> Client | None:
        if self._waiting >= MAX_WAITING:
            raise OAuthError("temporarily_unavailable", "too many requests", retry_after=5)
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(
                    self._clients.verify, credentials.client, credentials.secret
                )
        finally:
            self._waiting -= 1


def _known_spelling(name: str) -> str:
    """The name if it could be a client's: other spellings are counted together."""
    try:
        return agent(name)
    except NameInvalid:
        return "?"
