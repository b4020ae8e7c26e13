"""T22: what is too much is refused within a second, and nobody else waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.harness.agent import LEGACY, MODERN, REST, WAYS, Agent, Answer
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import TOOLS as DESK_TOOLS
from tests.harness.upstream import Desk, tool

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20
SECOND = 1.0
"""Of this process's own time, the gateway's included: what else the machine does does not count."""
TOOLS = (
    *DESK_TOOLS,
    tool(
        "list",
        text={"type": "string", "pattern": "^(a+)+$"},
        numbers={"type": "array", "items": {"type": "integer"}},
        ways={"oneOf": [{"type": "object", "properties": {f"k{n}": {}}} for n in range(20)]},
        tree={
            "$ref": "#/properties/tree/$defs/node",
            "$defs": {
                "node": {
                    "type": "object",
                    "properties": {"left": {"$ref": "#/properties/tree/$defs/node"}},
                }
            },
        },
    ),
)
POLICY = (
    DESK.replace("rules:\n", "  desk.list: {risk: read, emits: []}\nrules:\n")
    + """\
  - {id: lists, roles: [clerk], tools: [desk.list], effect: allow}
  - id: bomb
    roles: [clerk]
    tools: [desk.look]
    effect: deny
    when: "args.at.matches('(a|aa|aaa)+!$')"
  - {id: word, roles: [clerk], tools: [desk.look], effect: deny, when: "args.at.contains('secret')"}
"""
)


@dataclass
class Bystander:
    """Another agent that calls all the time, and how long it waited at most."""

    waits: list[float] = field(default_factory=list)
    ended: bool = False

    @asynccontextmanager
    async def watching(self, agent: Agent) -> AsyncIterator[None]:
        task = asyncio.create_task(self._call(agent))
        try:
            yield
        finally:
            self.ended = True
            await task

    async def _call(self, agent: Agent) -> None:
        while not self.ended:
            begun = time.process_time()
            answered = await agent.call("desk.look", at="the till")
            self.waits.append(time.process_time() - begun)
            assert answered.done
            await asyncio.sleep(0.005)


async def suffered(bystander: Agent, bomb: Awaitable[Answer]) -> tuple[Answer, float]:
    """What the bomb got, and the longest anybody waited for it."""
    other = Bystander()
    async with other.watching(bystander):
        while not other.waits:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        begun = time.process_time()
        answered = await bomb
        took = time.process_time() - begun
    return answered, max(took, *other.waits)


TOO_DEEP, TOO_LARGE, MALFORMED = "request.too_deep", "request.too_large", "request.malformed"
KEYS = b",".join(b'"k%d":1' % number for number in range(300_000))
FEWER = b",".join(b'"k%d":1' % number for number in range(90_000))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("called", "args", "code"),
    [
        pytest.param(
            "desk.pay",
            b'{"amount":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            TOO_DEEP,
            id="lists-100000-deep",
        ),
        pytest.param(
            "desk.pay",
            b'{"amount":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
            TOO_DEEP,
            id="objects-100000-deep",
        ),
        pytest.param("desk.pay", b'{"amount":' + b"[" * 3 * MIB, TOO_DEEP, id="never-closed"),
        pytest.param(
            "desk.pay", b'{"amount":' + b"[" * 65 + b"]" * 65 + b"}", TOO_DEEP, id="one-too-deep"
        ),
        pytest.param(
            "desk.pay", b'{"note":"' + b"a" * 5 * MIB + b'"}', TOO_LARGE, id="text-of-5-megabytes"
        ),
        pytest.param("desk.pay", b"{" + KEYS + b"}", TOO_LARGE, id="300000-keys"),
        pytest.param("desk.pay", b"{" + FEWER + b"}", "args.invalid", id="90000-keys"),
        pytest.param(
            "desk.pay",
            b"{" + b",".join([b'"a":1'] * 90_000) + b"}",
            MALFORMED,
            id="90000-times-one-key",
        ),
        pytest.param(
            "desk.list",
            b'{"numbers":[' + b",".join([b'"x"'] * 900_000) + b"]}",
            TOO_LARGE,
            id="900000-wrong-items",
        ),
        pytest.param(
            "desk.list",
            b'{"numbers":[' + b",".join([b'"x"'] * 99_000) + b"]}",
            "args.invalid",
            id="99000-wrong-items",
        ),
        pytest.param(
            "desk.list",
            b'{"numbers":[' + b",".join([b"1.5"] * 99_000) + b"]}",
            "args.invalid",
            id="99000-fractions",
        ),
        pytest.param(
            "desk.list", b'{"ways":{' + FEWER + b"}}", "args.invalid", id="90000-keys-twenty-ways"
        ),
        pytest.param(
            "desk.list",
            b'{"text":"' + b"a" * 4_000_000 + b'!"}',
            "args.invalid",
            id="pattern-of-the-schema",
        ),
        pytest.param(
            "desk.look",
            b'{"at":"' + b"a" * 4_000_000 + b'!"}',
            "policy.denied",
            id="pattern-of-the-policy",
        ),
        pytest.param(
            "desk.look",
            b'{"at":"' + "\u0430".encode() * 1_900_000 + b'"}',
            "policy.denied",
            id="letters-to-compare",
        ),
        pytest.param(
            "desk.look",
            b'{"at":"' + "a\u0301".encode() * 1_300_000 + b'"}',
            "policy.denied",
            id="marks-to-compare",
        ),
        pytest.param(
            "desk.look",
            b'{"at":"' + b"\\ud83d\\ude00" * 340_000 + b'"}',
            "policy.denied",
            id="escapes",
        ),
        pytest.param(
            "desk.open",
            b'{"path":"/data/reports' + b"/a" * 2_000_000 + b'"}',
            "policy.denied",
            id="path",
        ),
        pytest.param(
            "desk.fetch",
            b'{"url":"https://' + b"a." * 2_000_000 + b'"}',
            "policy.denied",
            id="host",
        ),
        pytest.param("desk.pay", b'{"amount":' + b"9" * 4_000_000 + b"}", MALFORMED, id="digits"),
        pytest.param(
            "desk.pay", b'{"amount":1e' + b"9" * 4_000_000 + b"}", MALFORMED, id="exponent"
        ),
        pytest.param("desk." + "a" * 20_000, b"{}", None, id="name"),
    ],
)
async def test_t22_a_bomb_is_refused_within_a_second_and_nobody_else_waits(
    gateway: Running,
    upstream: Desk,
    clerk: Agent,
    way: str,
    called: str,
    args: bytes,
    code: str | None,
) -> None:
    agent, bystander = clerk.by(way), await gateway.agent()
    await agent.names()
    answered, longest = await suffered(bystander, agent.call_raw(called, args))
    assert not answered.done
    assert code is None or answered.code == code
    assert longest < SECOND
    assert {call.args.get("at") for call in upstream.calls} <= {"the till"}
    if code is not None:
        assert gateway.entries(of=agent)[-1]["kind"] in {"refusal", "decision"}


@pytest.mark.parametrize("path", ["/v1/tools/desk/pay", "/mcp", "/mcp/desk", "/oauth/token"])
async def test_t22_fifty_megabytes_are_refused_by_their_announcement(
    gateway: Running, upstream: Desk, clerk: Agent, path: str
) -> None:
    head = _head(gateway, clerk, path) + f"content-length: {50 * MIB}\r\n\r\n"
    begun = time.process_time()
    status = await _knock(gateway, head.encode(), b"")
    assert status == 413 or (path == "/oauth/token" and status in {400, 413, 415})
    assert time.process_time() - begun < SECOND
    assert upstream.paid == []


@pytest.mark.parametrize("path", ["/v1/tools/desk/pay", "/mcp"])
async def test_t22_fifty_megabytes_without_an_announcement_are_cut_off(
    gateway: Running, upstream: Desk, clerk: Agent, path: str
) -> None:
    head = _head(gateway, clerk, path) + "transfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    begun = time.process_time()
    status = await _knock(gateway, head.encode(), chunk * (50 * MIB // 0x10000))
    assert status == 413
    assert time.process_time() - begun < SECOND
    assert upstream.paid == []


async def test_t22_a_body_that_never_comes_holds_nobody_up(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    head = _head(gateway, clerk, "/mcp") + "content-length: 1000\r\n\r\n"
    address = urlsplit(gateway.url)
    writers = []
    for _ in range(200):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(head.encode() + b"{")
        writers.append(writer)
    begun = time.process_time()
    assert (await clerk.call("desk.look", at="the till")).done
    assert time.process_time() - begun < SECOND
    for writer in writers:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("way", [MODERN, LEGACY])
async def test_t22_what_a_request_says_about_itself_is_bounded_too(
    upstream: Desk, clerk: Agent, way: str
) -> None:
    agent = clerk.by(way)
    await agent.names()
    for headers in ({"x-note": "a" * 40_000}, {"mcp-param-x": "a" * 40_000}):
        answered = await agent.call_raw("desk.look", b'{"at":"x"}', headers)
        assert answered.http in {400, 431}
    long = await agent.rpc("a" * 200)
    assert long.rpc == -32600
    assert upstream.calls == []


async def test_t22_a_reader_of_the_list_is_bounded_by_what_was_accepted(clerk: Agent) -> None:
    begun = time.process_time()
    for way in WAYS:
        await clerk.by(way).names()
    assert time.process_time() - begun < SECOND


async def test_t22_many_at_once_are_each_refused_in_time(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    bomb = b'{"amount":' + b"[" * 100_000
    bystander = await gateway.agent()

    async def all_at_once() -> Answer:
        return (
            await asyncio.gather(*(clerk.by(REST).call_raw("desk.pay", bomb) for _ in range(20)))
        )[-1]

    answered, longest = await suffered(bystander, all_at_once())
    assert answered.code == TOO_DEEP
    assert longest < SECOND


def _head(gateway: Running, agent: Agent, path: str) -> str:
    host = gateway.url.removeprefix("http://")
    return (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {agent.token}\r\n"
        "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
    )


async def _knock(gateway: Running, head: bytes, body: bytes) -> int:
    """Send bytes and return the status that comes back, however much of them was taken."""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(head + body)
        answer = await asyncio.wait_for(reader.readline(), 5)
        return int(answer.split()[1])
    finally:
        writer.transport.abort()
