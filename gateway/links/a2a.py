"""Agents of others over A2A, as transports of MCP: one tool, which is asked by sending a message.

So a link to such an agent is one to a server like any other: watched, pinned, reviewed, its
secrets masked. Each call is one message, sent once; a task that goes on is asked for until it is
over or time is up. What is not answered by then is unknown.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from audit.canonical import Json
from gateway.errors import (
    AddressRefused,
    CredentialRefused,
    FetchFailed,
    FetchUnreached,
    GatewayError,
    LinkDown,
    LinkError,
    LinkGarbage,
    LinkLost,
    LinkTimeout,
    NotUnderstood,
)
from gateway.links.a2a_card import Card
from gateway.links.a2a_wire import Said, read_said
from gateway.links.address import Destination
from gateway.links.authorization import Authorization
from gateway.links.era import IDEMPOTENCY_KEY, MODERN
from gateway.links.fetch import Fetched, Fetcher
from gateway.links.jsonrpc import Answer, Failure, read
from gateway.links.link import Caller
from gateway.links.mcp import Request

AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a task is asked for again; the last one is repeated."""


@dataclass(frozen=True, slots=True)
class A2aAgent:
    """One agent.

    server         what errors call it
    card           where its card stands
    authorization  our own credential for it; None where it wants none
    fetcher        asks it
    new_id         names messages, where their calls have no key of their own
    """

    server: str
    card: Destination
    authorization: Authorization | None = field(repr=False)
    fetcher: Fetcher
    new_id: Callable[[], str]


class A2aTransport:
    """One conversation with an agent: as long as its card stays what it is."""

    mirrors_parameters = False

    def __init__(self, agent: A2aAgent) -> None:
        self._agent = agent
        self._server = agent.server
        self._card: Card | None = None
        self._end: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Fetch the card by which the agent is spoken to from now on."""
        self._card = await self._fetched()

    async def prepare(self, caller: Caller) -> None:
        """Get the credential for a call of `caller`, if it is not there."""
        await self._authorized(caller)

    async def ask(self, request: Request, *, timeout_s: float) -> Answer | Failure:
        """Answer as an MCP server would that has the agent for its only tool."""
        if request.method == "tools/list":
            return Answer(0, {"tools": [dict((await self._looked_again()).definition)]})
        if request.method == "tools/call":
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._asked(request)
            except TimeoutError:
                detail = f"no answer in {timeout_s:g} s"
                raise LinkTimeout(self._server, detail) from None
        return Answer(0, {"supportedVersions": [MODERN]})

    async def tell(self, notification: Request) -> None:
        """Nothing is to be told."""

    async def ended(self) -> LinkError:
        """Wait until the card has changed, or the link is closed."""
        return await asyncio.shield(self._end)

    def renew(self, why: str) -> None:
        """End this conversation, so that another begins."""
        if not self._end.done():
            self._end.set_result(LinkLost(self._server, why))

    async def retire(self) -> None:
        """Calls that wait still get their answers: each has a connection of its own."""

    async def close(self) -> None:
        """End it."""
        self.renew("the link was closed")

    # -- the card ---------------------------------------------------------------------------

    async def _looked_again(self) -> Card:
        card = await self._fetched()
        if self._card is not None and card != self._card:
            self.renew("its card has changed")
        return card

    async def _fetched(self) -> Card:
        agent, headers = self._agent, await self._authorized(None)
        try:
            fetched = await agent.fetcher.get(agent.card, headers)
            self._check_status(fetched, headers)
            return Card.read(fetched.members(), agent.card)
        except (AddressRefused, FetchFailed) as error:
            raise LinkDown(self._server, str(error)) from error
        except NotUnderstood as error:
            raise LinkGarbage(self._server, str(error)) from error

    # -- one message ------------------------------------------------------------------------

    async def _asked(self, request: Request) -> Answer | Failure:
        assert self._card is not None, "calls are made while the conversation is open"
        card, params = self._card, read(request.params, max_bytes=len(request.params))
        members = cast("Mapping[str, Mapping[str, Json]]", params)
        key = members.get("_meta", {}).get(IDEMPOTENCY_KEY)  # the agent then acts once for it
        message_id = key if isinstance(key, str) else self._agent.new_id()
        sent = card.wire.message(members["arguments"]["task"], message_id, card.tenant)
        said = await self._said(card.wire.send, sent, request.caller, is_first=True)
        pauses = iter(AGAIN_S)
        while isinstance(said, Said) and said.goes_on and said.task is not None:
            await asyncio.sleep(next(pauses, AGAIN_S[-1]))
            wanted = card.wire.task(said.task, card.tenant)
            said = await self._said(card.wire.get, wanted, request.caller, is_first=False)
        return said if isinstance(said, Failure) else Answer(0, said.result())

    async def _said(
        self, method: str, params: dict[str, Json], caller: Caller | None, *, is_first: bool
    ) -> Said | Failure:
        """One JSON-RPC request. Raises LinkDown where nothing of the call was sent."""
        assert self._card is not None, "calls are made while the conversation is open"
        agent, card = self._agent, self._card
        headers = {**await self._authorized(caller), **card.wire.headers}
        body: dict[str, Json] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            fetched = await agent.fetcher.post_json(card.endpoint, body, headers)
        except (AddressRefused, FetchUnreached) as error:
            kind = LinkDown if is_first else LinkLost
            raise kind(self._server, str(error)) from error
        except FetchFailed as error:
            raise LinkLost(self._server, str(error)) from error
        self._check_status(fetched, headers)
        return self._read(fetched)

    def _read(self, fetched: Fetched) -> Said | Failure:
        try:
            members = fetched.members(max_depth=64)
            error = members.get("error")
            if isinstance(error, dict) and isinstance(error.get("code"), int):
                return Failure(1, cast("int", error["code"]), str(error.get("message", "")), None)
            return read_said(members.get("result"))
        except (FetchFailed, NotUnderstood) as error:
            raise LinkGarbage(self._server, str(error)) from error

    def _check_status(self, fetched: Fetched, headers: Mapping[str, str]) -> None:
        if fetched.status == 401 and self._agent.authorization is not None:
            self._agent.authorization.refused(headers["Authorization"])
        if fetched.status != 200:
            raise LinkGarbage(self._server, f"it answered with HTTP {fetched.status}")

    async def _authorized(self, caller: Caller | None) -> dict[str, str]:
        """The header with our credential. Raises LinkDown: nothing was sent."""
        if self._agent.authorization is None:
            return {}
        try:
            return {"Authorization": await self._agent.authorization.value(caller)}
        except LinkError:
            raise
        except GatewayError as error:
            raise CredentialRefused(self._server, str(error)) from error
