"""The bridge: a client's standard input and output on one side, the gateway's HTTP on the other.

Messages are answered as they are done, many at a time; what opens or closes something is waited
for, so that it is in effect for the next. It ends with its input: what was asked by then is still
answered, for a little while.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from cli.bridge import frames
from cli.bridge.frames import INVALID_REQUEST, Frame, Id, Unreadable, failure
from cli.bridge.gateway import Gateway

MOST_AT_ONCE = 32
LAST_WORDS_S = 5.0

_CANCELLED = "notifications/cancelled"


class Bridge:
    """Carries messages for one client.

    write  takes whole lines; raises OSError when nobody listens
    """

    def __init__(self, gateway: Gateway, write: Callable[[bytes], None]) -> None:
        self._gateway = gateway
        self._write = write
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._under_way: dict[Id, asyncio.Task[None]] = {}
        self._heard = True

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Carry every line, until there are no more or nobody hears the answers."""
        async for line in lines:
            await self._take(line)
            if not self._heard:
                break
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=LAST_WORDS_S)
        for task in list(self._under_way.values()):
            task.cancel()

    async def _take(self, line: bytes) -> None:
        try:
            frame = frames.read(line)
        except Unreadable as error:
            self._say(failure(error.id, error.number, str(error)))
            return
        if frame is None:
            return
        if frame.id is None:
            await self._notify(frame)
        elif frame.id in self._under_way:
            self._say(failure(frame.id, INVALID_REQUEST, "this id is being answered"))
        elif frame.method == "initialize":
            await self._answer(frame)
        else:
            await self._begin(frame, frame.id)

    async def _begin(self, frame: Frame, number: Id) -> None:
        await self._slots.acquire()
        task = asyncio.create_task(self._answer(frame))
        self._under_way[number] = task
        task.add_done_callback(lambda _: self._done(number))

    def _done(self, number: Id) -> None:
        del self._under_way[number]
        self._slots.release()

    async def _answer(self, frame: Frame) -> None:
        self._say(await self._gateway.ask(frame))

    def _say(self, line: bytes) -> None:
        try:
            self._write(line)
        except OSError:
            self._heard = False

    async def _notify(self, frame: Frame) -> None:
        asked = frame.params.get("requestId")
        if frame.method == _CANCELLED and isinstance(asked, str | int) and asked in self._under_way:
            self._under_way[asked].cancel()  # hanging up is what tells the gateway
        else:
            await self._gateway.ask(frame)
