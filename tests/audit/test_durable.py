"""Files that are there wholly and durably, or not at all."""

import os
from pathlib import Path

import pytest

from audit.durable import DurableFolder
from audit.errors import TileConflict
from audit.files import OsFiles
from audit.layout import STAGED


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_file_is_added_in_new_folders_for_its_owner_alone(tmp_path: Path) -> None:
    folder = DurableFolder(tmp_path / "a" / "b")
    folder.add("tile/0/000", b"hashes")
    assert (tmp_path / "a/b/tile/0/000").read_bytes() == b"hashes"
    assert (tmp_path / "a/b/tile/0/000").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a/b/tile").stat().st_mode & 0o077 == 0


def test_the_same_file_may_be_added_again(tmp_path: Path) -> None:
    DurableFolder(tmp_path).add("tile/0/000", b"hashes")
    before = (tmp_path / "tile/0/000").stat()
    DurableFolder(tmp_path).add("tile/0/000", b"hashes")
    after = (tmp_path / "tile/0/000").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("there", [b"", b"hasheS", b"hashes and more", b"hash"])
def test_another_file_is_never_replaced(tmp_path: Path, there: bytes) -> None:
    folder = DurableFolder(tmp_path)
    folder.add("tile/0/000", there)
    with pytest.raises(TileConflict, match="tile/0/000"):
        folder.add("tile/0/000", b"hashes")
    assert (tmp_path / "tile/0/000").read_bytes() == there


@pytest.mark.parametrize("target", ["nowhere", "same"])
def test_a_link_is_not_written_through(tmp_path: Path, target: str) -> None:
    (tmp_path / "same").write_bytes(b"hashes")
    folder = DurableFolder(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / target)
    with pytest.raises(TileConflict):
        folder.add("linked", b"hashes")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_at_the_top_is_replaced_and_renamed(tmp_path: Path) -> None:
    folder = DurableFolder(tmp_path)
    folder.replace("checkpoint", b"first")
    folder.replace("checkpoint.next", b"second")
    folder.rename("checkpoint.next", "checkpoint")
    assert files(tmp_path) == {"checkpoint": b"second"}


def test_a_file_once_added_does_not_change_with_the_next(tmp_path: Path) -> None:
    folder = DurableFolder(tmp_path)
    folder.add("one", b"1")
    folder.add("two", b"2")
    folder.replace("three", b"3")
    assert files(tmp_path) == {"one": b"1", "two": b"2", "three": b"3"}


def test_what_a_crash_left_half_written_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / STAGED).write_bytes(b"half")
    DurableFolder(tmp_path)
    assert files(tmp_path) == {}


def test_folders_are_removed_with_their_files_and_made_again(tmp_path: Path) -> None:
    folder = DurableFolder(tmp_path)
    folder.add("tile/0/000.p/1", b"1")
    folder.add("tile/0/000.p/2", b"2")
    folder.remove(["tile/0/000.p", "tile/0/001.p"])
    assert not (tmp_path / "tile/0/000.p").exists()
    folder.add("tile/0/000.p/3", b"3")
    assert (tmp_path / "tile/0/000.p/3").read_bytes() == b"3"


def test_names_are_durable_after_sync_up_to_the_folder_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(OsFiles, "sync_folder", lambda _, folder: synced.append(folder))
    home = tmp_path / "home"
    folder = DurableFolder(home)
    assert synced == [tmp_path]
    synced.clear()
    folder.add("tile/0/000", b"1")
    assert synced == []
    folder.sync()
    assert set(synced) == {home, home / "tile", home / "tile/0"}


def test_a_file_is_durable_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable: list[int] = []
    write = OsFiles.write_durably

    def watched(at: OsFiles, descriptor: int, data: bytes, offset: int) -> None:
        assert not (tmp_path / "tile").exists() or not files(tmp_path / "tile")
        write(at, descriptor, data, offset)
        durable.append(os.fstat(descriptor).st_ino)

    folder = DurableFolder(tmp_path)
    monkeypatch.setattr(OsFiles, "write_durably", watched)
    folder.add("tile/0/000", b"1")
    assert durable == [(tmp_path / "tile/0/000").stat().st_ino]
