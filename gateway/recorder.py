"""The recorder: how the gateway writes entries, with what they hold of others' words sealed.

Arguments, results and reasons never stand in an entry in clear. The entry carries a keyed
commitment and a length; the ciphertext travels beside it under a key of its own subject (the
person, else the agent), so that destroying that key erases the words and leaves the proof.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog

from audit.canonical import Json
from audit.entry import Entry, Receipt, Record
from audit.log import Log
from audit.sealed import Sealed, Vault

log = structlog.get_logger(__name__)

MAX_SEALED = 64 * 1024
"""Longest text, in bytes, that is kept sealed; of a longer one the log holds its commitment."""


class Recorder:
    """Writes typed entries into one log; every waiting write returns when it is durable."""

    def __init__(self, log: Log, vault: Vault) -> None:
        self._log = log
        self._vault = vault
        # Asked several times in each call: the log's own, without a step between.
        self.now = log.now
        """Microseconds since the epoch; never less than the time of the last entry."""
        self.new_id = log.new_id
        """A new UUIDv7."""

    @property
    def origin(self) -> str:
        """The name of the log."""
        return self._log.origin

    @property
    def size(self) -> int:
        """How many entries are durable."""
        return self._log.size

    def write(
        self, kind: str, fields: Mapping[str, Json], *, reserved: bool = True
    ) -> "asyncio.Future[Receipt]":
        """Record an act of administration or approval; the future is done when it is durable.

        reserved  it has its own reserve of disk; not for what a stranger can cause at will

        Raises EntryRefused or AuditUnavailable, as the future does. What is recorded later stands
        behind it in the log, and is not durable before.
        """
        record = Record(self._log.new_id(), kind, fields)
        return self._log.enqueue(record, reserved=reserved)

    def write_sealed(
        self, kind: str, fields: dict[str, Json], *, subject: str, name: str, words: bytes
    ) -> "asyncio.Future[Receipt]":
        """Record `fields` with `words` sealed as member `name`; see `write`."""
        record = self.seal(
            self._log.new_id(), kind, fields, subject=subject, name=name, words=words
        )
        return self._log.enqueue(record, reserved=True)

    def seal(
        self,
        entry_id: str,
        kind: str,
        fields: dict[str, Json],
        *,
        subject: str,
        name: str,
        words: bytes,
    ) -> Record:
        """A record whose member `name` commits to `words`; `fields` is completed in place."""
        sealed = self._vault.seal(subject, entry_id, words)
        is_kept = sealed.length <= MAX_SEALED
        fields[name] = {"commit": sealed.commit, "kept": is_kept, "len": sealed.length}
        return Record(entry_id, kind, fields, sealed if is_kept else None)

    def decide(
        self, call_id: str, fields: dict[str, Json], *, subject: str, words: bytes
    ) -> "asyncio.Future[Receipt]":
        """Write the decision entry of a call, with its arguments sealed; see `enqueue`."""
        record = self.seal(call_id, "decision", fields, subject=subject, name="args", words=words)
        return self._log.enqueue(record)

    def enqueue(self, record: Record) -> "asyncio.Future[Receipt]":
        """Write a record, made by `seal` for one; the future is done when it is durable.

        Raises EntryRefused or AuditUnavailable, as the future does.
        """
        return self._log.enqueue(record)

    def leave(self, record: Record, event: str) -> None:
        """Write a record with the next batch, for which nobody waits.

        event  what diagnostics say when it was not written

        Raises EntryRefused or AuditUnavailable for what is known at once.
        """
        self._log.leave(record, partial(_say_lost, event))

    def entry(self, index: int) -> Entry:
        """A durable entry, checked against the signed root. Blocks while it is read.

        Raises NoSuchEntry, LogDamaged or OSError.
        """
        return self._log.entry(index)

    def words(self, index: int, name: str) -> bytes | None:
        """What entry `index` holds sealed as member `name`; None when nothing is kept.

        Raises SubjectErased when its key was destroyed, SealBroken when it is not what the entry
        commits to.
        """
        entry = self._log.entry(index)
        body = entry.body
        if entry.sealed is None or name not in body:
            return None
        promised = body[name]
        sealed = Sealed(promised["commit"], promised["len"], entry.sealed)
        return self._vault.open_payload(body["id"], sealed)


def _say_lost(event: str, error: BaseException) -> None:
    log.error(event, reason=type(error).__name__)
