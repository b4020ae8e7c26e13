"""Templates: pointers lead where RFC 6901 says, or the run stops."""

import pytest

from gateway.runs.run import Json
from orchestration.stop import Stopped
from orchestration.template import filled, found

VALUE: Json = {"a": {"b": [10, 20]}, "": 1, "x/y": 2, "m~n": 3, "01": 4}


@pytest.mark.parametrize(
    ("pointer", "there"),
    [
        ("", VALUE),
        ("/a/b/1", 20),
        ("/", 1),
        ("/x~1y", 2),
        ("/m~0n", 3),
        ("/01", 4),
    ],
)
def test_a_pointer_leads_to_what_is_there(pointer: str, there: Json) -> None:
    assert found(pointer, VALUE, at="r") == there


@pytest.mark.parametrize(
    "pointer", ["a", "/a/b/2", "/a/b/01", "/a/b/-", "/a/b/-1", "/none", "/a/b/1/c", "/a/b/1e0"]
)
def test_a_pointer_to_nothing_stops(pointer: str) -> None:
    with pytest.raises(Stopped) as stopped:
        found(pointer, VALUE, at="r/3")
    assert stopped.value.at == "r/3"


def test_only_what_is_marked_is_replaced() -> None:
    template: Json = {"to": {"from": "/a/b/0"}, "list": [{"from": "/01"}, "from"], "n": None}
    assert filled(template, VALUE, at="r") == {"to": 10, "list": [4, "from"], "n": None}
    assert filled({"from": "/01", "more": 1}, VALUE, at="r") == {"from": "/01", "more": 1}
    assert filled({"from": 7}, VALUE, at="r") == {"from": 7}
