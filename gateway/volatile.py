"""Volatile folders: where memory pretends to be a disk, and a log would not outlive the machine.

An acknowledged entry survives power loss only on a file system that has something below it; a
sync on `tmpfs` succeeds and keeps nothing.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MOUNTS = Path("/proc/self/mountinfo")
"""What is mounted where, as this process sees it (proc(5))."""

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "rootfs"})
_ESCAPE = re.compile(r"\\([0-7]{3})")


def is_volatile(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Tell whether what is written to `folder` lies in memory alone.

    folder  need not exist yet

    False where the system has no such table (it is Linux's): nothing is known there.
    """
    try:
        table = mounts.read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    real = PurePosixPath(folder.resolve())
    holding = [(point, kind) for point, kind in _mounted(table) if real.is_relative_to(point)]
    # The deepest mount holds the folder; of several at one place, the last hides the others.
    deepest = max((len(point.parts) for point, _ in holding), default=0)
    kinds = [kind for point, kind in holding if len(point.parts) == deepest]
    return bool(kinds) and kinds[-1] in _IN_MEMORY


def _mounted(table: str) -> Iterator[tuple[PurePosixPath, str]]:
    """Mount point and type of file system, line by line."""
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and after:
            point = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4])
            yield PurePosixPath(point), after.split(" ")[0]
