"""A folder in which anything may lie is read without being led elsewhere or made to wait."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.layout import CHECKPOINT
from audit.verify import verify_directory
from tests.audit.published_logs import SIGNER, make_entries, write_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log", make_entries(700))


def places(log: Path) -> set[str]:
    return {finding.place for finding in verify_directory(log, SIGNER.vkey).findings}


Replace = Callable[[Path], None]


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    "replace",
    [
        pytest.param(lambda path: path.mkdir(), id="folder"),
        pytest.param(os.mkfifo, id="pipe"),
        pytest.param(lambda path: path.symlink_to(path.parent), id="link-to-a-folder"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="link-to-a-device"),
        pytest.param(lambda path: path.symlink_to("nowhere"), id="dangling-link"),
        pytest.param(lambda path: path.symlink_to(path.name), id="link-to-itself"),
        pytest.param(_huge, id="huge-file"),
        pytest.param(lambda path: path.touch(), id="empty-file"),
    ],
)
@pytest.mark.parametrize("path", [CHECKPOINT, "tile/0/001", "tile/entries/001", "tile/1/000.p/2"])
def test_what_is_no_file_of_the_right_size_is_reported(
    log: Path, path: str, replace: Replace
) -> None:
    (log / path).unlink()
    replace(log / path)
    assert path in places(log)


def test_a_linked_folder_is_not_followed(log: Path) -> None:
    (log / "tile/0").rename(log.parent / "elsewhere")
    (log / "tile/0").symlink_to(log.parent / "elsewhere")
    assert places(log) == {"tile/0"}
