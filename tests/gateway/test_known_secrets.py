import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.known_secrets import SHORTEST, KnownSecrets, spellings

SECRET = 'p/w+d "x\\y&z=Ä'
MARK = "#"
VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=SHORTEST)

WRITTEN = {
    "plain": SECRET,
    "url": quote(SECRET, safe=""),
    "url-lower-case": re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
    "url-path": quote(SECRET),
    "form": quote_plus(SECRET),
    "json": json.dumps(SECRET)[1:-1],
    "json-unicode": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "json-slashes": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64-url": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "base64-no-padding": base64.b64encode(SECRET.encode()).decode().rstrip("="),
    "base64-in-url": quote(base64.b64encode(SECRET.encode()).decode(), safe=""),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_found_however_it_is_written(written: str) -> None:
    shown = KnownSecrets([SECRET]).without(f"({written})", MARK)
    assert shown in {"(#)", "(#=)", "(#%3D)"}


@given(VISIBLE, st.binary(max_size=7), st.binary(max_size=7), st.booleans())
def test_it_is_found_within_longer_base64(
    secret: str, before: bytes, after: bytes, url: bool
) -> None:
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    packed = encode(before + secret.encode() + after).decode()
    shown = KnownSecrets([secret]).without(packed, MARK)
    # What is left over is at most two of its characters at either end.
    assert shown != packed
    assert len(shown) <= len(packed) - (len(secret) - 4) * 4 // 3 + len(MARK)


@given(VISIBLE, st.text(max_size=9), st.text(max_size=9))
def test_within_a_json_text_it_is_found_in_any_member(secret: str, key: str, rest: str) -> None:
    raw = json.dumps({key: [rest, {"x": f"{rest}{secret}"}]}, ensure_ascii=False)
    known = KnownSecrets([secret])
    assert secret in known.within(raw.encode("utf-8", "surrogatepass"))


def test_nothing_is_found_where_nothing_is_known() -> None:
    known = KnownSecrets()
    assert known.without("all of this", MARK) == "all of this"
    assert known.within(b'{"a":"b"}') == ()


def test_an_empty_text_is_no_secret() -> None:
    assert KnownSecrets([""]).spellings == ()


def test_what_was_learned_twice_is_known_until_it_was_forgotten_twice() -> None:
    known = KnownSecrets(["a-secret", "a-secret", "b-secret"])
    known.forget("a-secret")
    assert known.without("a-secret", MARK) == MARK
    known.forget("a-secret")
    assert known.without("a-secret b-secret", MARK) == f"a-secret {MARK}"


def test_of_two_secrets_the_longer_goes_as_a_whole() -> None:
    known = KnownSecrets(["abcdefgh", "abcdefghij"])
    assert known.without("xabcdefghijx", MARK) == f"x{MARK}x"


def test_a_plain_secret_has_few_spellings() -> None:
    """Each is searched for in each result."""
    assert len(spellings("a-token.of_40~characters-0123456789abcde")) <= 40
