"""Busy callers: connections that call a tool again and again, and note when they are refused."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field

PATH = "/v1/tools/stub/look"
_PAUSE_S = 0.002


@dataclass
class Caller:
    """One connection of one agent's session, and what became of its calls.

    refused_at  when the first answer of the present row of refusals came; None while calls pass
    passed      calls that passed since the start
    strays      calls that began after a refusal and passed, before `forgive` was called
    """

    authority: str
    token: str
    refused_at: float | None = None
    code: str | None = None
    passed: int = 0
    strays: int = 0
    _forgiven: bool = True
    _number: int = field(default=0)

    def forgive(self) -> None:
        """Rights have been given back: from now on calls may pass again."""
        self._forgiven = True

    def accuse(self) -> None:
        """Something is about to be withdrawn: after a refusal no call may pass."""
        self._forgiven = False

    async def run(self) -> None:
        """Call until cancelled."""
        host, _, port = self.authority.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            while True:
                began = time.perf_counter()
                writer.write(self._request())
                status, body = await _answer(reader)
                self._note(began, status, body)
                await asyncio.sleep(_PAUSE_S if self.refused_at is not None else 0)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _note(self, began: float, status: int, body: bytes) -> None:
        if status == 200:
            if self.refused_at is not None and began > self.refused_at and not self._forgiven:
                self.strays += 1
            self.refused_at, self.code = None, None
            self.passed += 1
            return
        if self.refused_at is None:
            self.refused_at = time.perf_counter()
        self.code = str(json.loads(body).get("code"))

    def _request(self) -> bytes:
        self._number += 1
        body = json.dumps({"number": self._number, "text": "is it still so?"}).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {self.authority}\r\nAuthorization: Bearer {self.token}"
            f"\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
