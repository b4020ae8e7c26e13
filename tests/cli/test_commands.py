"""What holds for every command: help, usage, JSON that programs can rely on, inert text."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from cli.main import NOUNS
from tests.cli.deployment import Deployment, passavant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("noun", NOUNS)
def test_every_command_explains_itself(noun: str) -> None:
    ran = passavant(noun, "--help")
    assert ran.exit_code == 0
    assert "Usage" in ran.stdout


def test_the_program_lists_every_command() -> None:
    listed = passavant("--help").stdout
    assert all(noun in listed for noun in NOUNS)


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["fly"], id="no-such-noun"),
        pytest.param(["approval", "fly"], id="no-such-verb"),
        pytest.param(["approval", "show"], id="no-id"),
        pytest.param(["audit", "show", "-1"], id="an-index-below-zero"),
        pytest.param(["audit", "show", "x"], id="an-index-that-is-none"),
        pytest.param(["audit", "search", "--limit", "0"], id="a-page-of-nothing"),
        pytest.param(["server", "accept", "desk"], id="no-digest"),
        pytest.param(["serve", "--config", "nowhere.yaml"], id="no-such-file"),
        pytest.param(["dev", "--port", "70000"], id="no-such-port"),
    ],
)
def test_wrong_usage_ends_with_two(args: list[str]) -> None:
    assert passavant(*args).exit_code == 2


@pytest.mark.parametrize(
    ("args", "members"),
    [
        pytest.param(["whoami"], {"name", "roles"}, id="whoami"),
        pytest.param(["policy", "show"], {"snapshot", "proposed", "files"}, id="policy"),
        pytest.param(
            ["audit", "search", "kind:start"], {"entries", "cursor", "behind"}, id="search"
        ),
        pytest.param(["audit", "show", "0"], {"origin", "index", "leaf", "body"}, id="entry"),
        pytest.param(["server", "show", "desk"], {"name", "state", "tools"}, id="server"),
        pytest.param(["server", "review", "desk"], {"digest", "changes"}, id="review"),
    ],
)
def test_an_object_as_json_has_stable_members(
    args: list[str], members: set[str], desk: Deployment
) -> None:
    assert members <= desk.read(*args).keys()


@pytest.mark.parametrize(
    ("args", "members"),
    [
        pytest.param(["operator", "list"], {"name", "roles", "groups", "expires"}, id="operators"),
        pytest.param(["key", "list"], {"use", "id", "made", "state", "public"}, id="keys"),
        pytest.param(["server", "list"], {"name", "state", "tools", "waiting"}, id="servers"),
        pytest.param(["policy", "matrix"], {"tool", "risk", "agents"}, id="matrix"),
        pytest.param(["policy", "history"], {"index", "leaf", "body"}, id="history"),
    ],
)
def test_a_list_as_json_has_rows_of_stable_members(
    args: list[str], members: set[str], desk: Deployment
) -> None:
    rows = desk.read(*args)
    assert rows
    assert all(members <= row.keys() for row in rows)


@pytest.mark.parametrize(
    "args",
    [
        ["operator", "list"],
        ["agent", "list"],
        ["session", "list"],
        ["server", "list"],
        ["server", "show", "desk"],
        ["approval", "list"],
        ["key", "list"],
        ["policy", "matrix"],
        ["policy", "history"],
        ["policy", "show"],
        ["audit", "tail"],
        ["audit", "search", "kind:start"],
        ["audit", "show", "0"],
    ],
    ids=" ".join,
)
def test_for_people_it_is_text_without_anything_that_a_terminal_obeys(
    args: list[str], desk: Deployment
) -> None:
    ran = desk.run(*args)
    assert ran.exit_code == 0
    assert ran.stdout
    assert all(char.isprintable() or char == "\n" for char in ran.stdout)


# -- documents ---------------------------------------------------------------------------------


def documented() -> list[tuple[str, list[str], str]]:
    """Every command that a document shows: where, its words, and what follows them."""
    found = []
    for name in ("README.md", "SECURITY.md", "docs/operating.md", "cli/template/passavant.yaml"):
        text = (ROOT / name).read_text()
        for words, rest in re.findall(r"passavant ([a-z]+(?: [a-z]+)?)([^\n`|;$]*)", text):
            if words.split()[0] in NOUNS:
                found.append((name, words.split(), rest))
    return found


def test_documents_show_only_commands_and_options_that_exist() -> None:
    assert len(documented()) > 30
    for name, (noun, *verb), rest in documented():
        has_verbs = len(import_module(NOUNS[noun]).app.registered_commands) > 1
        helped = passavant(noun, *(verb if has_verbs else []), "--help")
        assert helped.exit_code == 0, (name, noun, verb)
        shown = re.findall(r"(?<=\s)--[a-z][a-z-]*", rest)
        assert [option for option in shown if option not in helped.stdout] == [], (name, noun, verb)
