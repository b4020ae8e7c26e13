"""Looks at the keys of a home whose gateway is at work."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import looks
from gateway.deployment import load
from gateway.home import Home
from gateway.identity import private_files

DEPLOYMENT = "apiVersion: passavant/v1\nkind: Gateway\npolicy: [a.policy.yaml]\nhome: home\n"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The folder of keys of a home, with one in it."""
    (tmp_path / "passavant.yaml").write_text(DEPLOYMENT)
    folder = Home.at(tmp_path / "home").path / "keys"
    private_files.create(folder / "one", b"secret")
    return folder


def home(keys: Path) -> looks.Looked:
    settings = load(keys.parents[1] / "passavant.yaml")
    return next(look for look in looks.look(settings) if look.at == "home")


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """What happens while nobody looks."""
    monkeypatch.setattr(time, "sleep", lambda _: act())


def test_a_key_that_is_being_made_has_two_names_for_a_moment(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = keys / ".draft"
    draft.hardlink_to(keys / "one")
    meanwhile(monkeypatch, draft.unlink)
    assert home(keys).outcome == "ok"


def test_a_key_that_was_destroyed_meanwhile_is_nobodys(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (keys / "one").chmod(0o644)
    meanwhile(monkeypatch, (keys / "one").unlink)
    assert home(keys).outcome == "ok"


def test_what_stays_wrong_is_said(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (keys / "two").hardlink_to(keys / "one")
    meanwhile(monkeypatch, lambda: None)
    assert home(keys).outcome == "NO"
    (keys / "two").unlink()
    (keys / "one").unlink()
    (keys / "one").symlink_to(keys.parent)
    assert home(keys).outcome == "NO"
