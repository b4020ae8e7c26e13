"""Presence: whether the caller still waits when its answer is ready.

Clients lose patience and send the same call again; the gate then gives the second the first one's
answer, unless that was delivered. The work itself is never cut short: it may already have acted.
"""

from collections.abc import Awaitable
from typing import TypeVar

from gateway.faces.http import Receive, at_hand

T = TypeVar("T")


async def attended(work: Awaitable[T], receive: Receive) -> tuple[T, bool]:
    """Await `work`; its result, and whether the caller was still there when it came.

    receive  of a request whose body has been read: what comes now is the disconnect

    Looked for once, at the end: a connection keeps what it has heard of its client until asked
    (`gateway.faces.exchange`), and nothing is done differently before.
    """
    value = await work
    message = at_hand(receive)
    return value, message is None or message["type"] != "http.disconnect"
