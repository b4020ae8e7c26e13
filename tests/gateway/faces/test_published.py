"""The published log on the agents' listener: hashes for everyone, entries for nobody."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from audit.layout import ANNOUNCED, STAGED, WIDTH, Tile
from gateway.faces.http import EdgeRules
from gateway.faces.published import PublishedFace
from tests.gateway.faces.conftest import HOST, URL, GateDouble

ORIGIN = "gw.example/log"
NOTE = b"gw.example/log\n300\nAAAA\n\n\xe2\x80\x94 gw.example/log AAAA\n"
FULL = bytes(32) * WIDTH
PARTIAL = bytes(range(32)) * 44


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, content in {
        "checkpoint": NOTE,
        Tile(0, 0).path: FULL,
        Tile(0, 1, 44).path: PARTIAL,
        Tile(None, 0).path: b"what agents did",
        Tile(None, 1, 44).path: b"what agents did",
        ANNOUNCED: NOTE,
        STAGED: b"half a file",
        "keys": b"no part of it",
    }.items():
        (tmp_path / "tiles" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tiles" / path).write_bytes(content)
    (tmp_path / "secret").write_bytes(b"beside the folder")
    return tmp_path / "tiles"


@pytest.fixture
def gate() -> GateDouble:
    return GateDouble(())


@pytest.fixture
def face(folder: Path, gate: GateDouble) -> PublishedFace:
    return PublishedFace(folder, ORIGIN, rules=EdgeRules(URL, frozenset({HOST})), gate=gate)


async def ask(
    face: PublishedFace, path: str, *, method: str = "GET", host: bytes = HOST
) -> tuple[int, bytes, dict[bytes, bytes]]:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("no body is read")

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", host)],
        "client": ("127.0.0.1", 40_000),
    }
    await face(scope, receive, send)
    start, body = sent
    return start["status"], body["body"], dict(start["headers"])


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        pytest.param("checkpoint", NOTE, b"text/plain; charset=utf-8", id="checkpoint"),
        pytest.param("tile/0/000", FULL, b"application/octet-stream", id="full-tile"),
        pytest.param("tile/0/001.p/44", PARTIAL, b"application/octet-stream", id="partial-tile"),
        pytest.param(
            "tile/0/000.p/3", FULL[: 3 * 32], b"application/octet-stream", id="part-of-a-full-tile"
        ),
    ],
)
async def test_checkpoint_and_hashes_are_for_everyone(
    path: str, content: bytes, kind: bytes, face: PublishedFace, gate: GateDouble
) -> None:
    status, body, headers = await ask(face, f"/audit/log/{ORIGIN}/{path}")
    assert (status, body, headers[b"content-type"]) == (200, content, kind)
    assert gate.refused == []


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"/audit/log/{ORIGIN}/tile/entries/000", id="a-full-bundle"),
        pytest.param(f"/audit/log/{ORIGIN}/tile/entries/001.p/44", id="a-partial-bundle"),
        pytest.param(f"/audit/log/{ORIGIN}/{ANNOUNCED}", id="the-next-checkpoint"),
        pytest.param(f"/audit/log/{ORIGIN}/{STAGED}", id="a-draft"),
        pytest.param(f"/audit/log/{ORIGIN}/keys", id="a-file-that-is-none-of-the-log"),
        pytest.param(f"/audit/log/{ORIGIN}/tile/0/002", id="a-tile-that-is-not-there"),
        pytest.param(f"/audit/log/{ORIGIN}/tile/0/000.p/256", id="another-spelling"),
        pytest.param(f"/audit/log/{ORIGIN}/tile/00/000", id="a-padded-level"),
        pytest.param(f"/audit/log/{ORIGIN}/tile/8/000", id="a-level-that-cannot-be"),
        pytest.param(f"/audit/log/{ORIGIN}/../secret", id="climbing"),
        pytest.param(f"/audit/log/{ORIGIN}/tile/0/../../../secret", id="climbing-from-below"),
        pytest.param(f"/audit/log/{ORIGIN}//secret", id="an-absolute-path"),
        pytest.param(f"/audit/log/{ORIGIN}/checkpoint/", id="a-slash-too-many"),
        pytest.param(f"/audit/log/{ORIGIN}/checkpoint\x00", id="a-null"),
        pytest.param(f"/audit/log/{ORIGIN}/", id="the-folder"),
        pytest.param(f"/audit/log/{ORIGIN}", id="the-origin"),
        pytest.param("/audit/log/other.example/log/checkpoint", id="another-origin"),
        pytest.param("/audit/log/checkpoint", id="no-origin"),
        pytest.param("/audit/log", id="the-prefix"),
    ],
)
async def test_nothing_else_is(path: str, face: PublishedFace, gate: GateDouble) -> None:
    status, body, _ = await ask(face, path)
    assert status == 404
    assert b"request.path" in body
    assert b"agents did" not in body
    assert [code for _, code in gate.refused] == ["request.path"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_the_log_is_only_read(method: str, face: PublishedFace, gate: GateDouble) -> None:
    status, _, headers = await ask(face, f"/audit/log/{ORIGIN}/checkpoint", method=method)
    assert (status, headers[b"allow"]) == (405, b"GET")
    assert [code for _, code in gate.refused] == ["request.method"]


async def test_another_host_is_refused(face: PublishedFace, gate: GateDouble) -> None:
    status, _, _ = await ask(face, f"/audit/log/{ORIGIN}/checkpoint", host=b"evil.example")
    assert status == 403
    assert [code for _, code in gate.refused] == ["request.host"]


@pytest.mark.parametrize("kind", ["link", "folder", "too-long"])
async def test_what_is_no_file_of_the_log_is_not_followed(
    kind: str, face: PublishedFace, folder: Path
) -> None:
    tile = folder / "tile/0/000"
    tile.unlink()
    match kind:
        case "link":
            tile.symlink_to(folder.parent / "secret")
        case "folder":
            tile.mkdir()
        case _:
            tile.write_bytes(FULL + b"x")
    status, body, _ = await ask(face, f"/audit/log/{ORIGIN}/tile/0/000")
    assert (status, b"beside" in body) == (404, False)
