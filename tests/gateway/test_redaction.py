import base64
import json
import math
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.redaction import LONGEST, REDACTED, WITHHELD, Redaction

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPlanted\n-----END PRIVATE KEY-----"
PLANTED = "Planted-7f3a"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        pytest.param(f"token {JWT} is over", JWT, id="token"),
        pytest.param(f"token {JWT[:-30]}", JWT[:-30], id="token-cut-off"),
        pytest.param(f"Authorization: Bearer {PLANTED}", PLANTED, id="bearer"),
        pytest.param(f"sent 'DPoP {PLANTED}'", PLANTED, id="dpop"),
        pytest.param(
            f"basic {base64.b64encode(PLANTED.encode()).decode()}", "UGxhbnRlZC", id="basic"
        ),
        pytest.param(f"(b'authorization', b'{PLANTED}')", PLANTED, id="header-pair"),
        pytest.param(f"Cookie: theme=dark; id={PLANTED}", PLANTED, id="cookie"),
        pytest.param(f"key pvo_{PLANTED} refused", PLANTED, id="operator-key"),
        pytest.param(f"key pvc_{PLANTED} refused", PLANTED, id="client-secret"),
        pytest.param(f"read {PEM}", "MC4CAQAwBQ", id="pem"),
        pytest.param(f"read {PEM[:60]}", "MC4CAQAwBQ", id="pem-cut-off"),
        pytest.param(f"client_secret={PLANTED}&grant_type=x", PLANTED, id="form"),
        pytest.param(f'{{"password": "{PLANTED} and more"}}', "and more", id="json"),
        pytest.param(f'{{\\"access_token\\":\\"{PLANTED}\\"}}', PLANTED, id="json-in-json"),
        pytest.param(f"X-Api-Key: {PLANTED}", PLANTED, id="api-key-header"),
        pytest.param(f"https://ana:{PLANTED}@host/path", PLANTED, id="url-with-password"),
        pytest.param(f"postgresql://ana:p@{PLANTED}@host/db", PLANTED, id="url-with-at-sign"),
        pytest.param("ghp_0123456789abcdefABCD0123456789", "0123456789abcdef", id="forge-token"),
        pytest.param("sk-live-0123456789abcdef01234567", "0123456789abcdef", id="provider-key"),
        pytest.param("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7", id="cloud-key"),
        pytest.param("$scrypt$ln=14,r=8,p=1$c2FsdA$aGFzaA", "aGFzaA", id="secret-hash"),
    ],
)
def test_what_looks_like_a_credential_is_taken_out(text: str, secret: str) -> None:
    shown = Redaction().text(text)
    assert REDACTED in shown
    assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "call.denied by rule pay-small",
        "https://example.org/mcp is not reachable",
        "0197f3a0-5a5e-7cc3-98c4-dc0c0c07398f",
        "sha256 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "the token has expired",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redaction().text(text) == text


@given(st.text(min_size=1, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_found_however_it_is_written(
    secret: str, before: str, after: str
) -> None:
    marked = f"§{secret}§"  # so that nothing around it can spell it by chance
    redaction = Redaction([marked])
    forms = (marked, quote(marked, safe=""), json.dumps(marked)[1:-1])
    for form in (*forms, base64.b64encode(marked.encode()).decode()):
        assert form not in redaction.text(before + form + after)


def test_the_longer_of_two_secrets_goes_as_a_whole() -> None:
    assert Redaction(["abcd", "abcdefgh"]).text("x abcdefgh x") == f"x {REDACTED} x"


def test_an_empty_secret_changes_nothing() -> None:
    assert Redaction([""]).text("all of this stays") == "all of this stays"


def test_a_secret_learned_later_is_taken_out_from_then_on() -> None:
    redaction = Redaction()
    redaction.known.learn(PLANTED)
    assert PLANTED not in redaction.text(f"upstream said {PLANTED}")


@pytest.mark.parametrize(
    "name",
    ["password", "client_secret", "Authorization", "access_token", "set-cookie", "X-API-Key"],
)
def test_a_member_named_after_a_credential_is_redacted(name: str) -> None:
    assert Redaction().members({name: "short"}) == {name: REDACTED}
    assert Redaction().members({name: {"in": "depth"}}) == {name: REDACTED}


@pytest.mark.parametrize("name", ["args", "arguments", "body", "params", "result", "headers"])
def test_what_people_and_servers_said_is_withheld(name: str) -> None:
    assert Redaction().members({"call": {name: {"to": "acct-1"}}}) == {"call": {name: WITHHELD}}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(b"secret bytes", "<bytes>", id="bytes"),
        pytest.param(object(), "<object>", id="object"),
        pytest.param(Path("/etc/passavant"), "/etc/passavant", id="path"),
        pytest.param(math.nan, "nan", id="not-a-number"),
        pytest.param({1: (True, None, 1.5)}, {"1": [True, None, 1.5]}, id="nested"),
        pytest.param("x" * 17_000, "[withheld: 17000 characters]", id="huge"),
        pytest.param("x" * 3_000, "x" * LONGEST + "…", id="cut"),
    ],
)
def test_every_value_becomes_something_that_json_holds(value: object, shown: object) -> None:
    assert Redaction().value(value) == shown


def test_a_known_secret_is_found_as_a_number_and_as_a_name() -> None:
    redaction = Redaction(["48151623"])
    assert redaction.members({"pin": 48151623, "48151623": 1}) == {"pin": REDACTED, REDACTED: 1}


def test_depth_and_width_are_bounded() -> None:
    deep: dict[str, object] = {}
    deep["again"] = deep
    assert WITHHELD in json.dumps(Redaction().value(deep))
    shown = Redaction().value(list(range(100_000)))
    assert isinstance(shown, list)
    assert len(shown) == 100


def _fail(inner: Exception, outer: Exception) -> None:
    local = PLANTED  # a value of the frame, which must not be shown
    assert local
    raise outer from inner


def _failing(inner: Exception, outer: Exception) -> Exception:
    with pytest.raises(type(outer)) as caught:
        _fail(inner, outer)
    return caught.value


def test_an_error_is_shown_by_its_type_and_place() -> None:
    shown = Redaction().error(_failing(KeyError(PLANTED), ValueError(f"got {PLANTED}")))
    assert isinstance(shown, dict)
    assert shown["type"] == "builtins.ValueError"
    assert isinstance(shown["cause"], dict)
    assert shown["cause"]["type"] == "builtins.KeyError"
    assert "_fail" in str(shown["at"])
    assert PLANTED not in json.dumps(shown)


def test_only_our_own_errors_are_quoted() -> None:
    shown = Redaction().error(_failing(RuntimeError("theirs"), GatewayError("ours")))
    assert isinstance(shown, dict)
    assert shown["message"] == "ours"
    assert "theirs" not in json.dumps(shown)


def test_a_system_error_is_shown_by_its_cause_without_its_file() -> None:
    shown = Redaction().error(FileNotFoundError(2, "No such file", f"/home/{PLANTED}"))
    assert isinstance(shown, dict)
    assert shown["message"] == "No such file"
    assert PLANTED not in json.dumps(shown)


def test_errors_in_a_group_are_all_shown() -> None:
    group = ExceptionGroup("several", [ValueError(PLANTED), TypeError(PLANTED)])
    text = json.dumps(Redaction().error(group))
    assert "ValueError" in text
    assert "TypeError" in text
    assert PLANTED not in text
