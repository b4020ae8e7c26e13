from collections.abc import Callable
from pathlib import Path
from struct import pack
from zlib import crc32

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Checkpoint
from audit.errors import BadSignature, LogDamaged, LogRolledBack, LogUnusable
from audit.note import Signer
from audit.segments import COMMIT, ENTRY, HEADER_BYTES, frame, place_of
from tests.audit.stored_logs import (
    ORIGIN,
    SIGNER,
    commit,
    copy,
    flip,
    leaves,
    open_store,
    opened,
    used,
)

LAST = b"the last batch"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of eight batches in one segment, ended by kill -9."""
    folder = tmp_path / "log"
    with opened(folder) as store:
        for n in range(7):
            commit(store, b"entry %d" % n, b"x" * n)
        commit(store, LAST)
    return folder


@pytest.fixture
def stale(folder: Path) -> Path:
    """The same after a power cut that lost what the watermark had last said."""
    (folder / "watermark").write_bytes(bytes(1024))
    return folder


def newest(folder: Path) -> Path:
    return max(folder.glob("*.seg"))


def last_batch(segment: Path) -> int:
    """Where the last batch begins."""
    return segment.read_bytes().index(LAST) - 9


def test_a_log_that_was_killed_goes_on(folder: Path) -> None:
    with opened(folder) as store:
        assert store.head.size == 15
        assert store.recovered is not None
        assert store.recovered.tail is None
        commit(store, b"more")
    with opened(folder) as store:
        assert len(leaves(store)) == 16
    assert len(list(folder.glob("*.seg"))) == 1


def test_no_byte_that_was_acknowledged_can_change(folder: Path, tmp_path: Path) -> None:
    end = used(newest(folder))
    for offset in range(0, end, 23):
        damaged = copy(folder, tmp_path / "copy")
        flip(newest(damaged), offset)
        with pytest.raises(LogUnusable):
            open_store(damaged)


def test_without_a_watermark_only_the_last_batch_passes_for_torn(
    stale: Path, tmp_path: Path
) -> None:
    segment = newest(stale)
    begin, end = last_batch(segment), used(segment)
    for offset in [*range(0, begin, 17), *range(begin, end, 17)]:
        damaged = copy(stale, tmp_path / "copy")
        flip(newest(damaged), offset)
        if offset < begin:
            with pytest.raises(LogDamaged):
                open_store(damaged)
            continue
        with opened(damaged) as store:
            assert store.head.size == 14
            assert store.recovered is not None
            assert store.recovered.tail is not None
            assert store.recovered.tail.length == end - begin


def test_a_torn_tail_is_left_where_it_is(stale: Path) -> None:
    segment = newest(stale)
    torn = segment.read_bytes()[: last_batch(segment) + 20]
    segment.write_bytes(torn.ljust(segment.stat().st_size, b"\0"))
    before = segment.read_bytes()
    for size in (15, 16):
        with opened(stale) as store:
            commit(store, b"after the tail")
            assert store.head.size == size
    assert segment.read_bytes() == before
    assert [path.name for path in sorted(stale.glob("*.seg"))] == ["00000000.seg", "00000001.seg"]


def test_a_whole_batch_that_nobody_was_told_about_is_kept(stale: Path) -> None:
    with opened(stale) as store:
        assert store.head.size == 15


def test_two_signed_commits_behind_the_damage_are_damage(stale: Path) -> None:
    segment = newest(stale)
    flip(segment, segment.read_bytes().index(b"entry 6"))
    with pytest.raises(LogDamaged, match=r"2 signed commits") as refusal:
        open_store(stale)
    assert refusal.value.place.startswith("00000000.seg at byte ")


def test_more_than_a_batch_behind_the_last_commit_is_damage(
    stale: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.recovery.MOST_BATCH_BYTES", 1000)
    flip(newest(stale), used(newest(stale)) + 2000)
    with pytest.raises(LogDamaged, match="more bytes than a batch"):
        open_store(stale)


def test_a_checkpoint_quoted_in_an_entry_is_no_commit(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with opened(folder) as store:
        notes = []
        for n in range(4):
            commit(store, b"entry %d" % n)
            notes.append(store.head.note)
        commit(store, b"begin " + b"".join(notes) + LAST)
    (folder / "watermark").write_bytes(bytes(1024))
    flip(newest(folder), newest(folder).read_bytes().index(b"begin"))
    with opened(folder) as store:
        assert store.head.size == 4


def test_a_rewritten_entry_with_a_good_checksum_is_damage(stale: Path) -> None:
    segment = newest(stale)
    raw = segment.read_bytes()
    at = raw.index(b"entry 3") - 9
    forged = frame(place_of(0, at), ENTRY, b"entry 9")
    segment.write_bytes(raw[:at] + forged + raw[at + len(forged) :])
    with pytest.raises(LogDamaged, match="contradicts the entries"):
        open_store(stale)


def test_a_rewritten_history_needs_the_key(stale: Path) -> None:
    thief = Signer(ORIGIN, Ed25519PrivateKey.generate())
    segment = newest(stale)
    raw = segment.read_bytes()
    at = raw.index(LAST) - 9
    entry = frame(place_of(0, at), ENTRY, b"a better batch")
    with opened(stale) as store:
        tree = store.writer.tree
        root = tree.frontier.root()
    note = thief.sign(str(Checkpoint(ORIGIN, 15, root))).encode()
    forged = entry + frame(place_of(0, at + len(entry)), COMMIT, note)
    segment.write_bytes((raw[:at] + forged).ljust(len(raw), b"\0"))
    with pytest.raises(LogDamaged):
        open_store(stale)


def test_a_frame_copied_elsewhere_is_invalid(stale: Path) -> None:
    segment = newest(stale)
    raw, end = segment.read_bytes(), used(segment)
    batch = raw[last_batch(segment) : end]
    segment.write_bytes((raw[:end] + batch).ljust(len(raw), b"\0"))
    with opened(stale) as store:
        assert store.head.size == 15
        assert store.recovered is not None
        assert store.recovered.tail is not None


def test_a_log_shorter_than_its_watermark_is_refused(folder: Path) -> None:
    segment = newest(folder)
    raw = segment.read_bytes()
    segment.write_bytes(raw[: last_batch(segment)].ljust(len(raw), b"\0"))
    with pytest.raises(LogRolledBack) as refusal:
        open_store(folder)
    assert (refusal.value.found, refusal.value.expected) == (14, 15)


def test_an_older_copy_of_the_segments_is_refused(folder: Path, tmp_path: Path) -> None:
    older = copy(folder, tmp_path / "older")
    with opened(folder) as store:
        commit(store, b"more")
    newest(older).rename(newest(folder))
    with pytest.raises(LogRolledBack):
        open_store(folder)


def test_a_log_that_does_not_hold_the_published_checkpoint_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    older = copy(folder, tmp_path / "older")
    with opened(folder) as store:
        published_early = store.head.note
        commit(store, b"more")
        published = store.head.note
    with pytest.raises(LogRolledBack, match="the published checkpoint knows 16"):
        open_store(older, published=published)
    for note in (published_early, published):
        open_store(folder, published=note).abandon()
    other = SIGNER.sign(str(Checkpoint(ORIGIN, 9, b"\x01" * 32))).encode()
    with pytest.raises(LogRolledBack, match="not those that the published checkpoint knows"):
        open_store(folder, published=other)
    forged = Signer(ORIGIN, Ed25519PrivateKey.generate()).sign(
        str(Checkpoint(ORIGIN, 1, b"\x01" * 32))
    )
    with pytest.raises(BadSignature):
        open_store(folder, published=forged.encode())


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        pytest.param(lambda mark: mark.unlink(), "missing", id="missing"),
        pytest.param(lambda mark: mark.write_bytes(b"\x01" * 1024), "neither slot", id="garbage"),
        pytest.param(lambda mark: mark.write_bytes(b""), "neither slot", id="empty"),
    ],
)
def test_an_unreadable_watermark_is_damage(
    folder: Path, damage: Callable[[Path], object], complaint: str
) -> None:
    damage(folder / "watermark")
    with pytest.raises(LogDamaged, match=complaint):
        open_store(folder)


def test_one_unreadable_slot_of_the_watermark_is_survived(folder: Path, tmp_path: Path) -> None:
    for slot in (0, 512):
        damaged = copy(folder, tmp_path / "copy")
        flip(damaged / "watermark", slot + 30)
        open_store(damaged).abandon()


def test_a_watermark_of_another_log_is_refused(folder: Path) -> None:
    slot = pack(">QBQ32s", 99, 0, 5, b"\x05" * 32)
    raw = bytes(512) + slot + pack(">I", crc32(slot))
    (folder / "watermark").write_bytes(raw.ljust(1024, b"\0"))
    with pytest.raises(LogRolledBack, match="not those that the watermark knows"):
        open_store(folder)


class TestAClosedLog:
    @pytest.fixture
    def closed(self, folder: Path) -> Path:
        open_store(folder).close()
        return folder

    def test_opens_without_recovery(self, closed: Path) -> None:
        store = open_store(closed)
        assert store.recovered is None
        store.close()

    def test_has_no_torn_tail(self, closed: Path) -> None:
        flip(newest(closed), used(newest(closed)) + 100)
        with pytest.raises(LogDamaged, match="behind the end of a closed log"):
            open_store(closed)

    def test_loses_its_mark_before_the_next_entry(self, closed: Path) -> None:
        with opened(closed) as store:
            commit(store, b"more")
        store = open_store(closed)
        assert store.recovered is not None
        store.close()

    def test_has_the_size_it_was_closed_with(self, closed: Path, tmp_path: Path) -> None:
        mark = (closed / "watermark").read_bytes()
        with opened(closed) as store:
            commit(store, b"more")
        (closed / "watermark").write_bytes(mark)
        with pytest.raises(LogRolledBack, match="closed with 15 entries, now 16"):
            open_store(closed)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 600 entries in several segments."""
    folder = tmp_path_factory.mktemp("many") / "log"
    with opened(folder) as store:
        for n in range(60):
            commit(store, *[b"%d %d " % (n, k) + b"x" * 1000 for k in range(10)])
    assert len(list(folder.glob("*.seg"))) >= 8
    return folder


class TestManySegments:
    @pytest.fixture
    def folder(self, many: Path, tmp_path: Path) -> Path:
        return copy(many, tmp_path / "log")

    def test_all_entries_are_there(self, folder: Path) -> None:
        with opened(folder) as store:
            found = [entry.raw for entry in store.reader.entries(0, store.head.size)]
        assert [raw.split(b" x")[0] for raw in found] == [
            b"%d %d" % (n, k) for n in range(60) for k in range(10)
        ]

    def test_finished_segments_are_read_only(self, folder: Path) -> None:
        modes = [path.stat().st_mode & 0o777 for path in sorted(folder.glob("*.seg"))]
        assert modes[:-1] == [0o400] * (len(modes) - 1)
        assert modes[-1] == 0o600

    def test_a_missing_segment_is_damage(self, folder: Path, tmp_path: Path) -> None:
        for path in sorted(folder.glob("*.seg"))[:-1]:
            damaged = copy(folder, tmp_path / "copy")
            (damaged / path.name).unlink()
            with pytest.raises(LogDamaged, match="missing"):
                open_store(damaged)

    def test_a_missing_newest_segment_is_a_rollback(self, folder: Path) -> None:
        newest(folder).unlink()
        with pytest.raises(LogRolledBack):
            open_store(folder)

    def test_two_segments_that_changed_places_are_damage(self, folder: Path) -> None:
        one, two = folder / "00000002.seg", folder / "00000003.seg"
        one.rename(folder / "x")
        two.rename(one)
        (folder / "x").rename(two)
        with pytest.raises(LogDamaged, match="holds segment 3"):
            open_store(folder)

    def test_a_segment_of_another_log_is_damage(self, folder: Path, tmp_path: Path) -> None:
        signer = Signer("other.example/audit", Ed25519PrivateKey.generate())
        with pytest.raises(LogDamaged, match="belongs to"):
            open_store(folder, signer=signer)

    def test_no_byte_of_any_header_can_change(self, folder: Path, tmp_path: Path) -> None:
        for number, offset in enumerate(range(0, HEADER_BYTES, 173)):
            damaged = copy(folder, tmp_path / "copy")
            flip(sorted(damaged.glob("*.seg"))[number % 8], offset)
            with pytest.raises(LogDamaged):
                open_store(damaged)

    @pytest.mark.parametrize("name", ["00000000.blocks", "00000004.blocks"])
    @pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "of-another"])
    def test_what_is_kept_beside_a_segment_is_only_derived(
        self, folder: Path, name: str, damage: str
    ) -> None:
        path = folder / name
        with opened(folder) as store:
            before = leaves(store)
        good = path.read_bytes()
        if damage == "missing":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(good[:-5])
        elif damage == "flipped":
            flip(path, len(good) // 2)
        else:
            path.write_bytes((folder / "00000002.blocks").read_bytes())
        with opened(folder) as store:
            assert leaves(store) == before
        assert path.read_bytes() == good

    def test_block_hashes_that_do_not_lead_to_the_root_are_not_believed(self, folder: Path) -> None:
        path = folder / "00000002.blocks"
        good = path.read_bytes()
        body = bytearray(good[:-4])
        body[-1] ^= 1  # in the last hash
        path.write_bytes(bytes(body) + pack(">I", crc32(body)))
        with opened(folder) as store:
            assert store.reader.frontier(512, 600).root() == store.writer.tree.hash_at(9, 0)
        assert path.read_bytes() == good

    def test_a_changed_entry_of_a_finished_segment_is_damage_when_it_is_read(
        self, folder: Path
    ) -> None:
        for name in ("00000001.seg", "00000001.blocks"):
            path = folder / name
            if name.endswith(".blocks"):
                path.unlink()  # then even the start reads it
                with pytest.raises(LogDamaged):
                    open_store(folder)
            else:
                flip(path, path.read_bytes().index(b"x" * 1000))
                with opened(folder) as store, pytest.raises(LogDamaged):
                    leaves(store)
