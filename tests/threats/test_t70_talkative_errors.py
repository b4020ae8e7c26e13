"""T70: a refusal names its rule, and nothing that the agent could not know."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.approval.approvals import Approvals
from tests.harness.agent import LEGACY, MODERN, REST, WAYS, Agent, Answer
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK, crowded
from tests.harness.upstream import TOOLS as DESK_TOOLS
from tests.harness.upstream import Desk, desk, tool

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKED = tool("marked", region={"type": "string", "x-mcp-header": "Region"})
TOOLS = (*DESK_TOOLS, MARKED)
POLICY = (
    DESK.replace("agents:\n", "agents:\n  boss: {roles: [boss], owner: team}\n").replace(
        "rules:\n", "  desk.marked: {risk: write, emits: []}\nrules:\n"
    )
    + """\
  - {id: boss-wipes, roles: [boss], tools: [desk.wipe, desk.marked], effect: allow}
  - {id: no-mallory, roles: [clerk], tools: [desk.send], effect: deny, when: "args.to == 'mallory'"}
"""
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, Desk]]:
    """A gateway before two servers, of which the second is the boss's alone."""
    policy = POLICY.replace("tools:\n", "tools:\n  vault.look: {risk: read, emits: []}\n", 1) + (
        "  - {id: boss-looks, roles: [boss], tools: [vault.look], effect: allow}\n"
    )
    folder = tmp_path_factory.mktemp("two")
    async with (
        desk(*TOOLS) as first,
        desk() as second,
        running(folder, crowded(policy), {"desk": first, "vault": second}) as gateway,
    ):
        yield gateway, first


def shape(answered: Answer, *names: str) -> tuple[object, ...]:
    """All of an answer that could tell one refusal from another, but for names and ids."""
    text = answered.text
    for name in names:
        text = text.replace(name, "NAME").replace(name.replace(".", "__"), "NAME")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    headers = {k for k in answered.headers if k != "date"}
    length = len(str(answered.body)) - sum(str(answered.body).count(n) * len(n) for n in names)
    return answered.http, answered.code, answered.rpc, text, frozenset(headers), length > 0


FORBIDDEN = ["desk.wipe", "desk.marked", "desk.hidden", "vault.look"]
UNKNOWN = ["desk.wape", "desk.morked", "desk.hadden", "vualt.look"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("forbidden", "unknown"), [*zip(FORBIDDEN, UNKNOWN, strict=True)])
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(b"{}", id="no-arguments"),
        pytest.param(b'{"what":"x"}', id="right-arguments"),
        pytest.param(b'{"what":1}', id="arguments-of-the-wrong-type"),
        pytest.param(b'{"region":"eu"}', id="an-argument-that-is-mirrored"),
        pytest.param(b'{"nothing":"x","to":[1]}', id="unknown-arguments"),
    ],
)
async def test_t70_no_such_tool_and_not_allowed_read_alike(
    two: tuple[Running, Desk], way: str, forbidden: str, unknown: str, args: bytes
) -> None:
    gateway, upstream = two
    clerk = await gateway.agent(way=way)
    not_allowed = await clerk.call_raw(forbidden, args)
    no_such = await clerk.call_raw(unknown, args)
    assert shape(not_allowed, forbidden) == shape(no_such, unknown)
    assert not_allowed.code == "policy.denied"
    assert upstream.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"mcp-param-region": "eu"}, id="that-agrees"),
        pytest.param({"mcp-param-region": "us"}, id="that-does-not-agree"),
    ],
)
async def test_t70_mirrored_headers_do_not_tell_which_tools_there_are(
    two: tuple[Running, Desk], headers: dict[str, str]
) -> None:
    clerk = await two[0].agent(way=MODERN)
    args = b'{"region":"eu"}'
    not_allowed = await clerk.call_raw("desk.marked", args, headers)
    no_such = await clerk.call_raw("desk.morked", args, headers)
    assert shape(not_allowed, "desk.marked") == shape(no_such, "desk.morked")


@pytest.mark.parametrize("way", [MODERN, LEGACY])
@pytest.mark.parametrize("method", ["tools/list", "tools/call", "server/discover", "initialize"])
async def test_t70_no_such_server_and_not_yours_read_alike(
    two: tuple[Running, Desk], way: str, method: str
) -> None:
    clerk = await two[0].agent(way=way)
    params = {
        "tools/call": {"name": "look", "arguments": {}},
        "initialize": {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        },
    }.get(method, {})
    not_yours = await clerk.by(way, server="vault").rpc(method, params)
    no_such = await clerk.by(way, server="vualt").rpc(method, params)
    assert shape(not_yours, "vault") == shape(no_such, "vualt")


@pytest.mark.parametrize("way", WAYS)
async def test_t70_neither_lists_nor_refusals_name_what_others_may_use(
    two: tuple[Running, Desk], way: str
) -> None:
    clerk = await two[0].agent(way=way)
    names = await clerk.names()
    assert not {name for name in names if "wipe" in name or "marked" in name or "vault" in name}
    for called in ("desk.nothing", "desk.pay", "desk.send"):
        answered = await clerk.call(called, amount=99999, to="mallory")
        for secret in (
            "wipe",
            "vault",
            "marked",
            "boss",
            "omar",
            "desk.policy.yaml",
            "clerk-",
            "roles",
        ):
            assert secret not in answered.text


@pytest.mark.parametrize("way", WAYS)
async def test_t70_a_denial_names_the_rule_that_denied(two: tuple[Running, Desk], way: str) -> None:
    clerk = await two[0].agent(way=way)
    answered = await clerk.call("desk.send", to="mallory")
    assert "no-mallory" in answered.text
    assert "args.to" not in answered.text


@pytest.mark.parametrize("path", ["/v1/approvals/{}", "/v1/session"])
async def test_t70_what_is_anothers_reads_like_what_is_not_there(
    two: tuple[Running, Desk], path: str
) -> None:
    gateway, _ = two
    owner, other = await gateway.agent(), await gateway.agent()
    asked = await owner.call("desk.pay", amount=400, to="paper")
    absent = asked.approval.replace("-7", "-8", 1) if asked.approval else ""
    if path == "/v1/session":
        assert (await other.get(path)).body["agent"] == other.name
        return
    anothers = await other.get(path.format(asked.approval))
    nothing = await other.get(path.format(absent))
    assert anothers.http == 404
    assert shape(anothers) == shape(nothing)
    assert (await owner.get(path.format(asked.approval))).body["state"] == "asked"


async def test_t70_a_fault_of_ours_shows_no_trace_path_or_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("/home/gateway/keys/log.pem hunter2")

    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        monkeypatch.setattr(Approvals, "find", fail)
        for way in (REST, MODERN):
            answered = await clerk.by(way).call("desk.publish", text="secret words")
            assert not answered.done
            for secret in ("Traceback", "RuntimeError", "hunter2", ".py", "/home", "secret words"):
                assert secret not in str(answered.body)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"amount":"hunter2"}',
        b'{"amount":1,"hunter2":1}',
        b'{"amount":1,"amount":"hunter2"}',
    ],
)
async def test_t70_a_refusal_does_not_repeat_values(two: tuple[Running, Desk], body: bytes) -> None:
    clerk = await two[0].agent()
    answered = await clerk.call_raw("desk.pay", body)
    assert not answered.done
    if b'"hunter2":1' not in body:  # the name of a field that is too much is told
        assert "hunter2" not in str(answered.body)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param("nonsense", id="nonsense"),
        pytest.param("a.b.c", id="three-parts"),
        pytest.param("pvo_" + "A" * 43, id="an-operators"),
    ],
)
async def test_t70_without_a_credential_every_path_and_tool_reads_alike(
    two: tuple[Running, Desk], token: str | None
) -> None:
    gateway, _ = two
    stranger = Agent(gateway.http, gateway.url, token)
    paths = ["/v1/tools/desk/look", "/v1/tools/desk/nothing", "/v1/tools/nowhere/look"]
    seen = {shape(await stranger.post(b"{}", path=path)) for path in paths}
    assert len(seen) == 1
    seen = {
        shape(await stranger.post(b"{}", path=p)) for p in ("/mcp/desk", "/mcp/vault", "/mcp/no")
    }
    assert len(seen) == 1


async def test_t70_readiness_is_told_without_reasons(two: tuple[Running, Desk]) -> None:
    gateway, _ = two
    for path in ("/healthz", "/readyz"):
        answered = await gateway.http.get(f"{gateway.url}{path}")
        assert answered.status_code == 200
        assert len(answered.text) < 10
