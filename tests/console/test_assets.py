"""Assets: what others wrote is as they published it, and a page stays within its budget."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import pytest

from console.assets import MORE, SCRIPTS, assets
from gateway.page import page

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


def colours(sheet: str) -> dict[str, str]:
    """Custom properties, `#ffffff` and `#fff` alike."""
    found = re.findall(r"--([a-z-]+):\s*light-dark\(([^)]+)\)", sheet)
    long = re.compile(r"#([0-9a-f])\1([0-9a-f])\2([0-9a-f])\3\b")
    return {name: long.sub(r"#\1\2\3", value.replace(" ", "")) for name, value in found}


def test_pages_of_log_ins_look_like_the_console() -> None:
    of_pages = colours(bytes(page("Log in", "").body).decode())
    of_console = colours(assets()["style.css"].content.decode())
    assert of_pages
    assert of_pages.items() <= of_console.items()


def test_the_style_of_a_page_is_the_one_that_its_policy_names() -> None:
    made = page("Log in", "")
    style = bytes(made.body).decode().partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in made.headers["content-security-policy"]
