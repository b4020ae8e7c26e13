"""The line: calls of runs that could be asked about, once people have answered others.

People are put a bounded number of questions of one agent at a time (guard `questions`). An agent
outside is told so and may come again; a run waits here for its turn, without looking again and
again. Whoever had a turn calls the next one, whether or not a question came of it: so room that is
there is never left unused.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Line:
    """Those that wait, by agent, first come first.

    has_room  whether a question of this agent could be put to people now
    """

    def __init__(self, has_room: Callable[[str], bool]) -> None:
        self._has_room = has_room
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, agent: str) -> AsyncIterator["asyncio.Future[None]"]:
        """A place in the line: done when it is this one's turn, which lasts while it is held."""
        waiting = self._waiting.setdefault(agent, deque())
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(place)
        self.call_up(agent)
        try:
            yield place
        finally:
            place.cancel()
            self.call_up(agent)

    def call_up(self, agent: str) -> None:
        """Let the first in the line try, where there is room for a question."""
        waiting = self._waiting.get(agent)
        while waiting and waiting[0].done():
            _ = waiting.popleft()  # gone, and nobody waits for it
        if waiting and self._has_room(agent):
            waiting[0].set_result(None)
        if waiting is not None and not waiting:
            del self._waiting[agent]
