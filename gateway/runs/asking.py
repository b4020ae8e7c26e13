"""Asking: one gateway, as a worker speaks to it.

It asks with a short-lived token that it renews, and again for as long as the gateway cannot be
reached: what was asked before is the same question.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from audit.canonical import Json
from gateway.errors import FetchFailed, NotUnderstood
from gateway.links.jsonrpc import dump, read
from gateway.runs.errors import RunRefused

MOST_BYTES = 16 << 20
AGAIN_S = (0.1, 0.2, 0.5, 1.0)
"""Seconds before asking again; the last one again and again."""

_ANSWER_S = 10.0
_ASKED_AFTER = [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a worker asks.

    executor  its own name
    token     a token that is good now, and another one than that which was refused
    """

    executor: str
    pools: tuple[str, ...]
    token: Callable[[str | None], Coroutine[Any, Any, str]]


class Asking:
    """Asks one gateway as one worker.

    url   where the gateway is
    http  carries requests to it; it must let answers take any time
    """

    def __init__(self, url: str, identity: Identity, http: httpx.AsyncClient) -> None:
        self.url = url
        self.identity = identity
        self._http = http

    async def once(self, verb: str, fields: dict[str, Json]) -> dict[str, Json]:
        """Ask. Raises FetchFailed where asking again may help, else RunRefused."""
        token = await self.identity.token(None)
        status, members = await self._sent(verb, fields, token)
        if status == 401:
            token = await self.identity.token(token)
            status, members = await self._sent(verb, fields, token)
        if status == 200:
            return members
        code = members.get("code")
        if status >= 500 or status in {401, 429} or not isinstance(code, str):
            raise FetchFailed(f"HTTP {status}")
        raise RunRefused(code, str(members.get("detail")))

    async def patiently(self, verb: str, fields: dict[str, Json]) -> dict[str, Json]:
        """The same, again and again until there is an answer. Raises RunRefused."""
        for pause in _pauses():
            try:
                return await self.once(verb, fields)
            except FetchFailed as error:
                log.info("gateway.away", verb=verb, reason=str(error))
                await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def beat(self) -> dict[str, Json]:
        """Say that this worker is there, and be told the time. Raises RunRefused."""
        return await self.patiently("beat", {"pools": list(self.identity.pools)})

    async def _sent(
        self, verb: str, fields: dict[str, Json], token: str
    ) -> tuple[int, dict[str, Json]]:
        body = dump({"executor": self.identity.executor, **fields})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer = await self._http.post(
                f"{self.url}/v1/work/{verb}", content=body, headers=headers
            )
            members = read(answer.content, max_bytes=MOST_BYTES)
        except httpx.HTTPError as error:
            raise FetchFailed(type(error).__name__) from None
        except NotUnderstood:
            raise FetchFailed("no JSON") from None
        return answer.status_code, members if isinstance(members, dict) else {}


def client() -> httpx.AsyncClient:
    """What carries a worker's requests: many at once, each for as long as its answer takes.

    A gateway that is gone without a word is noticed by the system, which asks after it meanwhile.
    """
    carrier = httpx.AsyncHTTPTransport(
        verify=ssl.create_default_context(),
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *_ASKED_AFTER],
    )
    return httpx.AsyncClient(transport=carrier, timeout=httpx.Timeout(_ANSWER_S, read=None))


def _pauses() -> Iterable[float]:
    yield from AGAIN_S
    while True:
        yield AGAIN_S[-1]
