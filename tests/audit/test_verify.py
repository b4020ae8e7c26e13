"""Offline verification: what is accepted, and where which fault is reported."""

import ast
import shutil
from pathlib import Path

import pytest

import audit
from audit.entry import Receipt
from audit.errors import MalformedKey
from audit.layout import ANNOUNCED, CHECKPOINT, STAGED, Tile, join_bundle
from audit.merkle import EMPTY_ROOT, hash_leaf, root_of
from audit.pin import Pin, PinnedCheckpoint
from audit.verify import MOST_FINDINGS, Finding, Report, verify_directory
from tests.audit.published_logs import (
    ORIGIN,
    SIGNER,
    THIEF,
    copy_log,
    make_entries,
    make_entry,
    put,
    signed,
    write_files,
    write_log,
)
from tests.audit.tampering import Original, mutations
from tests.independent import tlog_reader

VKEY = SIGNER.vkey
ENTRIES = make_entries(700)
SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 700]


def verify(folder: Path, *pins: Pin) -> Report:
    return verify_directory(folder, VKEY, pins)


def places(report: Report) -> set[str]:
    assert not report.ok
    return {finding.place for finding in report.findings}


def root(size: int) -> bytes:
    return root_of(map(hash_leaf, ENTRIES[:size]))


def receipt(index: int) -> Receipt:
    return Receipt(ORIGIN, index, hash_leaf(ENTRIES[index]))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log", ENTRIES)


@pytest.mark.parametrize("size", SIZES)
def test_an_untouched_log_is_accepted_by_both_readers(tmp_path: Path, size: int) -> None:
    log = write_log(tmp_path, ENTRIES[:size])
    report = verify(log)
    assert report == Report(True, ORIGIN, size, root(size), (), "not excluded", 0)
    assert tlog_reader.read_log(log, VKEY, ORIGIN).entries == ENTRIES[:size]


@pytest.mark.parametrize(
    "size",
    [
        255,
        257,
        pytest.param(65_536, marks=pytest.mark.long),
        pytest.param(66_000, marks=pytest.mark.long),
    ],
)
def test_every_mutation_is_reported_with_its_place(
    tmp_path: Path, size: int, request: pytest.FixtureRequest
) -> None:
    entries = make_entries(size)
    original = Original(write_log(tmp_path / "original", entries), entries, SIGNER)
    for mutation in mutations(original, many=request.config.getoption("--long")):
        copy = copy_log(original.folder, tmp_path / "copy")
        mutation.apply(copy)
        report = verify(copy, *mutation.pins)
        assert not report.ok, mutation.name
        assert report.rollback == "not excluded"
        assert any(_names(finding, mutation.places) for finding in report.findings), mutation.name
        shutil.rmtree(copy)
    assert verify(original.folder).ok


def _names(finding: Finding, wanted: tuple[str, ...]) -> bool:
    return any(finding.place.startswith(place) or place in finding.message for place in wanted)


# --- the checkpoint


@pytest.mark.parametrize(
    ("note", "complaint"),
    [
        pytest.param(None, "is missing", id="missing"),
        pytest.param("", "expected a text", id="empty"),
        pytest.param(signed(700, root(700), THIEF), "is not signed by", id="other-key"),
        pytest.param(signed(700, root(700)).replace("700", "699"), "not verify", id="other-size"),
        pytest.param(SIGNER.sign("log.example/a\n700\n"), "expected origin", id="no-root"),
        pytest.param(
            SIGNER.sign(signed(700, root(700)).split("\n\n")[0].replace("/a", "/b") + "\n"),
            "speaks of log.example/b",
            id="other-origin",
        ),
    ],
)
def test_without_a_checkpoint_to_trust_nothing_is_verified(
    log: Path, note: str | None, complaint: str
) -> None:
    (log / CHECKPOINT).unlink()
    if note is not None:
        put(log, CHECKPOINT, note.encode())
    report = verify(log, receipt(3))
    assert (report.ok, report.size, report.root) == (False, None, None)
    assert places(report) == {CHECKPOINT}
    assert complaint in report.findings[0].message
    assert report.rollback == "not excluded"


def test_a_folder_that_does_not_exist_has_no_checkpoint(tmp_path: Path) -> None:
    assert places(verify(tmp_path / "nowhere")) == {CHECKPOINT}


@pytest.mark.parametrize("vkey", ["", "log.example/a", VKEY[:-1], VKEY.replace("+", "-")])
def test_an_unreadable_key_is_an_error_not_a_finding(log: Path, vkey: str) -> None:
    with pytest.raises(MalformedKey):
        verify_directory(log, vkey)


# --- entries and tiles


def test_a_changed_entry_is_reported_once_where_it_lies(log: Path) -> None:
    changed = [*ENTRIES[256:512]]
    changed[44] = changed[44].replace(b"decision", b"decisiom")
    put(log, "tile/entries/001", join_bundle(changed))
    assert verify(log).findings == (
        Finding("tile/entries/001, entry 300", "does not have the hash 44 of tile/0/001"),
    )


def test_a_changed_hash_is_reported_on_both_sides(log: Path) -> None:
    tile = (log / "tile/0/001").read_bytes()
    put(log, "tile/0/001", tile[:64] + bytes(32) + tile[96:])
    assert verify(log).findings == (
        Finding("tile/entries/001, entry 258", "does not have the hash 2 of tile/0/001"),
        Finding("tile/1/000.p/2, hash 1", "is not the root of tile/0/001"),
    )


def test_a_change_in_all_tiles_is_left_to_the_root(log: Path) -> None:
    entries = [*ENTRIES[:300], ENTRIES[300].replace(b"decision", b"decisiom"), *ENTRIES[301:]]
    forged = write_files(log, entries)
    assert verify(log).findings == (
        Finding(
            CHECKPOINT, f"the entries give the root {forged.hex()}, signed is {root(700).hex()}"
        ),
    )


def test_an_entry_dropped_from_all_tiles_shows_in_the_order_too(log: Path) -> None:
    write_files(log, [*ENTRIES[:300], *ENTRIES[301:], make_entry(0, boot=7)])
    assert places(verify(log)) == {"tile/entries/001, entry 300", CHECKPOINT}


def test_a_log_cut_below_its_checkpoint_is_reported_from_the_cut_on(log: Path) -> None:
    write_files(log, ENTRIES[:512])
    assert places(verify(log)) == {"tile/entries/002.p/188", "tile/0/002.p/188", CHECKPOINT}


def test_one_missing_bundle_does_not_hide_another_fault(log: Path) -> None:
    (log / "tile/entries/000").unlink()
    put(log, "tile/entries/002.p/188", join_bundle([b"{}", *ENTRIES[513:]]))
    assert places(verify(log)) == {"tile/entries/000", "tile/entries/002.p/188, entry 512"}


def test_a_bundle_and_its_tile_both_missing_leave_the_root_to_the_level_above(log: Path) -> None:
    (log / "tile/entries/000").unlink()
    (log / "tile/0/000").unlink()
    assert places(verify(log)) == {"tile/entries/000", "tile/0/000"}


def test_a_signed_entry_that_is_not_canonical_is_reported(tmp_path: Path) -> None:
    spaced = ENTRIES[3].replace(b":", b": ")
    log = write_log(tmp_path, [*ENTRIES[:3], spaced, *ENTRIES[4:10]])
    assert places(verify(log)) == {"tile/entries/000.p/10, entry 3"}


def test_a_full_tile_stands_for_the_partial_one(tmp_path: Path) -> None:
    """tlog-tiles: a partial tile may go once the full one is there, before its checkpoint is."""
    log = write_log(tmp_path, ENTRIES[:512])
    put(log, ANNOUNCED, (log / CHECKPOINT).read_bytes())
    put(log, CHECKPOINT, signed(300, root(300)).encode())
    put(log, "tile/1/000.p/1", (log / "tile/1/000.p/2").read_bytes()[:32])
    assert verify(log).ok
    assert tlog_reader.read_log(log, VKEY, ORIGIN).entries == ENTRIES[:300]


# --- pins


@pytest.mark.parametrize(
    ("pins", "pinned"),
    [
        pytest.param([receipt(0)], 1, id="first"),
        pytest.param([receipt(699)], 700, id="last"),
        pytest.param([receipt(255), receipt(256), receipt(3)], 257, id="several"),
        pytest.param([PinnedCheckpoint(signed(1, root(1)))], 1, id="checkpoint-1"),
        pytest.param([PinnedCheckpoint(signed(256, root(256)))], 256, id="checkpoint-256"),
        pytest.param([PinnedCheckpoint(signed(600, root(600)))], 600, id="checkpoint-600"),
        pytest.param([PinnedCheckpoint(signed(700, root(700)))], 700, id="checkpoint-now"),
        pytest.param([PinnedCheckpoint(signed(512, root(512))), receipt(600)], 601, id="both"),
    ],
)
def test_a_pin_excludes_rollback(log: Path, pins: list[Pin], pinned: int) -> None:
    report = verify(log, *pins)
    assert report.ok, report.findings
    assert (report.rollback, report.pinned) == ("excluded by pin", pinned)


def test_a_pin_of_the_empty_log_excludes_nothing(log: Path) -> None:
    report = verify(log, PinnedCheckpoint(signed(0, EMPTY_ROOT)))
    assert (report.ok, report.rollback, report.pinned) == (True, "not excluded", 0)


@pytest.mark.parametrize(
    ("pin", "complaint"),
    [
        pytest.param(Receipt(ORIGIN, 700, bytes(32)), "rolled back or cut", id="index-beyond"),
        pytest.param(Receipt(ORIGIN, 2**62, bytes(32)), "rolled back", id="index-far-beyond"),
        pytest.param(Receipt(ORIGIN, 5, bytes(32)), "is not the one", id="other-leaf"),
        pytest.param(Receipt(ORIGIN, 5, hash_leaf(ENTRIES[6])), "not the one", id="other-index"),
        pytest.param(
            Receipt("log.example/b", 5, bytes(32)), "speaks of log.example/b", id="origin"
        ),
        pytest.param(PinnedCheckpoint(signed(701, bytes(32))), "rolled back or cut", id="larger"),
        pytest.param(PinnedCheckpoint(signed(600, bytes(32))), "not those signed", id="forked"),
        pytest.param(PinnedCheckpoint(signed(700, bytes(32))), "not those signed", id="split-view"),
        pytest.param(PinnedCheckpoint(signed(0, bytes(32))), "not those signed", id="empty-forked"),
        pytest.param(PinnedCheckpoint(signed(5, root(5), THIEF)), "not signed by", id="other-key"),
        pytest.param(PinnedCheckpoint("no note"), "expected a text", id="no-note"),
    ],
)
def test_a_pin_that_disagrees_is_reported(log: Path, pin: Pin, complaint: str) -> None:
    report = verify(log, receipt(3), pin)
    assert places(report) == {"pin 2"}
    assert complaint in report.findings[0].message
    assert (report.rollback, report.pinned) == ("not excluded", 0)


def test_an_older_state_under_the_right_key_needs_a_pin_to_be_seen(tmp_path: Path) -> None:
    rolled_back = write_log(tmp_path, ENTRIES[:300])
    assert verify(rolled_back).ok
    assert verify(rolled_back).rollback == "not excluded"
    assert places(verify(rolled_back, receipt(300))) == {"pin 1"}


# --- other files


def test_what_is_announced_explains_what_lies_beyond(log: Path) -> None:
    put(log, CHECKPOINT, signed(300, root(300)).encode())
    write_files(log, ENTRIES)
    for path, part in _partial_files(300):
        put(log, path, part)
    beyond = {"tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"}
    assert places(verify(log)) == {*beyond, "tile/entries/001", "tile/entries/002.p/188"}
    put(log, ANNOUNCED, signed(700, root(700)).encode())
    assert verify(log).ok


def _partial_files(size: int) -> list[tuple[str, bytes]]:
    at, width = size // 256, size % 256
    part = ENTRIES[at * 256 : size]
    above = [root_of(map(hash_leaf, ENTRIES[n * 256 : (n + 1) * 256])) for n in range(at)]
    return [
        (Tile(None, at, width).path, join_bundle(part)),
        (Tile(0, at, width).path, b"".join(map(hash_leaf, part))),
        (Tile(1, 0, at).path, b"".join(above)),
    ]


@pytest.mark.parametrize(
    ("note", "complaint"),
    [
        pytest.param(signed(900, root(700), THIEF), "is not signed by", id="other-key"),
        pytest.param("", "expected a text", id="empty"),
        pytest.param(signed(700, bytes(32)), "two different roots are signed", id="split-view"),
    ],
)
def test_an_announcement_counts_only_when_signed(log: Path, note: str, complaint: str) -> None:
    put(log, ANNOUNCED, note.encode())
    report = verify(log)
    assert places(report) == {ANNOUNCED}
    assert complaint in report.findings[0].message


def test_an_announcement_of_the_past_is_of_no_weight(log: Path) -> None:
    put(log, ANNOUNCED, signed(5, root(5)).encode())
    assert verify(log).ok


def test_partial_files_of_former_checkpoints_may_stay(log: Path) -> None:
    for path, part in [*_partial_files(300), *_partial_files(257), *_partial_files(600)]:
        put(log, path, part)
    assert verify(log).ok


@pytest.mark.parametrize("which", [0, 1], ids=["bundle", "tile"])
def test_partial_files_of_former_checkpoints_are_compared(log: Path, which: int) -> None:
    path, part = _partial_files(300)[which]
    put(log, path, part[:-1] + bytes([part[-1] ^ 1]))
    assert verify(log).findings == (
        Finding(path, f"differs from {Tile(None if which == 0 else 0, 1).path}"),
    )


@pytest.mark.parametrize(
    "path",
    [
        "notes.txt",
        ".hidden",
        "tile/notes.txt",
        "tile/0/1",
        "tile/0/x000/001",
        "tile/8/000",
        "tile/data/000",
        "tile/0/000.p/256",
        "tile/0/003",
        "tile/entries/003.p/1",
        "tile/2/000.p/1",
        f"tile/{STAGED}",
    ],
)
def test_a_file_that_does_not_belong_is_reported(log: Path, path: str) -> None:
    put(log, path, b"x" * 32)
    assert places(verify(log)) == {path}


def test_what_is_being_written_is_no_part_of_the_log(log: Path) -> None:
    put(log, STAGED, b"half")
    assert verify(log).ok


def test_a_flood_of_faults_is_bounded(tmp_path: Path) -> None:
    log = write_log(tmp_path, make_entries(1500))
    write_files(log, [make_entry(0, note=str(number)) for number in range(1500)])
    report = verify(log)
    assert (report.ok, len(report.findings)) == (False, MOST_FINDINGS)


# --- independence


def test_verification_imports_nothing_of_what_writes_the_log() -> None:
    folder = Path(audit.__file__ or "").parent
    seen, pending = set(), ["verify"]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            tree = ast.parse((folder / f"{name}.py").read_text())
            imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
            modules = (node.module or "" for node in imports)
            pending += [module[6:] for module in modules if module.startswith("audit.")]
    assert seen.isdisjoint(
        {"log", "writer", "segments", "recovery", "reader", "store", "tiles", "publication"}
    )
