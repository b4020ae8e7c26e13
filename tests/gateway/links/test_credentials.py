from pathlib import Path

import pytest

from gateway.errors import CredentialMissing
from gateway.links.credentials import Credentials


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    (tmp_path / "crm").write_text("file-secret\n")
    return Credentials({"TOKEN": "env-secret", "EMPTY": "", "BAD": "a\r\nX-Evil: 1"}, tmp_path)


def test_a_reference_leads_to_its_secret(credentials: Credentials, tmp_path: Path) -> None:
    assert credentials.resolve("env:TOKEN") == "env-secret"
    assert credentials.resolve("file:crm") == "file-secret"
    assert credentials.resolve(f"file:{tmp_path}/crm") == "file-secret"
    assert credentials.known == {"env-secret", "file-secret"}


def test_whoever_keeps_secrets_out_of_texts_is_told_of_each_once(tmp_path: Path) -> None:
    learned: list[str] = []
    credentials = Credentials({"TOKEN": "env-secret"}, tmp_path, learned.append)
    for _ in range(3):
        credentials.resolve("env:TOKEN")
    assert learned == ["env-secret"]


def test_a_secret_that_was_changed_is_read_anew(credentials: Credentials, tmp_path: Path) -> None:
    credentials.resolve("file:crm")
    (tmp_path / "crm").write_text("another\r\n")
    assert credentials.resolve("file:crm") == "another"
    assert credentials.known == {"file-secret", "another"}


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param("env:NONE", id="no-variable"),
        pytest.param("env:EMPTY", id="empty"),
        pytest.param("env:BAD", id="two-lines"),
        pytest.param("file:none", id="no-file"),
        pytest.param("file:folder", id="folder"),
        pytest.param("file:large", id="large"),
        pytest.param("file:binary", id="binary"),
        pytest.param("file:lines", id="lines"),
        pytest.param("file:spaces", id="spaces-around"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(
    reference: str, credentials: Credentials, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_text("x" * 20_000)
    (tmp_path / "binary").write_bytes(b"\x00\xff")
    (tmp_path / "lines").write_text("one\ntwo\n")
    (tmp_path / "spaces").write_text(" secret ")
    with pytest.raises(CredentialMissing) as caught:
        credentials.resolve(reference)
    assert str(caught.value).startswith(reference)
    assert "secret" not in str(caught.value)
    assert "Evil" not in str(caught.value)
    assert not credentials.known
