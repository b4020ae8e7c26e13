"""Server-sent events: a stream of messages in one HTTP answer, taken apart as it arrives.

WHATWG HTML, section 9.2.6. Only the data of `message` events is of use; ids and retry times are
for resuming, which is never done: an answer that is lost is unknown.
"""

from collections.abc import Iterator


class EventStream:
    """Turns chunks into the data of events."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._after_cr = False
        self._data: list[bytes] = []
        self._kind = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each event that this chunk completes; events without data are left out."""
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        first, *lines = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest.append(first)
        for line in lines:
            complete = b"".join(self._rest)
            self._rest = [line]
            if complete:
                self._take(complete)
            elif (data := self._dispatch()) is not None:
                yield data

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name.removeprefix(b"\xef\xbb\xbf") == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value

    def _dispatch(self) -> bytes | None:
        data, kind = b"\n".join(self._data), self._kind
        self._data, self._kind = [], b""
        return data if data and kind in (b"", b"message") else None
