import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.catalogue.pins import Lock, pin
from gateway.errors import LockUnreadable, NameRefused, SchemaRefused

LOG: dict[str, Json] = {
    "name": "log",
    "description": "Show commits.",
    "inputSchema": {"type": "object", "properties": {"count": {"type": "integer"}}},
    "annotations": {"readOnlyHint": True},
}
RESET: dict[str, Json] = {"name": "reset", "inputSchema": {"type": "object"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


# -- pins -----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=5), json_values, min_size=2), st.randoms())
def test_the_order_of_members_does_not_count(value: dict[str, Json], rng: random.Random) -> None:
    def shuffled(part: Json) -> Json:
        if isinstance(part, list):
            return [shuffled(item) for item in part]
        if not isinstance(part, dict):
            return part
        names = list(part)
        rng.shuffle(names)
        return {name: shuffled(part[name]) for name in names}

    other = shuffled(value)
    assert isinstance(other, dict)
    assert pin(other) == pin(value)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"description": "Show commits"}, id="one-character"),
        pytest.param({"name": "Log"}, id="name"),
        pytest.param({"title": "Log"}, id="title"),
        pytest.param({"annotations": {"readOnlyHint": False}}, id="annotation"),
        pytest.param({"outputSchema": {"type": "object"}}, id="output-schema"),
        pytest.param(
            {
                "inputSchema": {
                    "type": "object",
                    "properties": {"count": {"type": "integer", "default": 9}},
                }
            },
            id="default",
        ),
        pytest.param({"x-hint": "call pay first"}, id="unknown-member"),
        pytest.param({"description": "Show commits.\u200b"}, id="zero-width"),
    ],
)
def test_any_change_of_a_definition_changes_its_pin(change: dict[str, Json]) -> None:
    assert pin({**LOG, **change}) != pin(LOG)


def test_a_pin_is_sha_256_over_sorted_json() -> None:
    # printf '%s' '{"inputSchema":{"type":"object"},"name":"reset"}' | sha256sum
    assert pin(RESET) == "bfee4c5f271b432b131c54fe67ce8c9e1d77903b5cfb23b406ab8ae165279866"


# -- comparing ------------------------------------------------------------------------------


def test_what_a_server_offers_is_compared_with_what_was_accepted() -> None:
    lock = Lock().accept("git", [LOG, RESET])
    changed: dict[str, Json] = {**RESET, "description": "Harmless."}
    changes = lock.compare("git", [changed, {**LOG, "name": "show"}])
    assert changes.new == ("show",)
    assert changes.changed == ("reset",)
    assert changes.removed == ("log",)
    assert changes.blocked == {"log", "reset"}


def test_nothing_has_changed_where_all_is_as_accepted() -> None:
    changes = Lock().accept("git", [LOG, RESET]).compare("git", [RESET, LOG])
    assert (changes.new, changes.changed, changes.removed, changes.refused) == ((), (), (), {})


def test_a_server_of_which_nothing_was_accepted_offers_only_new_tools() -> None:
    assert Lock().compare("git", [LOG]).new == ("log",)


def test_what_could_not_be_accepted_is_said_with_its_reason() -> None:
    bad: dict[str, Json] = {"name": "b\u0430d", "inputSchema": {"type": "object"}}
    worse: dict[str, Json] = {"name": "worse", "inputSchema": {"$ref": "https://evil.example/"}}
    refused = Lock().compare("git", [bad, worse, LOG]).refused
    assert refused.keys() == {"b\u0430d", "worse"}


# -- accepting ------------------------------------------------------------------------------


def test_accepting_one_server_leaves_the_others_as_they_are() -> None:
    before = Lock().accept("git", [LOG]).accept("crm", [RESET])
    after = before.accept("git", [RESET])
    assert after.servers["crm"] == before.servers["crm"]
    assert set(after.servers["git"]) == {"reset"}
    assert set(before.servers["git"]) == {"log"}
    assert "git" not in after.forget("git").servers


@pytest.mark.parametrize(
    ("definitions", "error"),
    [
        pytest.param(
            [{"name": "b\u0430d", "inputSchema": {"type": "object"}}], NameRefused, id="a"
        ),
        pytest.param([LOG, LOG], NameRefused, id="twice"),
        pytest.param([LOG, {**LOG, "name": "Log"}], NameRefused, id="look-alike"),
        pytest.param([{**LOG, "name": "l.og"}, {**LOG, "name": "l-og"}], NameRefused, id="dot"),
        pytest.param([{"name": "log"}], SchemaRefused, id="no-schema"),
        pytest.param([{"name": "log", "inputSchema": {"type": "string"}}], SchemaRefused, id="s"),
    ],
)
def test_what_cannot_be_told_apart_or_checked_is_not_accepted(
    definitions: list[dict[str, Json]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Lock().accept("git", definitions)


@pytest.mark.parametrize(
    "published",
    [
        pytest.param("git__log", id="taken"),
        pytest.param("GIT__LOG", id="look-alike"),
        pytest.param("a.b", id="impossible"),
    ],
)
def test_a_stated_published_name_may_not_shadow_another(published: str) -> None:
    lock = Lock().accept("git", [LOG])
    with pytest.raises(NameRefused):
        lock.accept("evil", [LOG], published={"log": published})


def test_a_server_with_a_look_alike_name_is_not_accepted() -> None:
    with pytest.raises(NameRefused):
        Lock().accept("crm1", [LOG]).accept("crml", [RESET])


def test_another_server_may_offer_a_tool_of_the_same_name() -> None:
    lock = Lock().accept("git", [LOG]).accept("evil", [LOG, {**LOG, "name": "git__log"}])
    names = [tool.published for tools in lock.servers.values() for tool in tools.values()]
    assert names == ["git__log", "evil__log", "evil__git__log"]


# -- the file -------------------------------------------------------------------------------


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.lock.json"
    big: dict[str, Json] = {**LOG, "name": "big", "x": [10**30, 1.5, "\u00e9"]}
    lock = Lock().accept("git", [LOG, big], risks={"log": "ab" * 32}).accept("crm", [RESET])
    lock.write(path)
    assert Lock.read(path) == lock
    assert Lock.read(path).digest == lock.digest
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert Lock.read(tmp_path / "none") == Lock()


def test_the_digest_names_the_content() -> None:
    lock = Lock().accept("git", [LOG])
    assert lock.digest == Lock().accept("git", [LOG]).digest
    assert lock.digest != Lock().accept("git", [RESET]).digest
    assert lock.digest != Lock().digest


def test_a_lock_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.lock.json"
    lock = Lock().accept("git", [LOG])
    lock.write(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        Lock().write(tmp_path / "folder")
    assert Lock.read(path) == lock
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, "folder"]


Edit = Callable[[Any], Any]


def edited(change: Callable[[Any], object]) -> Edit:
    def edit(document: Any) -> Any:  # noqa: ANN401 - parsed JSON
        change(document)
        return document

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda _: [], id="no-object"),
        pytest.param(edited(lambda d: d.update(kind="Other")), id="kind"),
        pytest.param(edited(lambda d: d.update(apiVersion="passavant/v2")), id="version"),
        pytest.param(edited(lambda d: d.update(more=1)), id="unknown-member"),
        pytest.param(edited(lambda d: d.pop("servers")), id="no-servers"),
        pytest.param(edited(lambda d: d["servers"].update(Git={"tools": {}})), id="server-name"),
        pytest.param(edited(lambda d: d["servers"].update(g1t={"tools": {}})), id="look-alike"),
        pytest.param(edited(lambda d: d["servers"]["git"].update(x=1)), id="unknown-in-server"),
        pytest.param(edited(lambda d: tool(d).update(pin="0" * 64)), id="pin"),
        pytest.param(edited(lambda d: tool(d).update(published="a b")), id="published"),
        pytest.param(edited(lambda d: tool(d).update(published=1)), id="published-type"),
        pytest.param(edited(lambda d: tool(d).update(risk=1)), id="risk-type"),
        pytest.param(edited(lambda d: tool(d).pop("risk")), id="missing"),
        pytest.param(edited(lambda d: tool(d)["definition"].update(name="x")), id="other-name"),
        pytest.param(
            edited(lambda d: tool(d)["definition"].update(description="x")), id="definition"
        ),
    ],
)
def test_a_lock_that_was_tampered_with_is_refused(edit: Edit, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.lock.json"
    Lock().accept("git", [LOG]).write(path)
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(LockUnreadable, match=path.name):
        Lock.read(path)


def tool(document: Any) -> Any:  # noqa: ANN401 - parsed JSON
    return document["servers"]["git"]["tools"]["log"]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"{} {}", b'{"kind":"a","kind":"b"}', b"[" * 100_000]
)
def test_a_lock_that_is_no_strict_json_is_refused(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.lock.json"
    path.write_bytes(raw)
    with pytest.raises(LockUnreadable):
        Lock.read(path)


def test_a_folder_is_no_lock(tmp_path: Path) -> None:
    with pytest.raises(LockUnreadable):
        Lock.read(tmp_path)


@pytest.mark.parametrize("server", ["mem0ry", "mem-ory", "m0de1"])
def test_a_server_that_looks_like_one_of_our_own_is_refused(server: str) -> None:
    with pytest.raises(NameRefused):
        Lock().accept(server, [{"name": "get", "inputSchema": {"type": "object"}}])
