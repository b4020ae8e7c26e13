"""Redirects: what may be registered, and what is covered by what was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.errors import RedirectRefused
from gateway.identity.redirects import Redirect

HERE = "http://127.0.0.1/callback"


@pytest.mark.parametrize(
    "uri",
    [
        "https://ide.example/redirect",
        "https://ide.example:8443/redirect",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:33418/",
        "http://127.0.0.1",
        "http://[::1]/callback",
        "http://localhost/oauth/callback",
        "com.example.ide:/oauth",
        "ide://vendor.extension/oauth/callback",
    ],
)
def test_an_address_that_may_be_registered_covers_itself(uri: str) -> None:
    assert Redirect.parse(uri).covers(uri)


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("", id="empty"),
        pytest.param("http://ide.example/redirect", id="unencrypted"),
        pytest.param("http://192.168.1.2/redirect", id="the-neighbours"),
        pytest.param("http://127.0.0.1.evil.example/", id="here-as-a-prefix"),
        pytest.param("http://127.0.0.1@evil.example/", id="here-as-a-user"),
        pytest.param("https://a@ide.example/redirect", id="with-user"),
        pytest.param("https://IDE.example/redirect", id="upper-case-host"),
        pytest.param("https://ide.example", id="no-path"),
        pytest.param("https:///redirect", id="no-host"),
        pytest.param("https://*.example/redirect", id="wildcard"),
        pytest.param("https://ide.example/redirect?x=1", id="query"),
        pytest.param("https://ide.example/redirect#x", id="fragment"),
        pytest.param("https://ide.example/re direct", id="blank"),
        pytest.param("https://ide.example/re\ndirect", id="line-end"),
        pytest.param("https://ide.example/\N{CYRILLIC SMALL LETTER A}", id="no-ascii"),
        pytest.param("https://ide.example\\@evil.example/", id="backslash"),
        pytest.param("javascript:alert(1)", id="script"),
        pytest.param("JavaScript://x", id="script-in-another-case"),
        pytest.param("data:text/html,x", id="data"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("//ide.example/redirect", id="no-scheme"),
        pytest.param("/redirect", id="a-path"),
        pytest.param("https://ide.example/" + "a" * 512, id="long"),
    ],
)
def test_an_address_that_sends_people_astray_is_refused(uri: str) -> None:
    with pytest.raises(RedirectRefused):
        Redirect.parse(uri)


@given(port=st.integers(1, 65_535))
def test_on_this_machine_every_port_is_covered(port: int) -> None:
    assert Redirect.parse(HERE).covers(f"http://127.0.0.1:{port}/callback")
    assert Redirect.parse("http://127.0.0.1:1/callback").covers(f"http://127.0.0.1:{port}/callback")


@pytest.mark.parametrize(
    "asked",
    [
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:080/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:80:80/callback",
        "http://127.0.0.1/callbackx",
        "http://127.0.0.1/callback?x",
        "http://127.0.0.1/callback#",
        "http://127.0.0.2/callback",
        "http://127.1/callback",
        "http://localhost/callback",
        "HTTP://127.0.0.1/callback",
        "https://127.0.0.1/callback",
        "http://127.0.0.1/callback\x00",
    ],
)
def test_on_this_machine_nothing_but_the_port_is_open(asked: str) -> None:
    assert not Redirect.parse(HERE).covers(asked)


@pytest.mark.parametrize("uri", ["https://ide.example/redirect", "ide://vendor/callback"])
@given(text=st.text(max_size=40))
def test_elsewhere_nothing_is_open(uri: str, text: str) -> None:
    assert Redirect.parse(uri).covers(text) == (text == uri)
    assert Redirect.parse(uri).covers(f"{uri}{text}") == (text == "")


@given(text=st.text(alphabet="htps:/127.0@evil.example\\?#%[]ca", max_size=60))
def test_what_is_covered_leads_where_the_registered_address_does(text: str) -> None:
    if Redirect.parse(HERE).covers(text):
        assert text.startswith(("http://127.0.0.1/", "http://127.0.0.1:"))
        assert text.endswith("/callback")
        assert "@" not in text
