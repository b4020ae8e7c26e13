"""Connecting: how a person lets an agent use a server with their own account there.

They log in (`gateway.identity.log_ins`), are asked, are sent to the server's own authorization
server, and come back: steps in one browser, each good once. Whoever logged in is whose connection
it becomes, so a link that somebody else passes on gives nothing away. Every
agent is asked about by itself, however many others there are already.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from audit.canonical import Json
from gateway.errors import ConnectRefused
from gateway.links.code_flow import CodeFlow
from gateway.links.connections import GIVEN, WITHDRAWN, Between, ConnectionFiles, Connections, entry
from gateway.links.oauth_client import OAuthClient
from gateway.links.tickets import Tickets
from gateway.links.user_tokens import read_tokens


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody came for, before it is known who they are."""

    agent: str
    server: str


@dataclass(frozen=True, slots=True)
class Reached:
    """One server that people connect agents with."""

    client: OAuthClient
    flow: CodeFlow[Between]


@dataclass(frozen=True, slots=True)
class ConnectingSources:
    """What connecting is done with.

    servers   by name
    is_agent  whether an agent of that name is registered
    record    writes an entry
    """

    servers: Mapping[str, Reached]
    connections: Connections
    files: ConnectionFiles
    is_agent: Callable[[str], bool]
    record: Callable[[str, Mapping[str, Json]], Awaitable[object]]
    now_s: Callable[[], int]
    new_id: Callable[[], str]
    random: Callable[[int], bytes]


class Connecting:
    """The steps, and the end of a connection."""

    def __init__(self, sources: ConnectingSources) -> None:
        self._sources = sources
        self._asked: Tickets[Between] = Tickets(sources.random, sources.now_s)

    def check(self, wanted: Wanted) -> None:
        """Raise ConnectRefused when there is nothing of that kind to connect."""
        if wanted.server not in self._sources.servers or not self._sources.is_agent(wanted.agent):
            raise ConnectRefused("there is no such agent or server")

    def question(self, wanted: Wanted, user: str, browser: str | None) -> tuple[Between, str]:
        """What somebody who logged in is asked, and the secret of the form that answers.

        Raises ConnectRefused.
        """
        if browser is None:
            raise ConnectRefused("this was begun in another browser")
        between = Between(user, wanted.agent, wanted.server)
        return between, self._asked.issue(between, browser)

    async def agreed(self, ticket: str, browser: str | None) -> str:
        """Somebody said yes: where to send them.

        Raises ConnectRefused, FetchFailed or AddressRefused.
        """
        between = self._asked.take(ticket, browser)
        assert browser is not None
        return await self._sources.servers[between.server].flow.begin(between, browser)

    async def finish(
        self, server: str, answer: Mapping[str, str], browser: str | None, *, source: str
    ) -> Between:
        """Keep what the server's authorization server gave, once that is recorded.

        Raises ConnectRefused, TokenRefused, FetchFailed, AddressRefused or AuditUnavailable.
        """
        sources = self._sources
        reached = sources.servers.get(server)
        if reached is None:
            raise ConnectRefused("there is no such server")
        returned = await reached.flow.finish(answer, browser)
        between = returned.about
        tokens, _ = read_tokens(reached.client, returned.members, sources.now_s())
        before, connection = sources.connections.find(between), sources.new_id()
        await sources.files.write(connection, tokens)
        try:
            await sources.record(GIVEN, entry(between, connection, source=source))
        except BaseException:
            await sources.files.remove(connection)
            raise
        if before is not None:
            await sources.files.remove(before)
        return between

    async def withdraw(self, between: Between, *, by: str) -> bool:
        """End a connection; False when there is none. Raises AuditUnavailable."""
        connection = self._sources.connections.find(between)
        if connection is None:
            return False
        await self._sources.record(WITHDRAWN, entry(between, connection, by=by))
        await self._sources.files.remove(connection)
        return True
