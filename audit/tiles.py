"""Publishing the log in the background: about a second behind it, and at the end all of it.

The published form is C2SP tlog-tiles (`audit.layout`); what is written and in which order stands in
`audit.publication`, and how anyone verifies it in `audit.verify`.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from audit.checkpoint import Checkpoint
from audit.errors import AuditError
from audit.publication import Publication, Source

_AGAIN_S = 600.0


class Publisher:
    """Keeps a folder up with the log, from a thread of its own.

    every_s  seconds between two looks at the log
    again_s  seconds after which the checkpoint is put there again though the log has not grown
    alarm    called in the thread with a TileConflict, LogRolledBack or LogDamaged, after which
             nothing is published any more, or with an OSError, after which it is tried again
    """

    def __init__(
        self,
        log: Source,
        folder: Path,
        every_s: float = 1.0,
        *,
        again_s: float = _AGAIN_S,
        alarm: Callable[[Exception], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._folder = log, folder
        self._every_s, self._again_s = every_s, again_s
        self._alarm, self._monotonic = alarm, monotonic
        self._lock = threading.Lock()  # over what follows
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._publication: Publication | None = None
        self._published_at = 0.0
        self.checkpoint: Checkpoint | None = None
        """What is published, as far as this publisher has seen to it."""
        self.error: Exception | None = None
        """Why the last attempt failed; None when it did not."""

    @property
    def age_s(self) -> float | None:
        """Seconds since the checkpoint was put there by this publisher; None before that."""
        return None if self.checkpoint is None else self._monotonic() - self._published_at

    def start(self) -> None:
        """Begin; returns at once."""
        assert self._thread is None, "a publisher is started once"
        self._thread = threading.Thread(target=self._run, name="audit-publisher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and publish what is left; called before the log is closed.

        Raises as `publish_now` does.
        """
        self._stopping.set()
        if self._thread:
            self._thread.join()
        self.publish_now()

    def publish_now(self) -> Checkpoint:
        """Publish the log as it stands, from any thread; return what is published then.

        Raises OSError, TileConflict when the folder holds something else than the log gives,
        LogRolledBack when it holds more, or LogDamaged when the log cannot be read.
        """
        with self._lock:
            return self._publish()

    def _publish(self) -> Checkpoint:
        before = self._publication
        publication = before or Publication(self._log, self._folder)
        self._publication = None  # after a failure the folder is opened anew
        old = publication.checkpoint
        published = publication.publish()
        if published != old or not before:
            self._published_at = self._monotonic()
        elif self._monotonic() - self._published_at >= self._again_s:
            publication.renew()
            self._published_at = self._monotonic()
        self._publication, self.checkpoint, self.error = publication, published, None
        return published

    def _run(self) -> None:
        while not self._failed() and not self._stopping.wait(self._every_s):
            pass

    def _failed(self) -> bool:
        """Publish, and return whether that is over for good."""
        try:
            self.publish_now()
        except (OSError, AuditError) as error:
            known = str(error) == str(self.error)
            self.error = error
            if self._alarm and not known:
                self._alarm(error)
            return isinstance(error, AuditError)
        return False
