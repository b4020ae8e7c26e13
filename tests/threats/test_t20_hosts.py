"""T20: a condition on a host reads one host, the one that every other reader finds."""

import pytest

from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = (
    HEAD
    + """\
tools:
  desk.fetch: {risk: read, emits: []}
  desk.look: {risk: read, emits: []}
rules:
  - id: fetches
    roles: [clerk]
    tools: [desk.fetch]
    effect: allow
    when: "domain(args.url) == 'api.example.com'"
  - {id: looks, roles: [clerk], tools: [desk.look], effect: allow}
  - id: not-there
    roles: [clerk]
    tools: [desk.look]
    effect: deny
    when: "domain(args.at) == 'evil.test'"
"""
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://api.example.com@evil.test/", id="user-info"),
        pytest.param("https://api.example.com:443@evil.test/", id="user-info-with-a-port"),
        pytest.param("https://evil.test@api.example.com/", id="user-info-in-front-of-ours"),
        pytest.param("https://api.example.com%40evil.test/", id="user-info-encoded"),
        pytest.param("https://api.example.com\\@evil.test/", id="user-info-behind-a-backslash"),
        pytest.param("https://api.example.com.evil.test/", id="suffix"),
        pytest.param("https://evil.test/api.example.com", id="in-the-path"),
        pytest.param("https://evil.test?api.example.com", id="in-the-query"),
        pytest.param("https://evil.test#api.example.com", id="in-the-fragment"),
        pytest.param("https://evil.test#@api.example.com/", id="fragment-and-user-info"),
        pytest.param("https://evil.test?@api.example.com/", id="query-and-user-info"),
        pytest.param("https://evil.test\\.api.example.com", id="backslash"),
        pytest.param("https:\\\\api.example.com\\x", id="backslashes"),
        pytest.param("https:///api.example.com/", id="three-slashes"),
        pytest.param("https:api.example.com", id="no-slashes"),
        pytest.param("//api.example.com/", id="no-scheme"),
        pytest.param("https://api.example.com:99999/", id="port-that-is-none"),
        pytest.param("https://api.example.com:80:443/", id="two-ports"),
        pytest.param("https://api.example.com:+80/", id="signed-port"),
        pytest.param("https://api.example.com../", id="two-dots"),
        pytest.param("https://.api.example.com/", id="dot-in-front"),
        pytest.param("https://api..example.com/", id="empty-label"),
        pytest.param("https://api.example.com\t/", id="tab"),
        pytest.param("https://api.exa\nmple.com/", id="line-end-inside"),
        pytest.param("https://api.example.com\x00.evil.test/", id="nul"),
        pytest.param("https://api.example.com .evil.test/", id="blank"),
        pytest.param("https://аpi.example.com/", id="cyrillic"),
        pytest.param("https://xn--pi-7kc.example.com/", id="punycode-of-a-look-alike"),
        pytest.param("https://api.example.c\u043em/", id="cyrillic-top"),
        pytest.param("https://api\u3002example\u3002com/", id="ideographic-stops"),
        pytest.param("https://[::ffff:93.184.216.34]/", id="mapped-address"),
        pytest.param("https://[::1]/", id="ipv6"),
        pytest.param("https://1572395042/", id="integer-address"),
        pytest.param("https://0x5db8d822/", id="hexadecimal-address"),
        pytest.param("https://0135.0270.0330.042/", id="octal-address"),
        pytest.param("https://127.1/", id="short-address"),
        pytest.param("https://169.254.169.254/", id="metadata"),
        pytest.param("", id="empty"),
    ],
)
async def test_t20_a_host_that_some_reader_finds_elsewhere_is_denied(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, url: str
) -> None:
    answered = await clerk.by(way).call("desk.fetch", url=url)
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    assert gateway.entry(answered.entry)["decision"]["effect"] == "deny"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://api.example.com/v1?x=1#y", id="plain"),
        pytest.param("API.EXAMPLE.COM.", id="capitals-and-a-final-dot"),
        pytest.param("https://Api.Example.Com./", id="mixed-case-and-a-final-dot"),
        pytest.param("https://api.example.com:8443/", id="port"),
        pytest.param("api.example.com", id="name-alone"),
        pytest.param("someone@api.example.com", id="mail"),
        pytest.param("https://api.example.com/@evil.test", id="sign-in-the-path"),
    ],
)
async def test_t20_the_host_itself_is_allowed_in_every_spelling_of_its_own(
    upstream: Desk, clerk: Agent, way: str, url: str
) -> None:
    assert (await clerk.by(way).call("desk.fetch", url=url)).done
    assert [call.args for call in upstream.calls] == [{"url": url}]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/",
        "https://EVIL.TEST./",
        "https://evil.test:8080/x",
        "https://user@evil.test/",
        "https://api.example.com@evil.test/",
        "https://evil\u3002test/",
        "https://evil.test%2f@x",
        "\x00",
        "https://[bad/",
    ],
    ids=ascii,
)
async def test_t20_a_denied_host_stays_denied_and_so_does_what_has_no_host(
    upstream: Desk, clerk: Agent, url: str
) -> None:
    assert (await clerk.call("desk.look", at=url)).code == "policy.denied"
    assert upstream.calls == []
    assert (await clerk.call("desk.look", at="https://good.test/")).done
