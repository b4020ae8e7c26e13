"""Diagnostics: what operators read on standard error, one JSON object a line.

They help to find a fault and may be lost; evidence is in the log (`audit`). Everything that this
process says comes through here: our own events, with the id of the request they belong to, and
what other libraries say through the standard `logging`. Nothing leaves without `Redaction`.
"""

import json
import logging
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from gateway.redaction import WITHHELD, Redaction

Level = Literal["debug", "info", "warning", "error"]
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SAY_NO_WORDS = ("uvicorn", "py.warnings")
"""Libraries whose messages hold nothing of a request, at the levels that are let through."""


def configure(*, level: Level, redaction: Redaction, stream: TextIO) -> None:
    """Send all diagnostics of this process to `stream`.

    level  of our own events; other libraries are heard from `warning` on
    """
    output = _Output(stream)
    structlog.configure(
        processors=[
            _name_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Finish(redaction),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=output.named,
        cache_logger_on_first_use=False,  # loggers are made at import, before this is called
    )
    root = logging.getLogger()
    root.handlers[:] = [_Foreign(logging.WARNING)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def begin_request(request_id: str) -> None:
    """Name the request that everything said from now on, in this task, belongs to."""
    _request.set(request_id)


# Of our own: structlog's look through every variable of the context, for each call.
_request: ContextVar[str | None] = ContextVar("request", default=None)


def _name_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    request_id = _request.get()
    if request_id is not None:
        event.setdefault("request", request_id)
    return event


class _Output:
    """Where lines end. That one cannot be written is no reason for anything else to fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def named(self, *names: str) -> "_Logger":
        return _Logger(self, names[0] if names else "")

    def write(self, line: str) -> None:
        with self._lock, suppress(OSError, ValueError):  # gone, full or closed
            self._stream.write(line + "\n")
            self._stream.flush()


class _Logger:
    """The end of a structlog chain: the last processor has made the line."""

    def __init__(self, output: _Output, name: str) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = output.write


class _Finish:
    """The last processor: redacts every member and writes the object."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(self, logger: WrappedLogger, _method: str, event: EventDict) -> str:
        raised = event.pop("exc_info", None)
        event.setdefault("logger", logger.name)
        shown = self._redaction.members(event)
        error = _raised(raised)
        if error is not None:
            shown["error"] = self._redaction.error(error)
        return json.dumps(shown)


class _Foreign(logging.Handler):
    """Brings what other libraries log into the same chain.

    Their messages may quote a request: what a library fills into its message is left out, and a
    message that was filled in beforehand cannot be told from a constant and is withheld.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record; raises nothing (see `logging.Handler`)."""
        try:
            structlog.get_logger(record.name).log(
                logging.ERROR if record.levelno >= logging.ERROR else logging.WARNING,
                "library.said",
                text=_said(record),
                place=f"{record.module}:{record.lineno}",
                exc_info=record.exc_info,
            )
        except Exception:  # noqa: BLE001 - a library's record must not end what it was doing
            with suppress(OSError, ValueError):
                sys.stderr.write('{"event": "diagnostics.failed"}\n')


def _said(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in _SAY_NO_WORDS or record.name in _SAY_NO_WORDS:
        return record.getMessage()
    return str(record.msg) if record.args else WITHHELD


def _raised(
    info: BaseException | tuple[type, BaseException, TracebackType] | bool | None,  # noqa: FBT001 - as structlog has it
) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        return info[1]
    return sys.exception() if info else None
