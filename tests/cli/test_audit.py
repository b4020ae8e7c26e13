"""`passavant audit`: searching, proving, and verifying without the gateway."""

import json
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from tests.cli.deployment import Deployment, passavant

CLERK = ("--agent", "clerk")


def test_a_hostile_result_is_printed_inert(desk: Deployment) -> None:
    ran = desk.run("call", "desk.say", *CLERK)
    assert ran.exit_code == 0
    assert all(char.isprintable() or char == "\n" for char in ran.output)
    assert r"\u{1b}[2Jgone \u{202e}laer\u{0}\u{d}" in ran.stdout
    assert '"image"' in ran.stdout


def test_a_page_leads_to_the_next(desk: Deployment) -> None:
    first = desk.read("audit", "search", "--limit", "1")
    second = desk.read("audit", "search", "--limit", "1", "--cursor", str(first["cursor"]))
    assert second["entries"][0]["index"] < first["entries"][0]["index"]
    assert "more: --cursor" in desk.run("audit", "search", "--limit", "1").stderr


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        pytest.param(["show", "99999999"], "operator.unknown", id="an-entry-that-is-not-there"),
        pytest.param(["prove", "99999999"], "operator.unknown", id="a-proof-of-nothing"),
        pytest.param(["search", "colour:red"], "audit.query-invalid", id="no-such-qualifier"),
        pytest.param(["search", "after:yesterday"], "audit.query-invalid", id="no-such-time"),
    ],
)
def test_what_the_log_cannot_answer_is_refused(
    args: list[str], complaint: str, desk: Deployment
) -> None:
    ran = desk.run("audit", *args)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert complaint in ran.stderr


def test_that_words_were_opened_is_an_entry(desk: Deployment) -> None:
    ran = desk.run("call", "desk.pay", "amount=41", *CLERK)
    index = int(ran.stderr.partition("receipt ")[2].split(";")[1])
    shown = desk.read("audit", "show", str(index))
    assert shown["words"]["state"] in {"open", "not kept"}
    (opened, *_) = desk.read("audit", "search", "kind:audit.opened")["entries"]
    assert (opened["body"]["opened"], opened["body"]["by"]) == (index, "operator:ana")


def copied(tiles: Path, into: Path) -> Path:
    """A copy during which nothing was published: that replaces partial tiles."""
    for number in count():
        before = (tiles / "checkpoint").read_bytes()
        copy = into / f"copy-{number}"
        with suppress(shutil.Error):
            shutil.copytree(tiles, copy)
            if (tiles / "checkpoint").read_bytes() == before:
                return copy
    raise AssertionError


def test_the_log_is_verified_from_a_copy_with_key_and_pins_alone(
    desk: Deployment, tmp_path: Path
) -> None:
    pins = tmp_path / "pins"
    pins.write_text(desk.run("audit", "checkpoint").stdout)
    key = desk.run("audit", "vkey").stdout.strip()
    assert key.startswith("desk.example/log+")
    copy = copied(desk.home / "tiles", tmp_path)
    (tmp_path / "vkey").write_text(f"{key}\n")
    without = passavant("audit", "verify", copy, "--vkey", key)
    assert without.exit_code == 0, without.output
    assert "rollback not excluded" in without.stdout
    for bundle in (copy / "tile" / "entries").rglob("*"):
        if bundle.is_file():
            bundle.write_bytes(bundle.read_bytes().replace(b'"ana"', b'"eve"'))
    ran = passavant("audit", "verify", copy, "--vkey", tmp_path / "vkey", "--json")
    assert ran.exit_code == 3
    told = json.loads(ran.stdout)
    assert told.keys() == {"ok", "origin", "size", "root", "rollback", "pinned", "findings"}
    assert any("entries" in each["place"] or "entry" in each["place"] for each in told["findings"])


@pytest.mark.parametrize(
    "vkey",
    [
        pytest.param("", id="nothing"),
        pytest.param("desk.example/log+00000000+AAAA", id="no-key"),
        pytest.param("\x1b[31mkey", id="hostile"),
    ],
)
def test_a_key_that_is_none_verifies_nothing(vkey: str, desk: Deployment) -> None:
    ran = passavant("audit", "verify", desk.home / "tiles", "--vkey", vkey)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "\x1b" not in ran.output


def test_a_pin_that_is_none_is_wrong_usage(desk: Deployment, tmp_path: Path) -> None:
    (tmp_path / "pins").write_text("no receipt\n")
    key = desk.run("audit", "vkey").stdout.strip()
    ran = passavant(
        "audit", "verify", desk.home / "tiles", "--vkey", key, "--pin", tmp_path / "pins"
    )
    assert ran.exit_code == 2


def test_a_folder_that_is_no_home_has_no_key_and_gets_none(tmp_path: Path) -> None:
    ran = passavant("audit", "vkey", "--home", tmp_path)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_has_published_nothing_has_no_key_yet(deployment: Deployment) -> None:
    deployment.with_operator()
    ran = passavant("audit", "vkey", "--home", deployment.home)
    assert ran.exit_code == 1
    assert "nothing has been published" in ran.stderr
