import pytest

from audit.canonical import Json
from gateway.catalogue.pins import Accepted, Lock, pin
from gateway.catalogue.tools import Catalogue
from gateway.errors import ArgumentsInvalid, ToolChanged

LOG: dict[str, Json] = {
    "name": "log",
    "inputSchema": {"type": "object", "properties": {"count": {"type": "integer"}}},
}
SHOW: dict[str, Json] = {"name": "show", "inputSchema": {"type": "object"}, "x-more": [1.0]}

LOCK = Lock().accept("git", [SHOW, LOG]).accept("crm", [LOG])


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue.of(LOCK)


def test_a_tool_is_found_by_server_and_name_and_by_its_published_name(
    catalogue: Catalogue,
) -> None:
    tool = catalogue.lookup("git", "log")
    assert tool is not None
    assert tool is catalogue.by_published("git__log")
    assert (tool.qualified, tool.pin, tool.definition) == ("git.log", pin(LOG), LOG)
    assert tool.input_schema == LOG["inputSchema"]
    assert tool.callable


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("git", "reset"),
        ("git", "Log"),
        ("git", "git__log"),
        ("Git", "log"),
        ("pay", "log"),
        ("", ""),
        ("git", "l\u043eg"),
    ],
)
def test_what_was_not_accepted_is_not_there(server: str, name: str, catalogue: Catalogue) -> None:
    assert catalogue.lookup(server, name) is None
    assert catalogue.by_published(f"{server}__{name}") is None


def test_tools_are_listed_in_the_order_of_their_published_names(catalogue: Catalogue) -> None:
    assert [tool.published for tool in catalogue.tools()] == ["crm__log", "git__log", "git__show"]
    assert [tool.name for tool in catalogue.tools("git")] == ["log", "show"]
    assert catalogue.tools("pay") == ()


def test_a_definition_is_listed_equal_as_json(catalogue: Catalogue) -> None:
    tool = catalogue.lookup("git", "show")
    assert tool is not None
    assert repr(tool.definition) == repr(SHOW)


def test_arguments_are_checked_by_the_accepted_schema(catalogue: Catalogue) -> None:
    tool = catalogue.lookup("git", "log")
    assert tool is not None
    tool.check({"count": 3})
    with pytest.raises(ArgumentsInvalid):
        tool.check({"count": "3"})


def test_the_catalogue_is_named_by_the_digest_of_its_lock(catalogue: Catalogue) -> None:
    assert catalogue.digest == LOCK.digest


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param([SHOW, {**LOG, "description": "Also pays."}], id="changed"),
        pytest.param([SHOW], id="gone"),
    ],
)
def test_a_tool_that_is_not_as_accepted_is_blocked_alone(
    offered: list[dict[str, Json]], catalogue: Catalogue
) -> None:
    now = catalogue.observed("git", LOCK.compare("git", offered))
    blocked = now.lookup("git", "log")
    assert blocked is not None
    assert not blocked.callable
    with pytest.raises(ToolChanged):
        blocked.check({"count": 3})
    assert [tool.qualified for tool in now.tools() if tool.callable] == ["crm.log", "git.show"]
    assert now.by_published("git__log") == blocked
    assert now.digest == catalogue.digest


def test_a_new_tool_appears_only_when_it_is_accepted(catalogue: Catalogue) -> None:
    reset: dict[str, Json] = {"name": "reset", "inputSchema": {"type": "object"}}
    now = catalogue.observed("git", LOCK.compare("git", [SHOW, LOG, reset]))
    assert now.lookup("git", "reset") is None
    assert Catalogue.of(LOCK.accept("git", [SHOW, LOG, reset])).lookup("git", "reset") is not None


def test_a_tool_that_is_as_accepted_again_is_free_again(catalogue: Catalogue) -> None:
    gone = catalogue.observed("git", LOCK.compare("git", []))
    back = gone.observed("git", LOCK.compare("git", [SHOW, LOG]))
    assert all(tool.callable for tool in back.tools())
    assert all(tool.callable for tool in catalogue.tools())  # the first one never changed


def test_a_tool_that_cannot_be_checked_is_there_and_blocked_for_good() -> None:
    definition: dict[str, Json] = {"name": "log", "inputSchema": {"type": "object", "$ref": "#"}}
    lock = Lock({"git": {"log": Accepted("git__log", definition, pin(definition))}})
    catalogue = Catalogue.of(lock)
    for now in (catalogue, catalogue.observed("git", lock.compare("git", [definition]))):
        tool = now.lookup("git", "log")
        assert tool is not None
        assert not tool.callable
        with pytest.raises(ToolChanged):
            tool.check({})
