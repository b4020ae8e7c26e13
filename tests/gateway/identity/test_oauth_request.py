from base64 import b64encode
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.errors import OAuthError
from gateway.identity.oauth_request import (
    ASSERTION_TYPE,
    MAX_BODY,
    Assertion,
    Credentials,
    OAuthRequest,
)

SOURCE = "127.0.0.1:41022"
ASSERTED = f"client_assertion_type={ASSERTION_TYPE}".encode()


some_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


def read(body: bytes, authorization: bytes | None = None) -> OAuthRequest:
    return OAuthRequest.read(body, authorization=authorization, source=SOURCE)


def basic(text: bytes) -> bytes:
    return b"Basic " + b64encode(text)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"grant_type", id="no-value"),
        pytest.param(b"a=1&&b=2", id="empty-pair"),
        pytest.param(b"a=1&", id="trailing-ampersand"),
        pytest.param(b"a=%", id="cut-escape"),
        pytest.param(b"a=%zz", id="bad-escape"),
        pytest.param(b"a=%ff", id="escaped-not-utf8"),
        pytest.param(b"a=%ed%a0%80", id="escaped-surrogate"),
        pytest.param(b"a=b c", id="space"),
        pytest.param(b"a=b\n", id="newline"),
        pytest.param(b"a=\x00", id="nul"),
        pytest.param("a=é".encode(), id="not-ascii"),
        pytest.param(b'{"grant_type":"client_credentials"}', id="json"),
        pytest.param(b"&".join(b"p%d=1" % n for n in range(40)), id="many-fields"),
    ],
)
def test_a_body_that_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(OAuthError) as refused:
        read(body)
    assert refused.value.reason == "invalid_request"


@pytest.mark.parametrize(
    "body",
    [
        b"scope=a.b&scope=c.d",
        b"grant_type=x&grant_type=x",
        b"client_id=a&client_id=b",
        b"scope=&scope=a.b",
        b"sc%6fpe=a.b&scope=a.b",
        b"audience=a&audience=b",
    ],
)
def test_a_parameter_may_stand_only_once(body: bytes) -> None:
    with pytest.raises(OAuthError, match="twice"):
        read(body)


def test_a_resource_may_be_named_several_times() -> None:
    assert read(b"resource=a&resource=b").parameters["resource"] == ("a", "b")


def test_a_parameter_without_a_value_is_as_if_omitted() -> None:
    request = read(b"scope=&grant_type=x")
    assert request.one("scope") is None
    with pytest.raises(OAuthError, match="scope is missing"):
        request.needed("scope")


def test_an_empty_body_is_a_form_without_parameters() -> None:
    assert read(b"") == OAuthRequest({}, None, SOURCE)


def test_both_ways_of_authentication_are_read() -> None:
    expected = Credentials("clerk", "a secret+:%")
    posted = read(b"client_id=clerk&client_secret=a+secret%2B%3A%25")
    assert posted.credentials == expected
    assert read(b"", basic(b"clerk:a+secret%2B:%25")).credentials == expected


def test_the_scheme_may_be_in_any_case_and_the_client_named_twice_alike() -> None:
    header = basic(b"clerk:s").replace(b"Basic", b"bAsIc")
    assert read(b"client_id=clerk", header).credentials == Credentials("clerk", "s")


@pytest.mark.parametrize("client", [None, "clerk"])
def test_an_assertion_is_read_with_the_client_that_is_named_beside_it(client: str | None) -> None:
    named = b"" if client is None else b"client_id=clerk&"
    request = read(named + b"client_assertion=a.b.c&" + ASSERTED)
    assert request.credentials == Assertion("a.b.c", client)
    assert "a.b.c" not in repr(request)


def test_a_client_id_alone_proves_nothing() -> None:
    assert read(b"client_id=clerk").credentials is None


@pytest.mark.parametrize(
    ("body", "header", "reason"),
    [
        pytest.param(b"client_secret=s", basic(b"clerk:s"), "invalid_request", id="both"),
        pytest.param(
            b"client_id=clerk&client_secret=s&client_assertion=a.b.c&" + ASSERTED,
            None,
            "invalid_request",
            id="secret-and-assertion",
        ),
        pytest.param(
            b"client_assertion=a.b.c&" + ASSERTED,
            basic(b"clerk:s"),
            "invalid_request",
            id="basic-and-assertion",
        ),
        pytest.param(b"client_assertion=a.b.c", None, "invalid_client", id="of-no-type"),
        pytest.param(
            b"client_assertion=a&client_assertion_type=urn:ietf:params:oauth:client-assertion-type"
            b":saml2-bearer",
            None,
            "invalid_client",
            id="saml",
        ),
        pytest.param(b"client_id=scout", basic(b"clerk:s"), "invalid_request", id="two-ids"),
        pytest.param(b"", b"Bearer abc", "invalid_client", id="bearer"),
        pytest.param(b"", b"Basic", "invalid_client", id="no-credentials"),
        pytest.param(b"", b"Basic ", "invalid_client", id="empty-credentials"),
        pytest.param(b"", b"Basic !!!!", "invalid_client", id="not-base64"),
        pytest.param(b"", b"Basic YTpi\n", "invalid_client", id="newline"),
        pytest.param(b"", b"Basic  YTpi", "invalid_client", id="two-spaces"),
        pytest.param(b"", b"Basic A", "invalid_client", id="impossible-length"),
        pytest.param(b"", basic(b"clerk"), "invalid_client", id="no-colon"),
        pytest.param(b"", basic(b":s"), "invalid_client", id="no-name"),
        pytest.param(b"", basic(b"clerk:"), "invalid_client", id="no-secret"),
        pytest.param(b"", basic(b"clerk:\xff"), "invalid_client", id="not-ascii"),
        pytest.param(b"", basic(b"clerk:%ff"), "invalid_client", id="not-utf8"),
        pytest.param(b"", basic(b"clerk:%2"), "invalid_client", id="cut-escape"),
        pytest.param(b"", basic(b"clerk:a b"), "invalid_client", id="space"),
    ],
)
def test_credentials_that_cannot_be_read_one_way_are_refused(
    body: bytes, header: bytes | None, reason: str
) -> None:
    with pytest.raises(OAuthError) as refused:
        read(body, header)
    assert refused.value.reason == reason


def test_the_secret_stays_out_of_every_text() -> None:
    request = read(b"client_id=clerk&client_secret=hushhush")
    assert "hushhush" not in repr(request)
    assert "client_secret" not in request.parameters


@given(st.binary(max_size=200), st.none() | st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes, header: bytes | None) -> None:
    try:
        read(body, header)
    except OAuthError:
        return


@given(st.dictionaries(st.text("abc_", min_size=1), some_text, max_size=5))
def test_what_a_client_encodes_is_read_as_it_was(parameters: dict[str, str]) -> None:
    body = urlencode(parameters).encode()
    read_back = {name: values[0] for name, values in read(body).parameters.items()}
    assert read_back == parameters
    assert len(body) < MAX_BODY
