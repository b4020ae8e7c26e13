from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.links.connections import Between, ConnectionFiles, Connections, Tokens, entry

ANA = Between("corp:ana", "clerk", "docs")
TOKENS = Tokens("access-token", 1000, "refresh-token")


@pytest.fixture
def files(tmp_path: Path) -> ConnectionFiles:
    return ConnectionFiles(tmp_path / "connections", bytes(32))


def test_a_connection_stands_from_its_entry_to_its_end() -> None:
    connections = Connections()
    assert connections.find(ANA) is None
    connections.given(entry(ANA, "c-1"))
    connections.given(entry(ANA, "c-2"))
    assert connections.find(ANA) == "c-2"
    assert list(connections.all()) == [(ANA, "c-2")]
    connections.withdrawn(entry(ANA, "c-2"))
    assert connections.find(ANA) is None


@given(st.text(), st.text(), st.text())
def test_what_was_stored_is_restored(user: str, agent: str, server: str) -> None:
    between, connections, again = Between(user, agent, server), Connections(), Connections()
    connections.given(entry(between, "c-1"))
    for key in connections.changed:
        row = connections.stored(key)
        assert row is not None
        again.restore(key, row)
    assert again.find(between) == "c-1"
    connections.withdrawn(entry(between, "c-1"))
    assert [connections.stored(key) for key in connections.changed] == [None]


async def test_tokens_are_kept_sealed_and_private(files: ConnectionFiles, tmp_path: Path) -> None:
    await files.write("c-1", TOKENS)
    assert await files.read("c-1") == TOKENS
    (file,) = (tmp_path / "connections").iterdir()
    assert b"token" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "token" not in repr(TOKENS)
    await files.remove("c-1")
    assert await files.read("c-1") is None
    await files.remove("c-1")


async def test_tokens_of_another_connection_or_key_are_none(
    files: ConnectionFiles, tmp_path: Path
) -> None:
    await files.write("c-1", TOKENS)
    folder = tmp_path / "connections"
    (folder / "c-1.connection").rename(folder / "c-2.connection")
    assert await files.read("c-2") is None
    await files.write("c-1", TOKENS)
    assert await ConnectionFiles(folder, b"x" * 32).read("c-1") is None


@pytest.mark.parametrize("place", [0, 12, -1])
async def test_altered_tokens_are_none(place: int, files: ConnectionFiles, tmp_path: Path) -> None:
    await files.write("c-1", TOKENS)
    file = tmp_path / "connections" / "c-1.connection"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert await files.read("c-1") is None
    file.write_bytes(b"")
    assert await files.read("c-1") is None


async def test_tokens_that_others_could_read_are_none(
    files: ConnectionFiles, tmp_path: Path
) -> None:
    await files.write("c-1", TOKENS)
    (tmp_path / "connections" / "c-1.connection").chmod(0o644)
    assert await files.read("c-1") is None
