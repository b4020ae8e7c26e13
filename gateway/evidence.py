"""Evidence: the log with all that belongs to it, opened and closed as one.

The log is the truth; beside it are its published form (for whoever verifies), its index (for
whoever searches) and the recorder (for whoever writes). Closing publishes the rest and leaves the
mark of a clean end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from audit.errors import AuditError
from audit.files import Files
from audit.index import Index
from audit.layout import CHECKPOINT
from audit.log import Log
from audit.note import Signer
from audit.sealed import Vault
from audit.tiles import Publisher
from gateway.home import Home
from gateway.notation import milliseconds
from gateway.operator.columns import COLUMNS
from gateway.recorder import Recorder
from gateway.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The open log; `vkey` is the key that verifies it."""

    log: Log
    recorder: Recorder
    index: Index
    publisher: Publisher
    vkey: str


@asynccontextmanager
async def evidence(
    settings: Settings, home: Home, *, clock: Callable[[], int], disk: Files
) -> AsyncIterator[Evidence]:
    """Open the log of a home, and close it again. Raises AuditError or OSError.

    clock  microseconds since 1970
    """
    signer = Signer(settings.audit.origin, home.log_key())
    size = settings.audit.segment_bytes
    published = _published(home.tiles / CHECKPOINT)
    entries = Log.open(
        home.log,
        signer=signer,
        segment_bytes=size,
        clock=clock,
        files=disk,
        published=published,
    )
    try:
        every_s = milliseconds(settings.audit.checkpoint_every) / 1000
        publisher = Publisher(entries, home.tiles, every_s, alarm=_alarm)
        index = Index(home.search_index, entries, COLUMNS)
        recorder = Recorder(entries, Vault.open(home.subject_keys, home.vault_key()))
        publisher.start()
        index.start()
        try:
            yield Evidence(entries, recorder, index, publisher, signer.vkey)
        finally:
            await asyncio.to_thread(_close, publisher, index)
    finally:
        await entries.close()


def _published(path: Path) -> bytes | None:
    """The newest checkpoint that was given out: a log that does not contain it was put back."""
    return path.read_bytes() if path.exists() else None


def _close(publisher: Publisher, index: Index) -> None:
    try:
        publisher.close()
    except (AuditError, OSError) as error:
        _alarm(error)
    index.close()


def _alarm(error: Exception) -> None:
    log.error("log.unpublished", reason=str(error))
