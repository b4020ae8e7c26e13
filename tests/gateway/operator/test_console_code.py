"""The one-time code: five tries, one use, half an hour."""

import math
import re
from collections.abc import Callable

import pytest

from gateway.identity.errors import AuthError
from gateway.operator.console_code import LIFE_S, RANDOM_BYTES, TRIES, ConsoleCode, make

NOW = 1_795_154_745
CODE = make(bytes(range(RANDOM_BYTES)))


@pytest.fixture
def code() -> ConsoleCode:
    return ConsoleCode(CODE, made_s=NOW)


def test_a_code_holds_forty_bits_and_more() -> None:
    letters = {make(bytes([byte]) * RANDOM_BYTES)[0] for byte in range(256)}
    assert re.fullmatch(r"[0-9A-Z]{5}-[0-9A-Z]{5}", CODE)
    assert 10 * math.log2(len(letters)) >= 40
    assert 256 % len(letters) == 0  # none is likelier than another


def test_a_code_needs_all_its_randomness() -> None:
    with pytest.raises(ValueError, match="random bytes"):
        make(b"short")


SPELLINGS: list[Callable[[str], str]] = [
    str,
    str.lower,
    lambda code: code.replace("-", ""),
    lambda code: f"  {code}\n",
    lambda code: code.replace("0", "O").replace("1", "l"),
]


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_it_is_read_as_people_type(code: ConsoleCode, spelled: Callable[[str], str]) -> None:
    code.redeem(spelled(CODE), NOW)
    assert not code.is_good(NOW)


def test_it_is_good_once(code: ConsoleCode) -> None:
    code.redeem(CODE, NOW)
    assert not code.is_good(NOW)
    with pytest.raises(AuthError) as refused:
        code.redeem(CODE, NOW)
    assert refused.value.reason == "expired"


def test_after_five_wrong_ones_the_right_one_is_refused(code: ConsoleCode) -> None:
    for number in range(TRIES):
        with pytest.raises(AuthError) as wrong:
            code.redeem(f"WRONG-{number:05}", NOW)
        assert wrong.value.reason == "invalid"
    with pytest.raises(AuthError) as refused:
        code.redeem(CODE, NOW)
    assert refused.value.reason == "expired"


def test_the_fifth_try_may_be_the_right_one(code: ConsoleCode) -> None:
    for _ in range(TRIES - 1):
        with pytest.raises(AuthError):
            code.redeem("", NOW)
    code.redeem(CODE, NOW)


def test_it_ends_after_half_an_hour(code: ConsoleCode) -> None:
    assert code.is_good(NOW + LIFE_S - 1)
    with pytest.raises(AuthError):
        code.redeem(CODE, NOW + LIFE_S)


@pytest.mark.parametrize("typed", ["", CODE[:-1], CODE + "0", "\ud800", "0" * 10_000])
def test_another_text_is_not_the_code(code: ConsoleCode, typed: str) -> None:
    with pytest.raises(AuthError):
        code.redeem(typed, NOW)
