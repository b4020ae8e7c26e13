"""Running calls: those that are at their upstream now, and how each is cut short.

A call is waited for by the task of its request. Stopping it cancels that wait the way a timeout
does (`asyncio.Timeout`), so that the link tells the server that nobody waits any more: by a
`notifications/cancelled` where the protocol has one, and by closing the connection of the call.
What the server has done by then cannot be told.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gateway.errors import LinkStopped
from gateway.principal import Principal


class RunningCalls:
    """Every call that is at its upstream."""

    def __init__(self) -> None:
        self._running: set[RunningCall] = set()

    def __len__(self) -> int:
        return len(self._running)

    def of(self, agent: str) -> int:
        """How many calls of this agent there are."""
        return sum(call.principal.agent == agent for call in self._running)

    def call(self, principal: Principal, tool: str) -> "RunningCall":
        """A context in which one call is waited for; raises LinkStopped when it was cut short.

        tool  as `server.tool`
        """
        return RunningCall(principal, tool, self._running)

    def stop(self, against: Callable[[Principal, str], str | None]) -> None:
        """Cut short every call that something stands against."""
        for call in tuple(self._running):
            if against(call.principal, call.tool) is not None:
                call.stop()


class RunningCall:
    """One call, while it is waited for."""

    __slots__ = ("_among", "_cancelling", "_stopped", "_task", "principal", "tool")

    def __init__(self, principal: Principal, tool: str, among: "set[RunningCall]") -> None:
        self.principal = principal
        self.tool = tool
        self._among = among
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._stopped = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        self._among.add(self)
        return self

    def stop(self) -> None:
        """Cut it short."""
        assert self._task is not None
        if not self._stopped:
            self._stopped = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._among.discard(self)
        if not self._stopped:
            return
        assert self._task is not None
        is_cancelled_otherwise = self._task.uncancel() > self._cancelling
        if not is_cancelled_otherwise:
            raise LinkStopped(self.tool.partition(".")[0], "cut short by an operator") from error
