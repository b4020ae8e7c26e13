"""Shown codes: one after the other, each good once, for a while, and for few tries."""

import itertools

import pytest

from gateway.identity.errors import AuthError
from gateway.identity.shown_codes import ShownCodes
from gateway.operator.console_code import LIFE_S, TRIES


class Terminal:
    """What the person sees; each code is another one."""

    def __init__(self, person: str | None = "operator") -> None:
        self.shown: list[str] = []
        numbers = itertools.count()
        self.codes = ShownCodes(
            lambda: person, lambda length: bytes([next(numbers)]) * length, self.shown.append
        )


def test_a_code_is_shown_when_one_is_wanted_and_not_again_while_it_is_good() -> None:
    terminal = Terminal()
    assert terminal.shown == []
    for now in (0, 1, LIFE_S - 1):
        terminal.codes.want(now)
    assert len(terminal.shown) == 1


def test_whoever_types_it_is_that_person_once() -> None:
    terminal = Terminal()
    terminal.codes.want(0)
    assert terminal.codes.redeem(terminal.shown[0], 1) == "operator"
    with pytest.raises(AuthError, match="ended"):
        terminal.codes.redeem(terminal.shown[0], 2)
    terminal.codes.want(3)
    assert terminal.codes.redeem(terminal.shown[1], 4) == "operator"


@pytest.mark.parametrize("now", [LIFE_S, LIFE_S + 1])
def test_one_that_was_shown_too_long_ago_is_none(now: int) -> None:
    terminal = Terminal()
    terminal.codes.want(0)
    with pytest.raises(AuthError, match="ended"):
        terminal.codes.redeem(terminal.shown[0], now)


def test_after_few_tries_another_one_is_needed() -> None:
    terminal = Terminal()
    terminal.codes.want(0)
    for _ in range(TRIES):
        with pytest.raises(AuthError, match="not the code"):
            terminal.codes.redeem("guess", 1)
    with pytest.raises(AuthError, match="ended"):
        terminal.codes.redeem(terminal.shown[0], 1)


def test_where_nothing_was_shown_nothing_is_taken() -> None:
    with pytest.raises(AuthError, match="shown"):
        Terminal().codes.redeem("00000-00000", 0)


def test_where_there_is_nobody_nobody_logs_in() -> None:
    terminal = Terminal(person=None)
    terminal.codes.want(0)
    with pytest.raises(AuthError, match="shown"):
        terminal.codes.redeem(terminal.shown[0], 1)
