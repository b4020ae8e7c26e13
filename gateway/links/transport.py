"""Transports: what carries requests to one MCP server, and what each of them is."""

from collections.abc import Awaitable
from typing import Protocol

from audit.value import value_type
from gateway.errors import LinkError
from gateway.links.era import Era
from gateway.links.jsonrpc import Answer, Failure
from gateway.links.link import Caller


@value_type
class Request:
    """One request or notification, ready for any transport.

    name       mirrored in `Mcp-Name` over HTTP, where the era asks for it
    mirrored   `Mcp-Param-*` header lines, and that with the call's idempotency key
    caller     for whom it is made; None: the gateway itself
    until_s    when nobody waits for it any more, seconds since 1970; None: nothing is known of it
    """

    method: str
    era: Era
    params: bytes = b"{}"
    name: str | None = None
    mirrored: bytes = b""
    caller: Caller | None = None
    until_s: int | None = None


class Transport(Protocol):
    """One connection to a server, from `open` to its end.

    All raise LinkError; `ask` raises LinkDown only when nothing was sent, and sends once.
    """

    mirrors_parameters: bool

    async def open(self) -> None:
        """Reach the server, up to where requests can be sent."""

    def prepare(self, caller: Caller) -> Awaitable[object] | None:
        """Get the credential for a call of `caller`; None where it takes none. Raises LinkDown."""

    async def ask(self, request: Request, *, timeout_s: float) -> Answer | Failure:
        """Send one request and wait for what comes back for it."""

    async def tell(self, notification: Request) -> None:
        """Send one notification."""

    async def ended(self) -> LinkError:
        """Wait until the connection cannot be used any more, and say why."""

    def renew(self, why: str) -> None:
        """End this conversation, so that another begins."""

    async def retire(self) -> None:
        """Take no more requests; where that is possible, those that wait get their answers."""

    async def close(self) -> None:
        """End it; whoever waits for an answer gets LinkLost."""
