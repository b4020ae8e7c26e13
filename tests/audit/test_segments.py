from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import LogDamaged
from audit.files import OsFiles
from audit.segments import (
    COMMIT,
    ENTRY,
    HEADER_BYTES,
    PAYLOAD,
    SEAL,
    Header,
    frame,
    name_of,
    ordinal_of,
    place_of,
    read_frames,
    read_header,
)

HEADER = Header(
    "gw.example/audit", b"\x01\x02\x03\x04", 7, 3, (b"\xaa" * 32, b"\xbb" * 32), b"note"
)


def stored(tmp_path: Path, raw: bytes, *, ordinal: int = 0) -> list[tuple[int, bytes]]:
    """What is read back from a segment that holds `raw` behind its header."""
    path = tmp_path / name_of(ordinal)
    path.write_bytes(bytes(HEADER_BYTES) + raw + bytes(500))
    files = OsFiles()
    descriptor = files.open(path)
    try:
        return [(f.type, f.payload) for f in read_frames(files, descriptor, ordinal)]
    finally:
        files.close(descriptor)


def written(frames: list[tuple[int, bytes]], *, ordinal: int = 0) -> bytes:
    raw = b""
    for kind, payload in frames:
        raw += frame(place_of(ordinal, HEADER_BYTES + len(raw)), kind, payload)
    return raw


kinds = st.sampled_from([ENTRY, COMMIT, PAYLOAD, SEAL])


@given(st.lists(st.tuples(kinds, st.binary(max_size=300)), max_size=20), st.integers(0, 99))
def test_frames_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, frames: list[tuple[int, bytes]], ordinal: int
) -> None:
    folder = tmp_path_factory.mktemp("segments")
    assert stored(folder, written(frames, ordinal=ordinal), ordinal=ordinal) == frames


@pytest.mark.parametrize("chunk", [9, 10, 64, 100, 1000])
def test_frames_may_lie_across_the_pieces_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("audit.segments._CHUNK", chunk)
    frames = [(ENTRY, b"x" * n) for n in range(0, 300, 7)]
    assert stored(tmp_path, written(frames)) == frames


@given(st.binary(max_size=100))
def test_any_bytes_end_the_frames(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    frames = [(ENTRY, b"one"), (COMMIT, b"two")]
    folder = tmp_path_factory.mktemp("segments")
    assert stored(folder, written(frames) + b"\0" + junk)[:2] == frames


@pytest.mark.parametrize("position", range(38))
def test_reading_ends_before_a_changed_byte(tmp_path: Path, position: int) -> None:
    raw = bytearray(written([(ENTRY, b"one"), (ENTRY, b"two"), (COMMIT, b"three")]))
    raw[position] ^= 0x40
    length = len(written([(ENTRY, b"one")]))
    assert len(stored(tmp_path, bytes(raw))) == min(position // length, 2)


def test_a_frame_of_another_place_or_segment_ends_the_frames(tmp_path: Path) -> None:
    assert stored(tmp_path, written([(ENTRY, b"x")], ordinal=1)) == []
    moved = frame(place_of(0, HEADER_BYTES + 1), ENTRY, b"x")
    assert stored(tmp_path, moved) == []


def test_a_header_is_read_as_it_was_written() -> None:
    raw = bytes(HEADER)
    assert len(raw) == HEADER_BYTES
    assert Header.parse(raw, place="x") == HEADER


def test_the_largest_header_fits() -> None:
    header = Header("o" * 255, b"idid", 0, 2**63 - 1, (b"\xff" * 32,) * 63, b"n" * 800)
    assert Header.parse(bytes(header), place="x") == header


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(lambda raw: raw[:-1], "shorter", id="cut"),
        pytest.param(lambda raw: b"", "shorter", id="empty"),
        pytest.param(lambda raw: bytes(HEADER_BYTES), "not a segment", id="zeros"),
        pytest.param(lambda raw: b"x" + raw[1:], "not a segment", id="magic"),
        pytest.param(lambda raw: raw[:15] + b"\x02" + raw[16:], "not a segment", id="version"),
        pytest.param(lambda raw: raw[:40] + b"\xff" + raw[41:], "altered", id="checksum"),
        pytest.param(lambda raw: raw[:-1] + b"\xff", "altered", id="last-byte"),
    ],
)
def test_an_unreadable_header_is_refused(change: Callable[[bytes], bytes], complaint: str) -> None:
    with pytest.raises(LogDamaged, match=complaint) as refusal:
        Header.parse(change(bytes(HEADER)), place="00000007.seg")
    assert refusal.value.place == "00000007.seg"


def test_a_segment_under_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / name_of(8)).write_bytes(bytes(HEADER))
    with pytest.raises(LogDamaged, match="holds segment 7"):
        read_header(OsFiles(), tmp_path, 8)


@pytest.mark.parametrize(
    "name", ["spare", "watermark", "1.seg", "00000001.seg.bak", "0000000a.seg"]
)
def test_other_files_are_no_segments(name: str) -> None:
    assert ordinal_of(name) is None
    assert ordinal_of(name_of(12)) == 12
