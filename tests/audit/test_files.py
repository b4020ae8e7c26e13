import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.files import OsFiles, is_volatile, write_all
from tests.audit.disks import FailingFiles


def test_a_new_file_is_private_full_of_zeros_and_takes_its_space(tmp_path: Path) -> None:
    files = OsFiles()
    descriptor = files.create(tmp_path / "new", 3 << 20)
    assert files.read(descriptor, 4 << 20, 0) == bytes(3 << 20)
    assert files.size(descriptor) == 3 << 20
    status = os.fstat(descriptor)
    files.close(descriptor)
    assert status.st_blocks * 512 >= 3 << 20
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_a_file_that_cannot_be_made_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError("no")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no"):
        OsFiles().create(tmp_path / "new", 1000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    files = OsFiles()
    held = files.lock(tmp_path)
    with pytest.raises(BlockingIOError):
        files.lock(tmp_path)
    files.close(held)
    files.close(files.lock(tmp_path))


def test_a_finished_file_is_opened_for_reading_alone(tmp_path: Path) -> None:
    files = OsFiles()
    path = tmp_path / "file"
    files.close(files.create(path, 10))
    files.protect(path)
    descriptor = files.open(path)
    assert files.read(descriptor, 10, 0) == bytes(10)
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.write(descriptor, b"x", 0)
    files.close(descriptor)


def test_short_writes_are_completed(tmp_path: Path) -> None:
    files = FailingFiles()
    descriptor = files.create(tmp_path / "file", 1000)
    files.short = True
    data = os.urandom(700)
    write_all(files, descriptor, data, 100)
    assert files.read(descriptor, 700, 100) == data
    files.close(descriptor)


class Reluctant(OsFiles):
    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        return 0


def test_a_write_that_never_ends_is_an_error() -> None:
    with pytest.raises(OSError, match="no more bytes"):
        write_all(Reluctant(), 0, b"data", 0)


def refused(*_arguments: object) -> int:
    raise OSError(errno.EOPNOTSUPP, "an unknown flag")


def half(descriptor: int, parts: tuple[bytes], offset: int, _flags: int) -> int:
    return os.pwrite(descriptor, parts[0][: len(parts[0]) // 2], offset)


@pytest.mark.parametrize("take", [None, refused, half], ids=["at-once", "not-offered", "short"])
def test_what_is_written_durably_is_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, take: Callable[..., int] | None
) -> None:
    files, synced = OsFiles(), list[int]()
    if take:
        monkeypatch.setattr("os.pwritev", take)
    monkeypatch.setattr(OsFiles, "sync", lambda _, descriptor: synced.append(descriptor))
    descriptor = files.create(tmp_path / "file", 1000)
    data = os.urandom(701)
    files.write_durably(descriptor, data, 100)
    assert files.read(descriptor, 1000, 0) == bytes(100) + data + bytes(199)
    assert synced == ([descriptor] if take or sys.platform != "linux" else [])
    files.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="written and synced in two steps elsewhere")
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failure_to_write_durably_is_not_tried_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_arguments: object) -> int:
        raise OSError(code, "no")

    files = OsFiles()
    descriptor = files.create(tmp_path / "file", 1000)
    monkeypatch.setattr("os.pwritev", fail)
    with pytest.raises(OSError, match="no"):
        files.write_durably(descriptor, b"data", 0)
    assert files.read(descriptor, 1000, 0) == bytes(1000)
    files.close(descriptor)


MEMORY = Path("/dev/shm")  # noqa: S108 - nothing is written there


@pytest.mark.skipif(not MEMORY.is_dir(), reason="no folder is known to be in memory")
def test_a_folder_in_memory_is_known() -> None:
    assert is_volatile(MEMORY)
