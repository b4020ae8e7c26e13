"""Presence: whether the caller still waits when its answer is ready.

Clients lose patience and send the same call again; the gate then gives the second the first one's
answer, unless that was delivered. The work itself is never cut short: it may already have acted.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gateway.faces.http import Receive, at_hand

PATIENCE_S = 0.25
"""Calls that end sooner are not watched but looked after once, at their end: that is cheaper."""

T = TypeVar("T")


async def attended(work: Coroutine[Any, Any, T], receive: Receive) -> tuple[T, bool]:
    """Await `work`; its result, and whether the caller was still there when it came.

    receive  of a request whose body has been read: what comes now is the disconnect
    """
    watch = _Watch(receive)
    timer = asyncio.get_running_loop().call_later(PATIENCE_S, watch.begin)
    try:
        value = await work
    finally:
        timer.cancel()
        is_watched = watch.end()
    has_left = watch.gone if is_watched else _has_left(receive)
    return value, not has_left


def _has_left(receive: Receive) -> bool:
    """Whether the caller has gone by now."""
    message = at_hand(receive)
    return message is not None and message["type"] == "http.disconnect"


class _Watch:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self.gone = False

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._listen())

    def end(self) -> bool:
        """Stop watching; whether it had begun."""
        if self._task is None:
            return False
        self._task.cancel()
        return True

    async def _listen(self) -> None:
        message = await self._receive()
        self.gone = message["type"] == "http.disconnect"
