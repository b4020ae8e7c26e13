"""The publisher: whatever happens to it, the folder verifies and is continued."""

import asyncio
import errno
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.durable import DurableFolder
from audit.entry import Entry, Record
from audit.errors import LogRolledBack, TileConflict
from audit.files import OsFiles
from audit.layout import CHECKPOINT
from audit.log import Log
from audit.note import Signer
from audit.tiles import Publisher
from audit.verify import verify_directory
from tests.independent import tlog_reader

SIGNER = Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
SIZES = [0, 1, 2, 200, 255, 256, 257, 300, 511, 512, 513, 1100]

OpenLog = Callable[[str], Log]


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[OpenLog]:
    opened: list[Log] = []

    def open_(name: str) -> Log:
        (tmp_path / name).mkdir(exist_ok=True)
        opened.append(Log.open(tmp_path / name, signer=SIGNER, segment_bytes=1 << 20))
        return opened[-1]

    yield open_
    for log in opened:
        log.close_now()


@pytest.fixture
def log(open_log: OpenLog) -> Log:
    return open_log("log")


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    return tmp_path / "tiles"


def grow(log: Log, size: int) -> None:
    async def append() -> None:
        waiting = [
            log.enqueue(Record(log.new_id(), "decision", {"number": number}))
            for number in range(log.size, size)
        ]
        await asyncio.gather(*waiting)

    asyncio.run(append())
    assert log.size == size


def assert_published(tiles: Path, size: int) -> None:
    report = verify_directory(tiles, SIGNER.vkey)
    assert report.findings == ()
    assert report.size == size


def partial_files(tiles: Path) -> set[str]:
    return {str(path.relative_to(tiles / "tile")) for path in tiles.rglob("*.p/*")}


@pytest.mark.parametrize("restarts", [False, True], ids=["one-publisher", "one-for-each-size"])
def test_a_log_is_published_as_it_grows(log: Log, tiles: Path, *, restarts: bool) -> None:
    publisher = Publisher(log, tiles)
    for size in SIZES:
        grow(log, size)
        publisher = Publisher(log, tiles) if restarts else publisher
        assert publisher.publish_now().size == size
        assert_published(tiles, size)
        entries = tlog_reader.read_log(tiles, SIGNER.vkey, SIGNER.name).entries
        assert entries == [entry.raw for entry in log.entries()]


def test_partial_tiles_stay_for_published_sizes_until_the_full_one_is_published(
    log: Log, tiles: Path
) -> None:
    publisher = Publisher(log, tiles)
    for size in (3, 100):
        grow(log, size)
        publisher.publish_now()
    assert partial_files(tiles) == {
        "0/000.p/3",
        "0/000.p/100",
        "entries/000.p/3",
        "entries/000.p/100",
    }
    grow(log, 257)
    publisher.publish_now()
    assert partial_files(tiles) == {"0/001.p/1", "1/000.p/1", "entries/001.p/1"}
    grow(log, 512)
    publisher.publish_now()
    assert partial_files(tiles) == {"1/000.p/1", "1/000.p/2"}


def test_partial_tiles_that_a_crash_has_left_are_removed_by_the_next_publisher(
    log: Log, tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(log, 3)
    publisher = Publisher(log, tiles)
    publisher.publish_now()
    grow(log, 256)
    with monkeypatch.context() as patch:
        patch.setattr(DurableFolder, "remove", lambda *_: None)
        publisher.publish_now()
    assert "0/000.p/3" in partial_files(tiles)
    assert_published(tiles, 256)
    Publisher(log, tiles).publish_now()
    assert partial_files(tiles) == {"1/000.p/1"}


def test_nothing_is_written_while_the_log_does_not_grow(log: Log, tiles: Path) -> None:
    now = 0.0
    publisher = Publisher(log, tiles, again_s=600, monotonic=lambda: now)
    grow(log, 5)
    publisher.publish_now()
    before = (tiles / CHECKPOINT).stat().st_ino, (tiles / CHECKPOINT).read_bytes()
    now = 599
    publisher.publish_now()
    assert ((tiles / CHECKPOINT).stat().st_ino, publisher.age_s) == (before[0], 599)
    now = 600
    publisher.publish_now()
    assert ((tiles / CHECKPOINT).stat().st_ino != before[0], publisher.age_s) == (True, 0)
    assert (tiles / CHECKPOINT).read_bytes() == before[1]


def test_a_folder_of_which_all_but_the_checkpoint_is_lost_is_filled_again(
    log: Log, tiles: Path
) -> None:
    grow(log, 700)
    Publisher(log, tiles).publish_now()
    (tiles / "tile").rename(tiles.parent / "lost")
    assert not verify_directory(tiles, SIGNER.vkey).ok
    Publisher(log, tiles).publish_now()
    assert_published(tiles, 700)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002.p/188",
        "tile/entries/002.p/188",
        "tile/0/001",
        "tile/entries/000",
        "tile/1/000.p/2",
    ],
)
def test_a_differing_file_is_an_alarm_and_stays(log: Log, tiles: Path, path: str) -> None:
    grow(log, 700)
    Publisher(log, tiles).publish_now()
    raw = (tiles / path).read_bytes()
    (tiles / path).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    (tiles / CHECKPOINT).unlink()
    for _ in range(2):
        with pytest.raises(TileConflict, match=path):
            Publisher(log, tiles).publish_now()
    assert (tiles / path).read_bytes() != raw
    assert not (tiles / CHECKPOINT).exists()


@pytest.mark.parametrize("path", ["tile/0/002.p/188", "tile/1/000.p/2"])
def test_a_differing_edge_is_an_alarm_though_the_checkpoint_is_right(
    log: Log, tiles: Path, path: str
) -> None:
    grow(log, 700)
    Publisher(log, tiles).publish_now()
    (tiles / path).write_bytes(bytes((tiles / path).stat().st_size))
    with pytest.raises(TileConflict, match=path):
        Publisher(log, tiles).publish_now()


@pytest.mark.parametrize("note", [b"", b"garbage", b"log.example/a\n1\n\n\n"])
def test_an_unreadable_checkpoint_is_an_alarm(log: Log, tiles: Path, note: bytes) -> None:
    Publisher(log, tiles).publish_now()
    (tiles / CHECKPOINT).write_bytes(note)
    with pytest.raises(TileConflict, match=CHECKPOINT):
        Publisher(log, tiles).publish_now()
    assert (tiles / CHECKPOINT).read_bytes() == note


@pytest.mark.parametrize("size", [299, 0])
def test_a_log_shorter_than_what_is_published_is_an_alarm(
    log: Log, open_log: OpenLog, tiles: Path, size: int
) -> None:
    grow(log, 300)
    Publisher(log, tiles).publish_now()
    other = open_log("other")
    grow(other, size)
    with pytest.raises(LogRolledBack) as raised:
        Publisher(other, tiles).publish_now()
    assert (raised.value.found, raised.value.expected) == (size, 300)
    assert_published(tiles, 300)


@pytest.mark.parametrize("size", [300, 301, 600])
def test_another_history_is_an_alarm(log: Log, open_log: OpenLog, tiles: Path, size: int) -> None:
    grow(log, 300)
    Publisher(log, tiles).publish_now()
    before = (tiles / CHECKPOINT).read_bytes()
    other = open_log("other")
    grow(other, size)
    with pytest.raises(TileConflict):
        Publisher(other, tiles).publish_now()
    assert (tiles / CHECKPOINT).read_bytes() == before


# --- dying at every step


class _Fault:
    """Lets one step fail, before or after it has taken effect, and counts the steps."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, *, persists: bool) -> None:
        self._at, self._persists, self.steps = at, persists, 0
        for owner, names in _STEPS.items():
            for name in names:
                patch.setattr(owner, name, self._failing(getattr(owner, name)))

    def _failing(self, step: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **keywords: object) -> object:
            self.steps += 1
            number = self.steps
            if number == self._at and not self._persists:
                raise OSError(errno.EIO, "planted before")
            result = step(*args, **keywords)
            if number == self._at:
                raise OSError(errno.EIO, "planted after")
            return result

        return run


_STEPS: dict[type, list[str]] = {
    OsFiles: ["write_durably", "sync_folder", "rename"],
    DurableFolder: ["_put", "_stage", "_make", "remove"],
}


@pytest.mark.parametrize("persists", [False, True], ids=["fails", "fails-but-persists"])
@pytest.mark.parametrize(("old", "new"), [(0, 3), (200, 600)])
def test_the_folder_verifies_and_is_continued_after_a_failure_at_any_step(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: int, new: int, *, persists: bool
) -> None:
    grow(log, old)
    Publisher(log, tmp_path / "old").publish_now()
    grow(log, new)
    for at in count(1):
        tiles = tmp_path / str(at)
        shutil.copytree(tmp_path / "old", tiles)
        with monkeypatch.context() as patch:
            fault = _Fault(patch, at, persists=persists)
            publisher = Publisher(log, tiles)
            with suppress(OSError):
                publisher.publish_now()
        report = verify_directory(tiles, SIGNER.vkey)
        assert (report.findings, report.size in (old, new)) == ((), True)
        (publisher if at % 2 else Publisher(log, tiles)).publish_now()
        assert_published(tiles, new)
        if fault.steps < at:
            break
    assert at > 20


def test_a_log_at_work_can_be_verified_while_it_is_published(log: Log, tiles: Path) -> None:
    publisher = Publisher(log, tiles)
    publisher.publish_now()
    over = threading.Event()

    def work() -> None:
        for size in range(7, 1500, 37):
            grow(log, size)
            publisher.publish_now()
        over.set()

    thread = threading.Thread(target=work)
    thread.start()
    reports = [verify_directory(tiles, SIGNER.vkey)]
    while not over.is_set():
        reports.append(verify_directory(tiles, SIGNER.vkey))
    thread.join()
    assert [report.findings for report in reports if not report.ok] == []
    sizes = [report.size or 0 for report in reports]
    assert sizes == sorted(sizes)


# --- in the background


def _wait(event: threading.Event) -> None:
    assert event.wait(20), "the publisher's thread has not come so far"


def test_the_thread_publishes_at_once_and_close_publishes_the_rest(log: Log, tiles: Path) -> None:
    looked = threading.Event()
    looks = _Watched(log, looked)
    grow(log, 3)
    publisher = Publisher(looks, tiles, every_s=3600)
    publisher.start()
    _wait(looked)
    grow(log, 5)
    publisher.close()
    assert_published(tiles, 5)
    assert publisher.checkpoint is not None
    assert (publisher.checkpoint.size, publisher.error) == (5, None)


def test_the_thread_goes_on_looking(log: Log, tiles: Path) -> None:
    looked = threading.Event()
    publisher = Publisher(_Watched(log, looked, times=5), tiles, every_s=0.001)
    publisher.start()
    _wait(looked)
    publisher.close()


def test_a_conflict_ends_the_thread_with_one_alarm(log: Log, tiles: Path) -> None:
    grow(log, 3)
    Publisher(log, tiles).publish_now()
    (tiles / CHECKPOINT).write_bytes(b"garbage")
    alarms: list[Exception] = []
    publisher = Publisher(log, tiles, every_s=0.001, alarm=alarms.append)
    publisher.start()
    with pytest.raises(TileConflict):
        publisher.close()
    assert [type(alarm) for alarm in alarms] == [TileConflict]
    assert isinstance(publisher.error, TileConflict)


def test_trouble_with_the_disk_is_told_once_and_passes(
    log: Log, tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered, alarms, attempts = threading.Event(), list[Exception](), count(1)
    write = OsFiles.write_durably

    def failing(files: OsFiles, descriptor: int, data: bytes, offset: int) -> None:
        if threading.current_thread().name == "audit-publisher" and next(attempts) <= 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(files, descriptor, data, offset)
        recovered.set()

    grow(log, 3)
    monkeypatch.setattr(OsFiles, "write_durably", failing)
    publisher = Publisher(log, tiles, every_s=0.001, alarm=alarms.append)
    publisher.start()
    _wait(recovered)
    publisher.close()
    assert [str(alarm) for alarm in alarms] == ["[Errno 28] No space left on device"]
    assert publisher.error is None
    assert_published(tiles, 3)


class _Watched:
    """A log that tells when it has been asked so many times."""

    def __init__(self, log: Log, asked: threading.Event, times: int = 1) -> None:
        self._log, self._asked, self._times = log, asked, times

    def signed_checkpoint(self) -> bytes:
        note = self._log.signed_checkpoint()
        self._times -= 1
        if self._times == 0:
            self._asked.set()
        return note

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        return self._log.entries(start, stop)
