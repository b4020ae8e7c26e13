import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.identity import private_files
from gateway.identity.errors import KeyFileRefused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return private_files.folder(tmp_path / "home" / "keys")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path, umask: None) -> None:
    folder = private_files.folder(tmp_path / "keys")
    private_files.create(folder / "a", b"one")
    private_files.replace(folder / "b", b"two")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600, 0o600]


def test_a_file_is_read_as_it_was_written(folder: Path) -> None:
    private_files.create(folder / "key", b"one")
    assert private_files.read(folder / "key") == b"one"
    private_files.replace(folder / "key", b"two")
    assert private_files.read(folder / "key") == b"two"
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_an_existing_file_is_not_created_again(folder: Path) -> None:
    private_files.create(folder / "key", b"one")
    with pytest.raises(FileExistsError):
        private_files.create(folder / "key", b"two")
    assert private_files.read(folder / "key") == b"one"
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_a_link_in_the_place_of_a_new_file_is_not_followed(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (folder / "key").symlink_to(victim)
    (folder / ".key.new").symlink_to(victim)
    with pytest.raises(FileExistsError):
        private_files.create(folder / "key", b"one")
    private_files.replace(folder / "key", b"two")
    assert not victim.exists()
    assert private_files.read(folder / "key") == b"two"


def test_a_draft_that_a_crash_left_behind_is_in_nobodys_way(folder: Path) -> None:
    (folder / ".key.new").write_bytes(b"half")
    private_files.create(folder / "key", b"whole")
    assert private_files.read(folder / "key") == b"whole"


def test_a_removed_file_is_gone(folder: Path) -> None:
    private_files.create(folder / "key", b"one")
    private_files.remove(folder / "key")
    with pytest.raises(KeyFileRefused, match="No such file"):
        private_files.read(folder / "key")


def test_a_folder_is_not_read_as_a_file(folder: Path) -> None:
    with pytest.raises(KeyFileRefused):
        private_files.read(folder)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").touch(0o600)
    with pytest.raises(KeyFileRefused, match="not a folder"):
        private_files.folder(tmp_path / "keys")


def test_another_accounts_file_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private_files.create(folder / "key", b"one")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(KeyFileRefused, match="another account"):
        private_files.read(folder / "key")
    with pytest.raises(KeyFileRefused, match="another account"):
        private_files.folder(folder)


def test_the_refusal_names_the_file_and_nothing_in_it(folder: Path) -> None:
    private_files.create(folder / "key", b"hushhush")
    (folder / "key").chmod(0o644)
    with pytest.raises(KeyFileRefused) as refused:
        private_files.read(folder / "key")
    assert str(folder / "key") in str(refused.value)
    assert "0644" in str(refused.value)
    assert "hush" not in str(refused.value)
