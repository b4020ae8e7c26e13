"""Which files follow from which entries, beyond the sizes that a log is quickly written to."""

from collections.abc import Iterator
from pathlib import Path

from audit.checkpoint import Checkpoint
from audit.entry import Entry
from audit.merkle import hash_leaf, root_of
from audit.publication import Publication
from audit.verify import verify_directory
from tests.audit.published_logs import SIGNER, make_entries


class _Finished:
    """A log that holds given entries."""

    def __init__(self, entries: list[bytes]) -> None:
        self._entries = [Entry(n, hash_leaf(raw), raw) for n, raw in enumerate(entries)]
        root = root_of(entry.leaf for entry in self._entries)
        self._note = SIGNER.sign(str(Checkpoint(SIGNER.name, len(entries), root))).encode()

    def signed_checkpoint(self) -> bytes:
        return self._note

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        return iter(self._entries[start:stop])


def test_tiles_of_higher_levels_are_filled_and_continued(tmp_path: Path) -> None:
    entries = make_entries(65_800)
    for size in (65_536, 65_800):
        Publication(_Finished(entries[:size]), tmp_path).publish()
        report = verify_directory(tmp_path, SIGNER.vkey)
        assert (report.findings, report.size) == ((), size)
    assert (tmp_path / "tile/1/000").stat().st_size == 8192
    assert {str(path.relative_to(tmp_path / "tile")) for path in tmp_path.rglob("*.p/*")} == {
        "0/257.p/8",
        "1/001.p/1",
        "2/000.p/1",
        "entries/257.p/8",
    }
