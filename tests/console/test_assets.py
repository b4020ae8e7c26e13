"""Assets: what others wrote is as they published it, and a page stays within its budget."""

import json
from hashlib import sha256
from importlib.resources import files

import pytest

from console.assets import MORE, SCRIPTS, assets

STATIC = files("console") / "static"
VENDORED = json.loads((STATIC / "vendored.json").read_text())
MOST_BYTES = 60_000


@pytest.mark.parametrize("name", VENDORED["files"])
def test_a_vendored_file_is_as_it_was_published(name: str) -> None:
    found = sha256((STATIC / name).read_bytes()).hexdigest()
    assert found == VENDORED["files"][name]["sha256"]


def test_every_script_is_ours_or_vendored() -> None:
    assert set(SCRIPTS) - set(VENDORED["files"]) == {"console.js"}


def test_the_scripts_of_a_page_stay_within_their_budget() -> None:
    weights = {name: len(assets()[name].content) for name in (*SCRIPTS, *MORE)}
    everywhere = sum(weights[name] for name in SCRIPTS)
    assert all(everywhere + weights[name] <= MOST_BYTES for name in MORE)


@pytest.mark.parametrize("name", ["console.js", *MORE, "style.css"])
def test_what_is_ours_names_no_other_place(name: str) -> None:
    text = assets()[name].content.decode()
    assert "://" not in text
    assert "@import" not in text
