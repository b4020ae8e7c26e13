"""The home: private or refused, and never made by who only looks."""

import stat
from pathlib import Path

import pytest

from audit.errors import AuditError
from gateway.home import Home
from gateway.identity.errors import KeyFileRefused


def test_a_home_is_made_for_this_account_alone(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "a" / "home")
    for folder in (home.path, home.path / "keys", home.tiles):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "keys", "tiles"])
@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777], ids=oct)
def test_a_home_that_others_can_look_into_is_refused(name: str, mode: int, tmp_path: Path) -> None:
    Home.at(tmp_path / "home")
    (tmp_path / "home" / name).chmod(mode)
    with pytest.raises(KeyFileRefused, match="open to others"):
        Home.at(tmp_path / "home")


def test_a_link_is_no_home(tmp_path: Path) -> None:
    Home.at(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(KeyFileRefused, match="not a folder"):
        Home.at(tmp_path / "link")


def test_who_only_looks_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused, match="no home"):
        Home.existing(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["log.pem", "vault.key", "state.key"])
def test_keys_are_made_once_and_stay(name: str, tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    make = {"log.pem": home.log_key, "vault.key": home.vault_key, "state.key": home.digest_key}
    make[name]()
    path = home.path / "keys" / name
    before = path.read_bytes()
    make[name]()
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("log.pem", b"", id="an-empty-key"),
        pytest.param("log.pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", id="half-a-key"),
        pytest.param("vault.key", bytes(31), id="a-byte-too-few"),
        pytest.param("state.key", bytes(33), id="a-byte-too-many"),
    ],
)
def test_what_is_no_key_is_refused_and_not_replaced(
    name: str, content: bytes, tmp_path: Path
) -> None:
    home = Home.at(tmp_path / "home")
    path = home.path / "keys" / name
    path.write_bytes(content)
    path.chmod(0o600)
    read = {"log.pem": home.log_key, "vault.key": home.vault_key, "state.key": home.digest_key}
    with pytest.raises(KeyFileRefused, match=name):
        read[name]()
    assert path.read_bytes() == content


def test_a_key_of_another_kind_signs_no_log(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    path = home.path / "keys" / "log.pem"
    path.write_text(
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VuBCIEIHAHbYHc0tOCDEZ8bR1Kz3mSr1P0bR0c3SN1ChGUYm9q\n"
        "-----END PRIVATE KEY-----\n"  # X25519: it agrees on keys and signs nothing
    )
    path.chmod(0o600)
    with pytest.raises(KeyFileRefused, match="not an Ed25519 key"):
        home.log_key()


def test_nothing_verifies_before_something_was_published(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="nothing has been published"):
        Home.at(tmp_path / "home").verifier_key()


@pytest.mark.parametrize("note", [b"", b"\n\n", b"other.example\n0\n\n", b"\xff" * 64])
def test_a_checkpoint_that_this_home_did_not_sign_gives_no_key(note: bytes, tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    (home.tiles / "checkpoint").write_bytes(note)
    with pytest.raises(AuditError):
        home.verifier_key()
