"""Agents of others over A2A, as transports of MCP: one tool, which is asked by sending a message.

So a link to such an agent is one to a server like any other: watched, pinned, reviewed, its
secrets masked. Each call is one message, sent once, to be answered at once with a task; that is
asked for until it is over or time is up, which may be hours. What is not answered by then is
unknown, and the agent is told that nobody waits for it any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
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
from gateway.links.slots import Slots
from gateway.links.transport import Request

AGAIN_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a task is asked for again; the last one is repeated."""

_AWAY = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
"""Statuses that say nothing of a task: it can be asked for again, with a new token after 401."""


MOST_AT_ONCE = 128
"""Connections to one agent that are open at a time, as to a server of tools: each can be held for
as long as a task may take, and what the gateway has of them is everybody's.
"""

_LAST_WORDS_S = 2.0
_MAX_ASIDES = 16


@dataclass(frozen=True, slots=True)
class A2aAgent:
    """One agent.

    server         what errors call it
    card           where its card stands
    authorization  our own credential for it; None where it wants none
    fetcher        asks it
    sender         the same, for the message: with patience for one who answers when all is done
    longest_s      how long a call may take at most
    now_s          seconds since 1970, by the log's clock
    new_id         names messages, where their calls have no key of their own
    slots          for what is asked of its endpoint
    """

    server: str
    card: Destination
    authorization: Authorization | None = field(repr=False)
    fetcher: Fetcher
    sender: Fetcher
    longest_s: int
    now_s: Callable[[], int]
    new_id: Callable[[], str]
    slots: Slots = field(default_factory=lambda: Slots(MOST_AT_ONCE))


class A2aTransport:
    """One conversation with an agent: as long as its card stays what it is."""

    mirrors_parameters = False

    def __init__(self, agent: A2aAgent) -> None:
        self._agent = agent
        self._server = agent.server
        self._card: Card | None = None
        self._asides: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Fetch the card by which the agent is spoken to from now on."""
        self._card = await self._fetched()

    def prepare(self, caller: Caller) -> Awaitable[object]:
        """Get the credential for a call of `caller`, if it is not there."""
        return self._authorized(caller)

    async def ask(
        self,
        request: Request,
        *,
        timeout_s: float,  # noqa: ARG002 - of tools; an agent takes as long as is said of it
    ) -> Answer | Failure:
        """Answer as an MCP server would that has the agent for its only tool."""
        if request.method == "tools/list":
            return Answer(0, {"tools": [dict((await self._looked_again()).definition)]})
        if request.method == "tools/call":
            return await self._in_time(request)
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
        """End it; what is being said to the agent has a moment to be heard."""
        self.renew("the link was closed")
        if self._asides:
            await asyncio.wait(self._asides, timeout=_LAST_WORDS_S)

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

    async def _in_time(self, request: Request) -> Answer | Failure:
        now_s = self._agent.now_s()
        ends_s = now_s + self._agent.longest_s
        if request.until_s is not None:
            ends_s = min(ends_s, request.until_s)
        if ends_s <= now_s:
            raise LinkDown(self._server, "no time is left for a call")
        try:
            async with asyncio.timeout(ends_s - now_s):
                return await self._asked(request, ends_s)
        except TimeoutError:
            raise LinkTimeout(self._server, f"no answer in {ends_s - now_s} s") from None

    async def _asked(self, request: Request, ends_s: int) -> Answer | Failure:
        assert self._card is not None, "calls are made while the conversation is open"
        card, params = self._card, read(request.params, max_bytes=len(request.params))
        members = cast("Mapping[str, Mapping[str, Json]]", params)
        key = members.get("_meta", {}).get(IDEMPOTENCY_KEY)  # the agent then acts once for it
        message_id = key if isinstance(key, str) else self._agent.new_id()
        sent = card.wire.message(members["arguments"]["task"], message_id, card.tenant)
        said = await self._sent(card, sent, request.caller)
        if isinstance(said, Said) and said.goes_on and said.task is not None:
            said = await self._waited(card, said, said.task, request.caller, ends_s)
        return said if isinstance(said, Failure) else Answer(0, said.result())

    async def _waited(
        self, card: Card, said: Said, task: str, caller: Caller | None, ends_s: int
    ) -> Said:
        """What comes of a task that goes on. Raises TimeoutError when time is up."""
        pauses = iter(AGAIN_S)
        try:
            while said.goes_on:
                await self._rested(next(pauses, AGAIN_S[-1]), ends_s)
                said = await self._looked(card, said, task, caller)
        except (TimeoutError, asyncio.CancelledError):
            self._aside(self._left(card, task, caller))
            raise
        return said

    async def _rested(self, pause_s: float, ends_s: int) -> None:
        await asyncio.sleep(pause_s)
        if self._agent.now_s() >= ends_s:
            raise TimeoutError

    async def _sent(
        self, card: Card, message: dict[str, Json], caller: Caller | None
    ) -> Said | Failure:
        """Send the message. Raises LinkDown where nothing of it was sent."""
        headers = await self._headers(card, caller)
        try:
            body = _body(card.wire.send, message)
            fetched = await self._posted(self._agent.sender, card, body, headers)
        except (AddressRefused, FetchUnreached) as error:
            raise LinkDown(self._server, str(error)) from error
        except FetchFailed as error:
            raise LinkLost(self._server, str(error)) from error
        self._check_status(fetched, headers)
        return self._read(fetched)

    async def _looked(self, card: Card, before: Said, task: str, caller: Caller | None) -> Said:
        """How a task stands; as before, while that cannot be told: asking again does no harm."""
        try:
            headers = await self._headers(card, caller)
            body = _body(card.wire.get, card.wire.task(task, card.tenant))
            fetched = await self._posted(self._agent.fetcher, card, body, headers)
        except (AddressRefused, FetchFailed, LinkDown):
            return before
        if fetched.status in _AWAY:
            self._check_token(fetched, headers)
            return before
        self._check_status(fetched, headers)
        said = self._read(fetched)
        if isinstance(said, Failure):  # of the task this says nothing
            raise LinkGarbage(self._server, f"it does not tell of the task: {said.code}")
        return said

    async def _posted(
        self, fetcher: Fetcher, card: Card, body: dict[str, Json], headers: Mapping[str, str]
    ) -> Fetched:
        if not self._agent.slots.take():
            raise FetchUnreached("all connections to it are busy")
        try:
            return await fetcher.post_json(card.endpoint, body, headers)
        finally:
            self._agent.slots.give_back()

    def _aside(self, work: Coroutine[None, None, None]) -> None:
        """Say something that nobody waits for; if it is lost, nothing is."""
        if len(self._asides) < _MAX_ASIDES:
            aside = asyncio.create_task(work)
            self._asides.add(aside)
            aside.add_done_callback(self._asides.discard)
        else:
            work.close()

    async def _left(self, card: Card, task: str, caller: Caller | None) -> None:
        """Tell the agent that nobody waits for a task any more."""
        with suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                headers = await self._headers(card, caller)
                body = _body(card.wire.cancel, card.wire.task(task, card.tenant))
                await self._agent.fetcher.post_json(card.endpoint, body, headers)

    def _read(self, fetched: Fetched) -> Said | Failure:
        try:
            members = fetched.members(max_depth=64)
            error = members.get("error")
            if isinstance(error, dict) and isinstance(error.get("code"), int):
                return Failure(1, cast("int", error["code"]), str(error.get("message", "")), None)
            return read_said(members.get("result"))
        except (FetchFailed, NotUnderstood) as error:
            raise LinkGarbage(self._server, str(error)) from error

    def _check_token(self, fetched: Fetched, headers: Mapping[str, str]) -> None:
        if fetched.status == 401 and self._agent.authorization is not None:
            self._agent.authorization.refused(headers["Authorization"])

    def _check_status(self, fetched: Fetched, headers: Mapping[str, str]) -> None:
        self._check_token(fetched, headers)
        if fetched.status != 200:
            raise LinkGarbage(self._server, f"it answered with HTTP {fetched.status}")

    async def _headers(self, card: Card, caller: Caller | None) -> dict[str, str]:
        return {**await self._authorized(caller), **card.wire.headers}

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


def _body(method: str, params: dict[str, Json]) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
