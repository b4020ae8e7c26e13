"""User tokens: a server is asked with the account of the person for whom the agent acts.

Only where that person let that agent, on a page of ours (`gateway.faces.connect`). For everybody
else the call ends with the address of that page, and nothing is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from audit.canonical import Json
from gateway.errors import ConsentNeeded, TokenRefused
from gateway.links.authorization import Authorization
from gateway.links.connections import Between, ConnectionFiles, Connections, Tokens
from gateway.links.granted import GrantedTokens
from gateway.links.link import Caller
from gateway.links.oauth_client import Granted, OAuthClient


@dataclass(frozen=True, slots=True)
class Connected:
    """What connections are kept in, and where people make them.

    page  of a server and an agent
    """

    connections: Connections
    files: ConnectionFiles
    page: Callable[[str, str], str]


def page_of(public_url: str) -> Callable[[str, str], str]:
    """Where people connect an agent with a server."""
    return lambda server, agent: (
        f"{public_url}/oauth/upstream/{server}/start?{urlencode({'agent': agent})}"
    )


class UserTokens:
    """The authorization of calls to one server.

    client    the gateway, as the server's issuer knows it
    resource  what tokens are made for
    itself    for what is nobody's call: greeting the server, listing its tools
    """

    per_caller = True

    def __init__(
        self,
        server: str,
        client: OAuthClient,
        resource: str,
        itself: Authorization,
        connected: Connected,
        now_s: Callable[[], int],
    ) -> None:
        self._server = server
        self._client = client
        self._resource = resource
        self._itself = itself
        self._connected = connected
        self._now_s = now_s
        self._tokens = GrantedTokens(self._grant, now_s)
        self._refused: dict[str, None] = {}

    async def value(self, caller: Caller | None) -> str:
        """`Bearer` and a token of the person's own.

        Raises ConsentNeeded, and GatewayError where there is none for another reason.
        """
        if caller is None:
            return await self._itself.value(None)
        if caller.user is None:
            raise TokenRefused(f"{self._server}: only for agents that act for a person")
        between = Between(caller.user, caller.agent, self._server)
        connection = self._connected.connections.find(between)
        if connection is None:
            raise self._needed(between)
        return f"Bearer {await self._tokens.get((connection, between))}"

    def refused(self, value: str) -> None:
        """The server does not take this token any more: renew it before the next call."""
        token = value.removeprefix("Bearer ")
        self._itself.refused(value)
        self._tokens.refused(token)
        self._refused[token] = None
        if len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]

    def _needed(self, between: Between) -> ConsentNeeded:
        return ConsentNeeded(self._server, self._connected.page(self._server, between.agent))

    async def _grant(self, key: tuple[str, Between]) -> Granted:
        """The token that is kept, or a new one for the refresh token beside it."""
        connection, between = key
        kept = await self._connected.files.read(connection)
        if kept is None:
            raise self._needed(between)
        left = kept.until - self._now_s()
        if kept.access is not None and left > 0 and kept.access not in self._refused:
            self._client.know(kept.access, kept.refresh)
            return Granted(kept.access, left)
        if kept.refresh is None:
            raise self._needed(between)
        members = await self._refresh(kept.refresh, between)
        tokens, granted = read_tokens(self._client, members, self._now_s(), kept.refresh)
        await self._connected.files.write(connection, tokens)
        return granted

    async def _refresh(self, refresh: str, between: Between) -> dict[str, Json]:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh,
            "resource": self._resource,
        }
        self._client.know(refresh)
        try:
            return await self._client.exchange(form)
        except TokenRefused as error:
            if error.error == "invalid_grant":  # ended there, whatever we think
                raise self._needed(between) from error
            raise


_REMEMBERED = 1000


def read_tokens(
    client: OAuthClient, members: dict[str, Json], now_s: int, refresh: str | None = None
) -> tuple[Tokens, Granted]:
    """The tokens in an answer, as they are kept, and the one to use. Raises TokenRefused.

    refresh  the refresh token that stays good when the answer has none
    """
    granted = client.granted(members)
    newer = members.get("refresh_token")
    kept = newer if isinstance(newer, str) else refresh
    return Tokens(granted.token, now_s + granted.lifetime_s, kept), granted
