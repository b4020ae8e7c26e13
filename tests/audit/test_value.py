"""Values: equal and hashed by their fields, without room for others."""

from dataclasses import replace

import pytest

from audit.value import value_type


@value_type
class Place:
    """A value with a default."""

    name: str
    number: int = 1


def test_equal_fields_make_equal_values() -> None:
    assert Place("a") == Place("a", 1) != Place("a", 2)
    assert len({Place("a"), Place("a"), Place("b")}) == 2


def test_a_changed_value_is_another_one() -> None:
    first = Place("a")
    assert replace(first, number=2) == Place("a", 2)
    assert first == Place("a")


def test_a_value_takes_no_further_member() -> None:
    with pytest.raises(AttributeError):
        Place("a").colour = "red"  # type: ignore[attr-defined]


def test_a_value_shows_its_fields() -> None:
    assert repr(Place("a")) == "Place(name='a', number=1)"
