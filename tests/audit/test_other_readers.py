"""Readers that others have written accept our logs and refuse what was tampered with.

Go's own packages come from Debian (golang-go, golang-golang-x-mod-dev); `tlog-scales` from PyPI is
tried only where somebody has installed it: neither is needed to build or test Passavant.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from audit.layout import join_bundle
from audit.merkle import hash_leaf
from tests.audit.published_logs import SIGNER, make_entries, put, write_files, write_log

SOURCES = Path("/usr/share/gocode")
READER = Path(__file__).parents[1] / "independent" / "go" / "reader.go"
SIZES = [0, 1, 2, 255, 256, 257, 512, 700, 65_536, 66_000]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def go_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if not go or not (SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("needs Go and golang.org/x/mod (Debian: golang-golang-x-mod-dev)")
    home = tmp_path_factory.mktemp("go")
    reader = home / "reader"
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": str(SOURCES),
        "GOCACHE": str(home / "cache"),
        "GOFLAGS": "",
    }
    subprocess.run([go, "build", "-o", reader, READER], check=True, env=environment, timeout=170)
    return reader


def _read(reader: Path, log: Path, vkey: str = SIGNER.vkey) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [reader, log, vkey], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("size", SIZES)
def test_go_accepts_our_logs(go_reader: Path, tmp_path: Path, size: int) -> None:
    done = _read(go_reader, write_log(tmp_path, make_entries(size)))
    assert (done.stderr, done.stdout) == ("", f"{size}\n")


def test_go_refuses_what_we_refuse(go_reader: Path, tmp_path: Path) -> None:
    entries = make_entries(700)
    log = write_log(tmp_path, entries)
    put(log, "tile/0/001", bytes(8192))
    assert _read(go_reader, log).returncode == 1
    write_files(log, entries)
    put(log, "tile/entries/001", join_bundle([*entries[256:511], entries[0]]))
    assert "entry 511 differs" in _read(go_reader, log).stderr
    write_files(log, [*entries[:-1], entries[0]])
    assert _read(go_reader, log).returncode == 1
    write_files(log, entries)
    assert _read(go_reader, log, SIGNER.vkey.replace("/a", "/b")).returncode == 1
    assert _read(go_reader, log).stdout == "700\n"


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_tlog_scales_accepts_our_logs(tmp_path: Path, size: int) -> None:
    backend = pytest.importorskip("tlog_scales.backend", reason="needs tlog-scales from PyPI")
    signing = pytest.importorskip("tlog_scales.signing")
    entries = make_entries(size)
    reader = pytest.importorskip("tlog_scales.reader").TilesReader(
        backend.LocalBackend(write_log(tmp_path, entries))
    )
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(signing.Vkey.from_string(SIGNER.vkey))
    assert (checkpoint.size, checkpoint.root_hash) == (size, reader.calculate_root_hash())
    assert [reader.get_entry(index) for index in range(size)] == entries
    for index in range(0, size, 50):
        proof = reader.get_inclusion_proof(index, size)
        proof.check(hash_leaf(entries[index]), checkpoint.root_hash)
