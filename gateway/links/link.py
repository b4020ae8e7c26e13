"""What a link is: the way to one upstream, open only to a call that holds a permit.

`Link.call` takes a `Permit` and nothing else, so code that forwards without one does not
type-check. Only the gate makes permits, and only from the receipt of a durable entry.
"""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol

from audit.canonical import Json
from audit.entry import Receipt
from audit.value import value_type
from gateway.principal import Principal

LinkState = Literal["starting", "up", "down"]


@value_type
class Caller:
    """For whom a call is made: the principal, as far as an upstream may learn of it.

    chain  the agents that `agent` acts for, newest first
    """

    agent: str
    user: str | None
    chain: tuple[str, ...] = ()


class Permit(NamedTuple):
    """The authority to forward exact bytes once. A tuple: nothing can change it once it is made.

    server, tool  the upstream's name with us and the tool's own name there
    pin           digest of the definition that was decided on (`gateway.catalogue.pins`)
    arguments     canonical JSON of the arguments, forwarded byte for byte
    caller        whose call it is; a credential for it can be one for this caller alone
    session       in which it is made; no upstream learns of it
    receipt       of the audit entry that authorises the call
    key           by which a server that honours it knows this call when it is sent again
    principal     in whose name our own tools go on; None: nobody's. No upstream learns of it
    until_s       when nobody waits for it any more, seconds since 1970; None: as long as it takes
    """

    server: str
    tool: str
    pin: str
    arguments: bytes
    caller: Caller
    session: str
    receipt: Receipt
    key: str | None = None
    principal: Principal | None = None
    until_s: int | None = None

    def __repr__(self) -> str:
        return f"Permit({self.server}.{self.tool} by {self.receipt})"


@value_type
class Answered:
    """What an upstream answered.

    result  the CallToolResult as it came, `isError` included
    labels  what the answer itself carries, beside what is declared of the tool
    """

    result: dict[str, Json]
    labels: frozenset[str] = frozenset()


class Link(Protocol):
    """The way to one upstream.

    name       the server's name in the configuration
    state      `up` once it has been greeted and its tools are listed
    on_change  called with `name`, in the event loop, when the tools may have changed: the server
               said so, or it was reached again after being away
    """

    name: str
    state: LinkState
    on_change: Callable[[str], None]

    async def start(self) -> None:
        """Begin to reach the server and keep at it in the background; returns at once."""

    async def definitions(self) -> tuple[dict[str, Json], ...]:
        """Ask for the tool definitions; equal as JSON to what the server sent.

        Raises LinkError.
        """

    def prepare(self, caller: Caller) -> Awaitable[object] | None:
        """Get what a call of `caller` takes besides the permit: a credential for it, which may
        have to be asked for. What is compared between this and `call` is true when it is sent.

        None: there is nothing to wait for. Raises LinkDown; nothing was sent.
        """

    async def call(self, permit: Permit, *, timeout_s: float) -> Answered:
        """Send the call once and return what came back.

        Raises LinkError, of which only LinkDown says that nothing was sent; ToolChanged when the
        server now defines the tool otherwise than the permit says (nothing was sent then either).
        """

    async def close(self) -> None:
        """End the link; calls that wait for an answer fail with LinkLost."""
