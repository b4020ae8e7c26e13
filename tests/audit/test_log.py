import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import audit.log
from audit.checkpoint import Checkpoint
from audit.entry import Entry, Receipt, Record
from audit.errors import AuditUnavailable, EntryRefused, LogLocked, NoSuchEntry
from audit.line import MOST_WAITING
from audit.log import Log
from audit.merkle import hash_leaf, root_of, verify_consistency
from audit.note import Signer, Verifier
from audit.proof import Proof
from audit.sealed import Sealed

SIGNER = Signer("gw.example/audit", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
VERIFIER = Verifier.parse(SIGNER.vkey)
SMALL = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(folder: Path) -> Iterator[Log]:
    log = Log.open(folder, signer=SIGNER, segment_bytes=SMALL)
    yield log
    log.close_now()


def record(log: Log, n: int = 0) -> Record:
    return Record(log.new_id(), "test", {"n": n})


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.seg"))


def checkpoint(log: Log) -> Checkpoint:
    return Checkpoint.parse(VERIFIER.open(log.signed_checkpoint()))


async def test_a_receipt_names_the_entry_that_was_written(log: Log) -> None:
    receipt = await log.append(record(log, 5))
    entry = log.entry(receipt.index)
    assert receipt == Receipt("gw.example/audit", 0, hash_leaf(entry.raw))
    assert entry.body["n"] == 5
    assert entry.body["kind"] == "test"
    assert checkpoint(log) == Checkpoint("gw.example/audit", 1, entry.leaf)


async def test_many_at_once_become_few_batches_in_the_order_of_the_line(log: Log) -> None:
    batches: list[list[Entry]] = []
    log.subscribe(batches.append)
    receipts = await asyncio.gather(*[log.append(record(log, n)) for n in range(500)])
    assert [receipt.index for receipt in receipts] == list(range(500))
    assert [entry.body["n"] for entry in log.entries()] == list(range(500))
    assert [entry for batch in batches for entry in batch] == list(log.entries())
    assert len(batches) < 100


async def test_what_joins_in_one_turn_of_the_loop_is_one_batch(log: Log) -> None:
    batches: list[int] = []
    log.subscribe(lambda entries: batches.append(len(entries)))
    for _ in range(5):
        await asyncio.gather(*[log.append(record(log, n)) for n in range(20)])
    assert batches == [20] * 5


async def test_entries_are_numbered_within_their_boot(log: Log) -> None:
    for n in range(3):
        await log.append(record(log, n))
    bodies = [entry.body for entry in log.entries()]
    assert [body["seq"] for body in bodies] == [0, 1, 2]
    assert {body["boot"] for body in bodies} == {log.boot}


async def test_a_payload_is_kept_beside_its_entry(log: Log) -> None:
    sealed = Sealed("ab" * 32, 5, b"cipher")
    with_payload = Record(log.new_id(), "test", {"args": {"commit": sealed.commit}}, sealed)
    await asyncio.gather(log.append(record(log)), log.append(with_payload), log.append(record(log)))
    assert [entry.sealed for entry in log.entries()] == [None, b"cipher", None]


async def test_the_log_goes_on_where_it_was_closed(folder: Path) -> None:
    boots = set()
    for n in range(3):
        log = Log.open(folder, signer=SIGNER, segment_bytes=SMALL)
        assert (log.size, log.recovered) == (n, None)
        await log.append(record(log, n))
        boots.add(log.boot)
        await log.close()
    assert len(boots) == 3


async def test_entries_can_be_read_and_proven_across_segments(log: Log, folder: Path) -> None:
    fields = {"pad": "x" * 4000}
    for _ in range(4):
        await asyncio.gather(
            *[log.append(Record(log.new_id(), "test", fields)) for _ in range(200)]
        )
    assert len(segments(folder)) >= 3
    leaves = [entry.leaf for entry in log.entries()]
    assert checkpoint(log).root == root_of(leaves)
    for index in (0, 1, 255, 256, 511, 700, 799):
        assert log.entry(index).leaf == leaves[index]
        proof = Proof.parse(log.prove(index))
        assert proof.verify(leaves[index], VERIFIER).size == 800
    assert [e.leaf for e in log.entries(250, 600)] == leaves[250:600]


@pytest.mark.parametrize("size", [1, 2, 7, 200, 256, 257, 299, 300])
async def test_proofs_for_an_earlier_size_lead_to_a_signed_checkpoint(log: Log, size: int) -> None:
    await asyncio.gather(*[log.append(record(log, n)) for n in range(300)])
    leaves = [entry.leaf for entry in log.entries()]
    for index in {0, size // 2, size - 1}:
        signed = Proof.parse(log.prove(index, size)).verify(leaves[index], VERIFIER)
        assert signed == Checkpoint("gw.example/audit", size, root_of(leaves[:size]))
    path = log.consistency(size)
    verify_consistency(size, 300, path, root_of(leaves[:size]), root_of(leaves))


async def test_what_is_not_durable_cannot_be_read_or_proven(log: Log) -> None:
    await log.append(record(log))
    for index in (-1, 1, 5):
        with pytest.raises(NoSuchEntry):
            log.entry(index)
        with pytest.raises(NoSuchEntry):
            log.prove(index)
    with pytest.raises(NoSuchEntry):
        log.prove(0, 2)
    with pytest.raises(ValueError, match="not 2"):
        log.consistency(0, 2)
    assert list(log.entries(1)) == []


def test_a_second_writer_is_refused(log: Log, folder: Path) -> None:
    with pytest.raises(LogLocked):
        Log.open(folder, signer=SIGNER, segment_bytes=SMALL)


async def test_a_record_that_cannot_become_an_entry_takes_no_number(log: Log) -> None:
    with pytest.raises(EntryRefused):
        await log.append(Record(log.new_id(), "test", {"a": 1.5}))
    with pytest.raises(EntryRefused):
        await log.append(Record(log.new_id(), "test", {"a": "x" * 20_000}))
    large = Sealed("ab" * 32, 1, b"x" * SMALL)
    with pytest.raises(EntryRefused, match="segment"):
        await log.append(Record(log.new_id(), "test", {}, large))
    receipt = await log.append(record(log))
    assert log.entry(receipt.index).body["seq"] == 0


async def test_no_more_wait_than_the_line_holds(log: Log) -> None:
    futures = [log.enqueue(record(log, n)) for n in range(MOST_WAITING // 2)]
    with pytest.raises(AuditUnavailable, match="wait already"):
        futures.extend(log.enqueue(record(log, n)) for n in range(20 * MOST_WAITING))
    receipts = await asyncio.gather(*futures)
    assert [receipt.index for receipt in receipts] == list(range(len(futures)))
    await log.append(record(log))


async def test_what_is_left_with_the_log_becomes_durable_in_its_turn(log: Log) -> None:
    heard: list[BaseException] = []
    for number in range(3):
        log.leave(record(log, number), heard.append)
    await log.append(record(log, 3))
    assert [entry.body["n"] for entry in log.entries()] == [0, 1, 2, 3]
    assert not heard


async def test_what_is_left_with_the_log_gets_a_batch_of_its_own_when_no_other_comes(
    log: Log,
) -> None:
    durable = asyncio.Event()
    log.subscribe(lambda _: durable.set())
    log.leave(record(log), lambda _: None)
    await asyncio.wait_for(durable.wait(), 10)
    assert log.size == 1


async def test_what_is_left_after_a_batch_is_looked_for_again(log: Log) -> None:
    """The look that was meant for those who rode with the batch finds a later one waiting."""
    log.leave(record(log, 0), lambda _: None)
    await log.append(record(log, 1))
    durable = asyncio.Event()
    log.subscribe(lambda _: durable.set())
    log.leave(record(log, 2), lambda _: None)
    await asyncio.wait_for(durable.wait(), 10)
    assert [entry.body["n"] for entry in log.entries()] == [0, 1, 2]


async def test_what_is_left_waits_its_time_though_an_earlier_look_finds_it(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.leave(record(log, 0), lambda _: None)
    await log.append(record(log, 1))
    monkeypatch.setattr(audit.log, "RIDE_S", 3600.0)
    log.leave(record(log, 2), lambda _: None)
    log._call_alone(asyncio.get_running_loop())
    await log.append(record(log, 3))
    assert log.size == 4
    assert log.stats()["last_batch_entries"] == 2  # the third went with the fourth, not before


async def test_closing_writes_what_is_left_with_the_log_too(log: Log) -> None:
    log.leave(record(log), lambda _: None)
    await log.close()
    assert log.size == 1


async def test_a_caller_that_gives_up_disturbs_nobody(log: Log) -> None:
    tasks = [asyncio.create_task(log.append(record(log, n))) for n in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[3], asyncio.CancelledError)
    assert [r.index for r in results if isinstance(r, Receipt)] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    await log.append(record(log))
    assert log.size == 11


async def test_closing_writes_what_waits(folder: Path) -> None:
    log = Log.open(folder, signer=SIGNER, segment_bytes=SMALL)
    futures = [log.enqueue(record(log, n)) for n in range(2000)]
    await log.close()
    assert [receipt.index for receipt in await asyncio.gather(*futures)] == list(range(2000))
    with pytest.raises(AuditUnavailable, match="closed"):
        await log.append(record(log))
    assert log.state == "read_only"


async def test_time_never_runs_backwards_over_a_restart_either(folder: Path) -> None:
    times = iter([50, 50, 40, 30, 60])
    for expected in (50, 50):
        log = Log.open(folder, signer=SIGNER, segment_bytes=SMALL, clock=lambda: next(times))
        receipt = await log.append(Record("id", "test", {}))
        assert log.entry(receipt.index).body["ts"] == expected
        assert log.now() == 50
        await log.close()
    assert next(times) == 60


def test_ids_are_version_7_and_follow_the_time(log: Log) -> None:
    ids = [log.new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert [i[:8] for i in ids] == sorted(i[:8] for i in ids)
    assert all(i[14] == "7" and i[19] in "89ab" and len(i) == 36 for i in ids)


def test_entries_can_be_written_before_a_loop_runs(log: Log) -> None:
    seen: list[Entry] = []
    log.subscribe(seen.extend)
    receipts = [log.append_now(record(log, n)) for n in range(3)]
    assert [receipt.index for receipt in receipts] == [0, 1, 2]
    assert [entry.body["n"] for entry in seen] == [0, 1, 2]


def test_entries_can_be_written_after_a_loop_has_ended(log: Log) -> None:
    for expected in (0, 2):
        assert asyncio.run(append(log)) == expected
        assert log.append_now(record(log)).index == expected + 1


async def append(log: Log) -> int:
    return (await log.append(record(log))).index


async def test_one_subscriber_that_fails_does_not_keep_the_entries_from_another(log: Log) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: complaints.append(context["exception"])
    )
    seen: list[Entry] = []
    failure = LookupError()

    def fail(_entries: list[Entry]) -> None:
        raise failure

    log.subscribe(fail)
    log.subscribe(seen.extend)
    await log.append(record(log))
    assert (len(seen), complaints) == (1, [failure])


async def test_subscribers_know_before_those_who_wait(log: Log) -> None:
    seen: list[Entry] = []
    log.subscribe(seen.extend)
    for n in range(20):
        receipt = await log.append(record(log, n))
        assert seen[-1].index == receipt.index


async def test_entries_can_be_written_beside_the_loop(log: Log) -> None:
    await log.append(record(log))
    receipt = await asyncio.to_thread(log.append_now, record(log))
    assert receipt.index == 1


async def test_a_healthy_log_says_so(log: Log) -> None:
    await log.append(record(log))
    assert log.state == "ok"
    assert log.trouble is None
    assert log.stats()["size"] == 1
    assert log.stats()["writable"] == 1


@pytest.mark.parametrize("name", ["o" * 256, "ö" * 128])
def test_an_origin_has_a_bound(folder: Path, name: str) -> None:
    signer = Signer(name, Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
    with pytest.raises(ValueError, match="255"):
        Log.open(folder, signer=signer)
