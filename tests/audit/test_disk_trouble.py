"""A disk that is full, or fails: nobody is told what is not so, and the log recovers by itself."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from audit.entry import Receipt, Record
from audit.errors import AuditUnavailable
from audit.log import Log
from tests.audit.disks import FailingFiles
from tests.audit.stored_logs import SEGMENT, SIGNER

PAD = "x" * 8000


@pytest.fixture
def files() -> FailingFiles:
    return FailingFiles()


@pytest.fixture
async def log(
    tmp_path: Path, files: FailingFiles, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Log]:
    monkeypatch.setattr("audit.scribe.RETRY_S", 0.01)
    log = reopen(tmp_path, files)
    yield log
    files.heal()
    await log.close()
    # Whatever happened: what was acknowledged is there, in order and without a gap in its boot.
    check_sequence(reopen_closed(tmp_path))


def reopen(folder: Path, files: FailingFiles) -> Log:
    return Log.open(folder / "log", signer=SIGNER, segment_bytes=SEGMENT, files=files)


def reopen_closed(folder: Path) -> Log:
    log = reopen(folder, FailingFiles())
    log.close_now()
    return log


def check_sequence(log: Log) -> None:
    boot, seq = "", 0
    for entry in log.entries():
        body = entry.body
        seq = seq + 1 if body["boot"] == boot else 0
        boot = body["boot"]
        assert body["seq"] == seq
    assert log.checkpoint().size == log.size


def record(log: Log, n: int = 0, pad: str = "") -> Record:
    return Record(log.new_id(), "test", {"n": n, "pad": pad})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a thread's doing, which sets no event
            await asyncio.sleep(0.005)


async def fill(log: Log) -> list[Receipt]:
    """Write until ordinary entries are refused."""
    receipts = []
    while log.state != "read_only":
        with suppress(AuditUnavailable):
            receipts.append(await log.append(record(log, pad=PAD)))
    return receipts


@pytest.mark.parametrize(
    ("operation", "name"), [("sync", ".seg"), ("write", ".seg"), ("write", "watermark")]
)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
async def test_a_failure_refuses_all_who_wait_and_the_log_goes_on_when_it_ends(
    log: Log, files: FailingFiles, operation: str, name: str, code: int
) -> None:
    kept = [await log.append(record(log, n)) for n in range(3)]
    boot = log.boot
    files.fail(operation, name, code)
    waiting = [log.enqueue(record(log, n)) for n in range(50)]
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, AuditUnavailable)
        assert outcome.code == "audit_unavailable"
    assert log.state == "read_only"
    assert log.trouble
    with pytest.raises(AuditUnavailable):
        await log.append(record(log), reserved=True)
    files.heal()
    await until(lambda: log.state == "ok")
    assert log.boot != boot
    after = await log.append(record(log))
    assert [log.entry(receipt.index).leaf for receipt in (*kept, after)] == [
        receipt.leaf for receipt in (*kept, after)
    ]
    (recovery,) = (entry for entry in log.entries() if entry.body["kind"] == "recovery")
    assert recovery.body["size"] == recovery.index


async def test_a_failed_sync_is_never_repeated_on_the_same_file(
    log: Log, files: FailingFiles
) -> None:
    await log.append(record(log))
    files.fail("sync", "00000000.seg")
    files.calls.clear()
    with pytest.raises(AuditUnavailable):
        await log.append(record(log))
    await until(lambda: log.state == "ok")  # while that file still fails: it is not needed
    await log.append(record(log))
    assert files.calls.count(("sync", "00000000.seg")) == 1
    assert ("sync", "00000001.seg") in files.calls


async def test_while_the_disk_stays_bad_it_is_tried_again_and_everything_refused(
    log: Log, files: FailingFiles
) -> None:
    await log.append(record(log))
    files.rule = lambda operation, _name: errno.EIO if operation == "sync" else None
    with pytest.raises(AuditUnavailable):
        await log.append(record(log))
    files.calls.clear()
    await until(lambda: files.calls.count(("sync", "spare")) >= 3)
    with pytest.raises(AuditUnavailable):
        await log.append(record(log))
    assert log.size == 1
    files.heal()
    await until(lambda: log.state == "ok")
    assert (await log.append(record(log))).index == 2


async def test_what_was_written_but_not_synced_is_not_part_of_the_log(
    log: Log, files: FailingFiles
) -> None:
    await log.append(record(log))
    files.fail("sync", ".seg")
    with pytest.raises(AuditUnavailable):
        await log.append(record(log, 666))
    files.heal()
    await until(lambda: log.state == "ok")
    await log.append(record(log))
    assert 666 not in [entry.body.get("n") for entry in log.entries()]


async def test_short_writes_are_completed(log: Log, files: FailingFiles) -> None:
    files.short = True
    receipts = await asyncio.gather(*[log.append(record(log, n)) for n in range(100)])
    assert [log.entry(r.index).leaf for r in receipts] == [r.leaf for r in receipts]


class TestAFullDisk:
    async def test_is_noticed_while_there_is_room(self, log: Log, files: FailingFiles) -> None:
        await until(lambda: log.state == "ok")
        files.fail("create", "spare", errno.ENOSPC)
        while log.state == "ok":
            await log.append(record(log, pad=PAD))
        assert log.state == "degraded"
        await log.append(record(log))
        files.heal()
        await until(lambda: log.state == "ok")

    async def test_that_is_noticed_when_nobody_writes_any_more_is_looked_at_again(
        self, log: Log, files: FailingFiles
    ) -> None:
        await until(lambda: ("create", "spare") in files.calls)
        files.calls.clear()
        writing_has_ended = threading.Event()

        def full(operation: str, name: str) -> int | None:
            if (operation, name) != ("create", "spare"):
                return None
            writing_has_ended.wait(60)
            return errno.ENOSPC

        files.rule = full
        while ("create", "spare") not in files.calls:
            await log.append(record(log, pad=PAD))
        writing_has_ended.set()
        await until(lambda: log.state == "degraded")
        files.heal()
        await until(lambda: log.state == "ok")

    async def test_refuses_ordinary_entries_and_keeps_the_rest_for_reserved_ones(
        self, log: Log, files: FailingFiles
    ) -> None:
        files.fail("create", "spare", errno.ENOSPC)
        kept = await fill(log)
        kept += [await log.append(record(log, n), reserved=True) for n in range(20)]
        for receipt in kept:
            assert log.entry(receipt.index).leaf == receipt.leaf
        with pytest.raises(AuditUnavailable):
            await log.append(record(log))

    async def test_has_an_end_for_reserved_entries_too(self, log: Log, files: FailingFiles) -> None:
        files.fail("create", "spare", errno.ENOSPC)
        await fill(log)
        outcomes = [log.enqueue(record(log, pad=PAD), reserved=True) for _ in range(20)]
        refused = await asyncio.gather(*outcomes, return_exceptions=True)
        assert isinstance(refused[-1], AuditUnavailable)
        files.heal()
        await until(lambda: log.state == "ok")
        await log.append(record(log))

    async def test_lets_those_through_who_stood_among_others(
        self, log: Log, files: FailingFiles
    ) -> None:
        files.fail("create", "spare", errno.ENOSPC)
        waiting = [log.enqueue(record(log, n, PAD), reserved=n % 50 == 49) for n in range(200)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert any(isinstance(outcome, AuditUnavailable) for outcome in outcomes)
        assert all(isinstance(outcome, Receipt) for outcome in outcomes[49::50])

    async def test_is_left_by_itself_when_space_returns(
        self, log: Log, files: FailingFiles
    ) -> None:
        files.fail("create", "spare", errno.ENOSPC)
        kept = await fill(log)
        files.heal()
        await until(lambda: log.state == "ok")
        kept += [await log.append(record(log, n, PAD)) for n in range(50)]
        for receipt in kept:
            assert log.entry(receipt.index).leaf == receipt.leaf


async def test_a_wait_that_takes_too_long_is_refused(
    log: Log, files: FailingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.log.LONGEST_WAIT_S", 0.05)
    loop = asyncio.get_running_loop()
    stuck, released = asyncio.Event(), threading.Event()

    def hang(operation: str, name: str) -> None:
        if operation == "sync" and name.endswith(".seg"):
            loop.call_soon_threadsafe(stuck.set)
            released.wait(10)

    files.rule = hang
    first = log.enqueue(record(log, 1))
    await stuck.wait()
    heard: list[BaseException] = []
    log.leave(record(log, 2), heard.append)
    second = log.enqueue(record(log, 3))
    for future in (first, second):
        with pytest.raises(AuditUnavailable, match="not durable after"):
            await future
    assert [type(error) for error in heard] == [AuditUnavailable]
    files.heal()
    released.set()
    assert (await log.append(record(log, 4))).index == 3  # they became durable all the same
    assert [entry.body["n"] for entry in log.entries()] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("operation", "name"),
    [("create", "spare"), ("write", "spare"), ("sync", "spare"), ("rename", "spare")],
)
def test_a_log_that_cannot_begin_is_not_opened(
    tmp_path: Path, files: FailingFiles, operation: str, name: str
) -> None:
    files.fail(operation, name)
    with pytest.raises(OSError, match="EIO"):
        reopen(tmp_path, files)
    files.heal()
    reopen(tmp_path, files).close_now()


def fail_once(files: FailingFiles, number: int) -> None:
    files.rule = lambda _operation, _name: errno.EIO if len(files.calls) == number else None


def test_every_single_failure_while_a_log_is_opened_leaves_it_whole(tmp_path: Path) -> None:
    log = reopen(tmp_path, FailingFiles())
    receipts = [log.append_now(record(log, n, PAD)) for n in range(30)]
    log.close_now()
    for number in range(60):
        files = FailingFiles()
        fail_once(files, number)
        try:
            log = reopen(tmp_path, files)
        except OSError:
            continue
        log.close_now()
    log = reopen(tmp_path, FailingFiles())
    assert [log.entry(receipt.index).leaf for receipt in receipts] == [r.leaf for r in receipts]
    log.close_now()
    check_sequence(log)
