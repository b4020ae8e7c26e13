"""Activation: how a set of policy files comes into force.

Files are only ever proposed. A proposal is read until two readings are equal, compiled against the
catalogue, and named by its digest; activating that digest is an entry of the log, one assignment,
and a new epoch. A proposal that does not compile changes nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from audit.errors import AuditUnavailable
from gateway.catalogue.review import Review
from gateway.catalogue.tools import Catalogue
from gateway.errors import ActivationRefused
from gateway.recorder import Recorder
from gateway.world import Contents, World, Worlds
from policies.compile import compile_snapshot
from policies.errors import PolicyError
from policies.loader import read_policies
from policies.pinned import ToolSchema
from policies.snapshot import Snapshot

log = structlog.get_logger(__name__)

READINGS = 5
WATCH_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Activation:
    """Proposes and activates one set of files."""

    paths: tuple[Path, ...]
    recorder: Recorder
    worlds: Worlds
    _one_at_a_time: asyncio.Lock

    @classmethod
    def of(cls, paths: Sequence[Path], *, recorder: Recorder, worlds: Worlds) -> "Activation":
        """The activation of these files in this gateway."""
        return cls(tuple(paths), recorder, worlds, asyncio.Lock())

    def propose(self) -> Snapshot:
        """Compile the files as they are now against the catalogue in force. Raises PolicyError."""
        return compile_contents(read_stable(self.paths), self.worlds.current.catalogue)

    async def activate(self, digest: str, *, by: str) -> Snapshot:
        """Put the proposal of that digest into force, as recorded.

        Raises ActivationRefused when the files now amount to another digest, PolicyError when
        they do not compile, AuditUnavailable when the change cannot be recorded.
        """
        async with self._one_at_a_time:
            catalogue = self.worlds.current.catalogue
            contents = read_stable(self.paths)
            snapshot = compile_contents(contents, catalogue)
            if snapshot.digest != digest:
                raise ActivationRefused(
                    "policy.other-digest", f"the files now amount to {snapshot.digest}"
                )
            await self._record(snapshot.digest, by=by)
            self._replace(World(snapshot, catalogue, contents))
            return snapshot

    async def accept(self, review: Review, server: str, digest: str, *, by: str) -> None:
        """Accept what a server offers, and put the policy in force onto the new catalogue.

        Raises what `Review.accept` does, and PolicyError when the policy in force would not
        compile any more; then nothing has changed.
        """
        async with self._one_at_a_time:
            contents = self.worlds.current.contents

            def check(catalogue: Catalogue) -> None:
                compile_contents(contents, catalogue)

            catalogue = await review.accept(server, digest, by=by, check=check)
            snapshot = compile_contents(contents, catalogue)
            await self._record(snapshot.digest, by=by)
            self._replace(World(snapshot, catalogue, contents))

    def observed(self, catalogue: Catalogue) -> None:
        """Tools were blocked or unblocked by what their server offers: no rule has changed."""
        current = self.worlds.current
        if catalogue.digest == current.catalogue.digest:
            self.worlds.current = replace(current, catalogue=catalogue)

    async def watch(self) -> None:
        """Activate every change of the files that compiles, until cancelled; for `dev` only."""
        seen = _stamps(self.paths)
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            found = _stamps(self.paths)
            if found != seen:
                seen = found
                await self._take_over()

    async def _take_over(self) -> None:
        try:
            digest = self.propose().digest
            if digest != self.worlds.current.snapshot.digest:
                await self.activate(digest, by="file")
        except (PolicyError, ActivationRefused, AuditUnavailable) as error:
            log.error("policy.kept", reason=str(error))

    async def _record(self, digest: str, *, by: str) -> None:
        before = self.worlds.current.snapshot.digest
        fields = {"snapshot": digest, "before": before, "by": by}
        await self.recorder.write("policy.changed", fields)

    def _replace(self, world: World) -> None:
        self.worlds.current = world
        log.info("policy.activated", snapshot=world.snapshot.digest)


def compile_contents(contents: Contents, catalogue: Catalogue) -> Snapshot:
    """Compile files that were read, by (name, bytes). Raises PolicyError."""
    documents = read_policies(contents)
    return compile_snapshot(documents, schemas(catalogue), lock_digest=catalogue.digest)


def schemas(catalogue: Catalogue) -> Mapping[str, ToolSchema]:
    """What the policy compiler checks conditions against, by `server.tool`."""
    return {
        tool.qualified: ToolSchema(tool.qualified, tool.pin, tool.input_schema)
        for tool in catalogue.tools()
    }


def _stamps(paths: Sequence[Path]) -> tuple[tuple[int, int] | None, ...]:
    """Size and time of each file; None for one that is not there."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def read_stable(paths: Sequence[Path]) -> Contents:
    """Read files until two readings are equal, so that no half-written file is compiled.

    Raises ActivationRefused when one cannot be read, or they do not stand still.
    """
    before = _read(paths)
    for _ in range(READINGS):
        after = _read(paths)
        if after == before:
            return after
        before = after
    raise ActivationRefused("policy.moving", "the policy files change while they are read")


def _read(paths: Sequence[Path]) -> Contents:
    contents = []
    for path in paths:
        try:
            contents.append((str(path), path.read_bytes()))
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ActivationRefused("policy.unreadable", f"{path}: {why}") from error
    return tuple(contents)
