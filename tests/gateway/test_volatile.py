"""Volatile folders: the mount table, read as the kernel writes it."""

from pathlib import Path

import pytest

from gateway.volatile import is_volatile

TABLE = """\
22 1 254:0 / {root} rw,relatime - ext4 /dev/vda rw
23 22 0:21 / {root}/shm rw,nosuid shared:2 - tmpfs tmpfs rw,size=64k
24 23 254:1 / {root}/shm/kept rw - xfs /dev/vdb rw
25 22 0:30 / {root}/with\\040space rw - ramfs none rw
26 22 0:31 / {root}/over rw - tmpfs none rw
27 26 254:2 / {root}/over rw master:1 propagate_from:2 - ext4 /dev/vdc rw
28 22 0:32 / {root}/hidden rw - ext4 /dev/vdd rw
29 28 0:33 / {root}/hidden rw - tmpfs none rw
a line that is none
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.format(root=tmp_path))
    return table


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        pytest.param("home", False, id="disk"),
        pytest.param("shm", True, id="the-mount-point-itself"),
        pytest.param("shm/deep/home", True, id="below-it-and-not-made-yet"),
        pytest.param("shmem", False, id="a-name-that-only-begins-alike"),
        pytest.param("shm/kept/home", False, id="a-disk-below-memory"),
        pytest.param("shm/kept/../home", True, id="a-path-that-climbs-back"),
        pytest.param("with space/home", True, id="an-escaped-name"),
        pytest.param("over/home", False, id="a-disk-mounted-over-memory"),
        pytest.param("hidden/home", True, id="memory-mounted-over-a-disk"),
    ],
)
def test_the_deepest_and_last_mount_decides(
    folder: str, expected: bool, mounts: Path, tmp_path: Path
) -> None:
    assert is_volatile(tmp_path / folder, mounts) is expected


def test_a_link_leads_to_where_the_folder_really_is(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "shm").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "shm")
    assert is_volatile(tmp_path / "home", mounts)


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    assert not is_volatile(tmp_path, tmp_path / "none")
