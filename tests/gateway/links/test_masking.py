import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from gateway.known_secrets import KnownSecrets
from gateway.links.masking import MASK, Masks

SECRET = 'p"w/+ 1234'
PACKED = base64.b64encode(f"gw:{SECRET}".encode()).decode()


@pytest.fixture
def masks() -> Masks:
    return Masks(KnownSecrets([SECRET, "48151623"]))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        pytest.param({"a": SECRET}, {"a": MASK}, id="value"),
        pytest.param({SECRET: 1}, {MASK: 1}, id="name"),
        pytest.param({"a": [{"b": [f"x{SECRET}y"]}]}, {"a": [{"b": [f"x{MASK}y"]}]}, id="deep"),
        pytest.param({"a": quote(SECRET, safe="")}, {"a": MASK}, id="url"),
        pytest.param({"a": json.dumps([SECRET])}, {"a": f'["{MASK}"]'}, id="json-in-text"),
        pytest.param({"pin": 48151623}, {"pin": MASK}, id="number"),
        pytest.param({"pin": -48151623.5}, {"pin": MASK}, id="number-with-fraction"),
        pytest.param(
            {"a": True, "b": None, "c": SECRET}, {"a": True, "b": None, "c": MASK}, id="rest"
        ),
    ],
)
def test_a_secret_is_taken_out_wherever_it_stands(
    said: dict[str, Any], left: dict[str, Any], masks: Masks
) -> None:
    assert masks.clean(said) == left


def test_a_secret_packed_with_something_else_is_taken_out(masks: Masks) -> None:
    left = str(masks.clean({"a": f"Basic {PACKED}"})["a"])
    assert MASK in left
    assert len(left) < len("Basic ") + len(MASK) + 10


def test_what_holds_no_secret_is_the_same_value(masks: Masks) -> None:
    said: dict[str, Any] = {"a": ["nothing", 1.5, {"b": None}]}
    assert masks.clean(said) is said


def test_what_is_learned_later_is_taken_out_from_then_on() -> None:
    known = KnownSecrets()
    masks = Masks(known)
    said: dict[str, Any] = {"a": SECRET}
    assert masks.clean(said) is said
    known.learn(SECRET)
    assert masks.clean(said) == {"a": MASK}
    assert masks.text(f"no: {SECRET}") == f"no: {MASK}"
