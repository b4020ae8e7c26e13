import asyncio
from pathlib import Path

import keyring.backend
import keyring.errors
import pytest

from gateway.errors import CredentialMissing
from gateway.known_secrets import KnownSecrets
from gateway.links import credentials as module
from gateway.links.credentials import Credentials

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPlanted\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def known() -> KnownSecrets:
    return KnownSecrets()


@pytest.fixture
def credentials(tmp_path: Path, known: KnownSecrets) -> Credentials:
    (tmp_path / "crm").write_text("file-secret\n")
    environ = {"TOKEN": "env-secret", "EMPTY": "", "BAD": "a\r\nX-Evil: 1", "SHORT": "1234567"}
    return Credentials(environ, tmp_path, known)


def test_a_reference_leads_to_its_secret(
    credentials: Credentials, known: KnownSecrets, tmp_path: Path
) -> None:
    assert credentials.resolve("env:TOKEN") == "env-secret"
    assert credentials.resolve("file:crm") == "file-secret"
    assert credentials.resolve(f"file:{tmp_path}/crm") == "file-secret"
    assert {"env-secret", "file-secret"} <= set(known.spellings)


async def test_it_is_the_same_secret_while_others_go_on(credentials: Credentials) -> None:
    assert await credentials.fetch("env:TOKEN") == "env-secret"
    assert await credentials.fetch("file:crm") == "file-secret"


def test_a_secret_that_is_resolved_again_is_learned_once(
    credentials: Credentials, known: KnownSecrets
) -> None:
    for _ in range(3):
        credentials.resolve("env:TOKEN")
    known.forget("env-secret")
    assert not known.spellings


def test_a_secret_that_was_changed_is_read_anew(
    credentials: Credentials, known: KnownSecrets, tmp_path: Path
) -> None:
    credentials.resolve("file:crm")
    (tmp_path / "crm").write_text("another-one\r\n")
    assert credentials.resolve("file:crm") == "another-one"
    assert {"file-secret", "another-one"} <= set(known.spellings)


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param("env:NONE", id="no-variable"),
        pytest.param("env:EMPTY", id="empty"),
        pytest.param("env:BAD", id="two-lines"),
        pytest.param("env:SHORT", id="too-short-to-be-found-again"),
        pytest.param("file:none", id="no-file"),
        pytest.param("file:folder", id="folder"),
        pytest.param("file:large", id="large"),
        pytest.param("file:binary", id="binary"),
        pytest.param("file:lines", id="lines"),
        pytest.param("file:spaces", id="spaces-around"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(
    reference: str, credentials: Credentials, known: KnownSecrets, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_text("x" * 20_000)
    (tmp_path / "binary").write_bytes(b"\x00\xff" * 8)
    (tmp_path / "lines").write_text("one-secret\ntwo-secrets\n")
    (tmp_path / "spaces").write_text(" secret-secret ")
    with pytest.raises(CredentialMissing) as caught:
        credentials.resolve(reference)
    assert str(caught.value).startswith(reference)
    assert "secret" not in str(caught.value)
    assert "Evil" not in str(caught.value)
    assert not known.spellings


# -- keys in several lines ------------------------------------------------------------------


async def test_of_a_key_each_line_is_a_secret(
    credentials: Credentials, known: KnownSecrets, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    assert await credentials.fetch_text("file:key.pem") == PEM.removesuffix("\n")
    assert "MC4CAQAwBQYDK2VwBCIEIPlanted" in known.spellings
    assert "-----BEGIN PRIVATE KEY-----" not in known.spellings


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n", id="blank"),
        pytest.param(b"\x30\x2e\x02\x01", id="binary"),
        pytest.param(b"x" * 20_000, id="large"),
    ],
)
async def test_what_is_no_text_is_no_key(
    raw: bytes, credentials: Credentials, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(raw)
    with pytest.raises(CredentialMissing, match="file:key"):
        await credentials.fetch_text("file:key")


# -- keyrings -------------------------------------------------------------------------------


class Kept(keyring.backend.KeyringBackend):
    """A keyring of the real library, in memory."""

    priority = 1

    def __init__(self, **kept: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library's
        self.kept = kept
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked(f"{service}/{username} is locked")
        return self.kept.get(f"{service}_{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[f"{service}_{username}"] = password


def of_keyring(tmp_path: Path, kept: Kept) -> Credentials:
    return Credentials({}, tmp_path, KnownSecrets(), lambda: kept)


async def test_a_secret_is_found_in_a_keyring_and_read_anew(tmp_path: Path) -> None:
    kept = Kept(crm_token="kept-secret")
    credentials = of_keyring(tmp_path, kept)
    assert await credentials.fetch("keyring:crm/token") == "kept-secret"
    kept.kept["crm_token"] = "other-secret"
    assert await credentials.fetch("keyring:crm/token") == "other-secret"


async def test_without_the_library_it_is_said_what_to_install(tmp_path: Path) -> None:
    def absent() -> Kept:
        raise ModuleNotFoundError("No module named 'keyring'")

    credentials = Credentials({}, tmp_path, KnownSecrets(), absent)
    with pytest.raises(CredentialMissing, match=r"passavant\[keyring\]"):
        await credentials.fetch("keyring:crm/token")


async def test_the_library_is_the_one_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "get_password", lambda service, name: f"{service}-{name}-kept")
    credentials = Credentials({}, tmp_path, KnownSecrets())
    assert await credentials.fetch("keyring:crm/token") == "crm-token-kept"


@pytest.mark.parametrize("locked", [False, True])
async def test_a_keyring_without_it_or_locked_gives_nothing(tmp_path: Path, locked: bool) -> None:
    kept = Kept()
    kept.locked = locked
    with pytest.raises(CredentialMissing, match="keyring:crm/token"):
        await of_keyring(tmp_path, kept).fetch("keyring:crm/token")


async def test_a_keyring_that_waits_for_somebody_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, asked, answered = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    class Slow(Kept):
        def get_password(self, service: str, username: str) -> str | None:
            loop.call_soon_threadsafe(asked.set)
            asyncio.run_coroutine_threadsafe(answered.wait(), loop).result(5)
            return "too-late-secret"

    monkeypatch.setattr(module, "_KEYRING_S", 0.05)
    with pytest.raises(CredentialMissing, match="does not answer"):
        await of_keyring(tmp_path, Slow()).fetch("keyring:crm/token")
    assert asked.is_set()
    answered.set()
