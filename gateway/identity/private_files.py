"""Private files: one secret a file, readable by the account that runs the gateway and nobody else.

The folder is 0700 and each file 0600. Whatever is looser, a link, or another's is refused rather
than repaired: who could read it may have done so, and only a person can judge that.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from audit.files import sync_folder
from gateway.identity.errors import KeyFileRefused

MAX_BYTES = 64 * 1024
"""Longest file that is read."""


def folder(path: Path) -> Path:
    """Make the folder when it is missing, and check it.

    Raises KeyFileRefused when it is a link, no folder, another account's, or open to others.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise KeyFileRefused("not a folder of its own", path=path)
    _check_private(found, path)
    return path


def read(path: Path) -> bytes:
    """The content of a private file.

    Raises KeyFileRefused when it is a link, no plain file, linked twice, another account's, open
    to others, or too long.
    """
    try:
        # NONBLOCK: opening a pipe that somebody put there must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileRefused(f"not readable ({error.strerror})", path=path) from error
    try:
        # Of what is open, not of what the name stands for by now.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise KeyFileRefused("not a plain file of its own", path=path)
        _check_private(found, path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise KeyFileRefused(f"longer than {MAX_BYTES} bytes", path=path)
    return content


def create(path: Path, content: bytes) -> None:
    """Write a new private file; its name appears only once the content is on disk.

    Raises FileExistsError when the name is taken.
    """
    draft = _draft(path, content)
    try:
        os.link(draft, path)  # unlike a rename, never over an existing file
    finally:
        draft.unlink()
    sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Write a private file, in one step, in the place of one that may be there."""
    _draft(path, content).replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Delete a private file for good."""
    path.unlink()
    sync_folder(path.parent)


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # a umask may have taken more
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _check_private(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid():
        raise KeyFileRefused("belongs to another account", path=path)
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise KeyFileRefused(f"open to others (mode {mode:04o})", path=path)
