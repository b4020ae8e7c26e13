"""One host for every reader, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.address import MAX_LENGTH, domain
from policies.errors import ConditionFailed


@pytest.mark.parametrize(
    ("address", "host"),
    [
        pytest.param("ana@acme.example", "acme.example", id="mail"),
        pytest.param("Ana.B+x@ACME.example", "acme.example", id="mail-in-capitals"),
        pytest.param("api.example.com@evil.test", "evil.test", id="host-before-the-at"),
        pytest.param("api.example.com.evil.test", "api.example.com.evil.test", id="longer-name"),
        pytest.param("API.EXAMPLE.COM.", "api.example.com", id="capitals-and-final-dot"),
        pytest.param("api.example.com:8443", "api.example.com", id="host-and-port"),
        pytest.param("https://api.example.com/a@b", "api.example.com", id="at-in-the-path"),
        pytest.param("https://api.example.com?x=@evil.test", "api.example.com", id="at-in-query"),
        pytest.param("https://api.example.com#@evil.test", "api.example.com", id="at-in-fragment"),
        pytest.param("WSS://Api.Example.Com.:443/x", "api.example.com", id="everything"),
        pytest.param("localhost", "localhost", id="one-label"),
        pytest.param("bücher.example", "xn--bcher-kva.example", id="u-label"),
        pytest.param("XN--BCHER-KVA.example", "xn--bcher-kva.example", id="a-label"),
        pytest.param("аррӏе.com", "xn--80ak6aa92e.com", id="look-alike-is-another-name"),
        pytest.param("127.0.0.1", "127.0.0.1", id="ipv4"),
        pytest.param("http://[::1]:80/", "[::1]", id="ipv6"),
        pytest.param("[2001:DB8:0:0:0:0:0:1]", "[2001:db8::1]", id="ipv6-compressed"),
    ],
)
def test_an_address_with_one_reading_has_that_host(address: str, host: str) -> None:
    assert domain(address) == host


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="nothing"),
        pytest.param(".", id="a-dot"),
        pytest.param("a..b", id="empty-label"),
        pytest.param("example.com..", id="two-final-dots"),
        pytest.param("https://api.example.com@evil.test/", id="user-info"),
        pytest.param("https://u:p@api.example.com/", id="user-and-password"),
        pytest.param("https://a@b@c/", id="two-ats-in-a-url"),
        pytest.param("a@b@c", id="two-ats"),
        pytest.param("@acme.example", id="no-local-part"),
        pytest.param("a@", id="no-host"),
        pytest.param('"a@b"@c.example', id="quoted-local-part"),
        pytest.param("Ana <ana@acme.example>", id="display-name"),
        pytest.param("ana@acme.example,eve@evil.test", id="two-mails"),
        pytest.param("ana@acme.example\nBcc: eve@evil.test", id="header-injection"),
        pytest.param("ana@acme.example ", id="blank-behind"),
        pytest.param("mailto:ana@acme.example", id="mailto"),
        pytest.param("ana@[127.0.0.1]", id="mail-to-a-number"),
        pytest.param("ana@acme.example:25", id="mail-with-port"),
        pytest.param("https:\\\\acme.example", id="backslashes"),
        pytest.param("https://acme.example\\@evil.test", id="backslash-before-at"),
        pytest.param("https:/acme.example", id="one-slash"),
        pytest.param("//acme.example/x", id="no-scheme"),
        pytest.param("acme.example/x", id="path-without-scheme"),
        pytest.param("https:///x", id="no-authority"),
        pytest.param("https://ac%6de.example/", id="encoded-host"),
        pytest.param("https://acme.example%2f@evil.test", id="encoded-slash"),
        pytest.param("https://acme.example:", id="empty-port"),
        pytest.param("acme.example:0", id="port-zero"),
        pytest.param("acme.example:65536", id="port-too-high"),
        pytest.param("acme.example:80:80", id="two-ports"),
        pytest.param("acme.example:٨٠", id="arabic-digits-as-port"),
        pytest.param("acme_.example", id="underscore"),
        pytest.param("-acme.example", id="hyphen-first"),
        pytest.param("a" * 64 + ".example", id="label-too-long"),
        pytest.param(".".join(["a" * 60] * 5), id="name-too-long"),
        pytest.param("2130706433", id="integer"),
        pytest.param("0x7f000001", id="hexadecimal"),
        pytest.param("017700000001", id="octal"),
        pytest.param("127.1", id="short-ipv4"),
        pytest.param("127.0.0.01", id="leading-zero"),
        pytest.param("0x7f.0.0.1", id="hexadecimal-part"),
        pytest.param("256.1.1.1", id="part-too-high"),
        pytest.param("127.0.0.1.", id="ipv4-with-final-dot"),
        pytest.param("evil.0x7f", id="name-that-ends-in-a-number"),
        pytest.param("[::ffff:7f00:1]", id="ipv4-in-ipv6"),
        pytest.param("[::1%25lo]", id="zone"),
        pytest.param("[::1", id="open-bracket"),
        pytest.param("::1", id="ipv6-without-brackets"),
        pytest.param("ａcme.example", id="full-width"),
        pytest.param("acme。example", id="ideographic-full-stop"),
        pytest.param("BÜCHER.example", id="u-label-in-capitals"),
        pytest.param("faß.example", id="letter-that-idna-versions-read-differently"),
        pytest.param("ac\u200cme.example", id="zero-width-non-joiner"),
        pytest.param("ac\u00adme.example", id="soft-hyphen"),
        pytest.param("xn--zz--.example", id="broken-a-label"),
        pytest.param("xn--acme-.example", id="a-label-of-ascii"),
        pytest.param("ab--cd.example", id="reserved-label"),
        pytest.param("acme.example\x00.evil.test", id="nul"),
        pytest.param("a@" + "b" * MAX_LENGTH, id="too-long"),
    ],
)
def test_an_address_with_several_readings_has_no_host(address: str) -> None:
    with pytest.raises(ConditionFailed):
        domain(address)


@given(st.text(max_size=80))
def test_any_text_has_a_plain_host_or_none(address: str) -> None:
    try:
        host = domain(address)
    except ConditionFailed:
        return
    assert host.isascii()
    assert host == host.lower()
    assert domain(host) == host
