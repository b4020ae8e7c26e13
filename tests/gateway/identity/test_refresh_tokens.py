"""Refresh tokens: ours are read back, and no others are."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.refresh_tokens import RefreshToken, RefreshTokens

OURS = RefreshTokens(bytes(32))
SESSIONS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
NUMBERS = st.integers(1, 999_999_999)


@given(session=SESSIONS, number=NUMBERS)
def test_what_was_written_is_read_back(session: str, number: int) -> None:
    token = RefreshToken(session, number)
    assert OURS.read(OURS.write(token)) == token


@given(session=SESSIONS, number=NUMBERS)
def test_another_gateways_is_none_of_ours(session: str, number: int) -> None:
    theirs = RefreshTokens(bytes(31) + b"\1")
    assert OURS.read(theirs.write(RefreshToken(session, number))) is None


@given(text=st.text(max_size=120))
def test_another_text_is_none(text: str) -> None:
    assert OURS.read(text) is None


@given(session=SESSIONS, number=NUMBERS, at=st.integers(0, 200), letter=st.characters())
def test_a_text_with_another_letter_is_none(
    session: str, number: int, at: int, letter: str
) -> None:
    text = OURS.write(RefreshToken(session, number))
    at %= len(text)
    changed = text[:at] + letter + text[at + 1 :]
    assert changed == text or OURS.read(changed) is None
    assert OURS.read(text[:at]) is None
    assert OURS.read(f"{text[:at]}{letter}{text[at:]}") is None
