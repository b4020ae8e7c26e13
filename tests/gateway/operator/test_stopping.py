from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.state import REVOKING
from tests.harness.agent import Agent
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK, crowded
from tests.harness.upstream import Desk, desk

WHY = {"reason": "it pays strangers"}

Shared = tuple[Running, Desk]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    folder = tmp_path_factory.mktemp("gateway")
    policy = crowded(DESK)
    async with desk() as upstream, running(folder, policy, {"desk": upstream}) as gateway:
        yield gateway, upstream


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def looks(agent: Agent) -> str | None:
    return (await agent.call("desk.look")).code


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/agents/{agent}", "auth.revoked"),
        ("/api/users/ana", "auth.revoked"),
        ("/api/users/spiffe%3A%2F%2Facme%2Fana", "auth.revoked"),
        ("/api/servers/desk", "server.suspended"),
        ("/api/tools/desk.look", "tool.suspended"),
    ],
)
async def test_what_is_suspended_is_refused_until_it_is_resumed(
    shared: Shared, path: str, code: str
) -> None:
    gateway, upstream = shared
    user = "spiffe://acme/ana" if "spiffe" in path else "ana"
    clerk = await gateway.agent(user=user)
    path = path.format(agent=clerk.name)
    assert await looks(clerk) is None
    await gateway.operate("POST", f"{path}/suspend", WHY)
    upstream.forget()
    assert await looks(clerk) == code
    assert upstream.calls == []
    await gateway.operate("POST", f"{path}/resume", WHY)
    assert await looks(clerk) is None


async def test_a_stop_of_everything_lets_nobody_through_until_go(shared: Shared) -> None:
    gateway, upstream = shared
    clerk = await gateway.agent()
    stops = (await gateway.operate("POST", "/api/stop", WHY)).json()
    upstream.forget()
    assert stops["everything"] is True
    assert await looks(clerk) == await looks(await gateway.agent()) == "gateway.stopped"
    assert await clerk.names() == set()
    assert upstream.calls == []
    await gateway.operate("POST", "/api/go", WHY)
    assert await looks(clerk) is None


async def test_go_resumes_nothing_that_was_suspended_by_its_name(shared: Shared) -> None:
    gateway, _ = shared
    clerk = await gateway.agent()
    await gateway.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
    await gateway.operate("POST", "/api/stop", WHY)
    stops = (await gateway.operate("POST", "/api/go", WHY)).json()
    assert stops["agents"] == [clerk.name]
    assert await looks(clerk) == "auth.revoked"
    await gateway.operate("POST", f"/api/agents/{clerk.name}/resume", WHY)


async def test_others_go_on_while_one_is_suspended(shared: Shared) -> None:
    gateway, _ = shared
    rogue, clerk = await gateway.agent(user="ana"), await gateway.agent(user="ben")
    for path in (f"/api/agents/{rogue.name}", "/api/users/ana", "/api/tools/desk.wipe"):
        await gateway.operate("POST", f"{path}/suspend", WHY)
    assert await looks(rogue) == "auth.revoked"
    assert await looks(clerk) is None
    for path in (f"/api/agents/{rogue.name}", "/api/users/ana", "/api/tools/desk.wipe"):
        await gateway.operate("POST", f"{path}/resume", WHY)


@pytest.mark.parametrize("way", ["2026-07-28", "2025-11-25", "rest"])
async def test_what_is_suspended_is_not_listed(shared: Shared, way: str) -> None:
    gateway, _ = shared
    clerk = await gateway.agent(way=way)
    before = await clerk.names()
    assert "desk__look" in before
    await gateway.operate("POST", "/api/tools/desk.look/suspend", WHY)
    assert await clerk.names() == before - {"desk__look"}
    await gateway.operate("POST", "/api/servers/desk/suspend", WHY)
    assert await clerk.names() == set()
    for path in ("/api/servers/desk", "/api/tools/desk.look"):
        await gateway.operate("POST", f"{path}/resume", WHY)
    assert await clerk.names() == before


async def test_who_may_not_know_of_a_tool_does_not_learn_that_it_is_suspended(
    shared: Shared,
) -> None:
    gateway, _ = shared
    idle = await gateway.agent("idle")
    before = await idle.call("desk.pay", amount=1)
    await gateway.operate("POST", "/api/servers/desk/suspend", WHY)
    after = await idle.call("desk.pay", amount=1)
    await gateway.operate("POST", "/api/servers/desk/resume", WHY)
    assert (after.code, after.http) == (before.code, before.http) == ("policy.denied", 403)


async def test_an_act_is_recorded_with_its_reason_sealed(shared: Shared) -> None:
    gateway, _ = shared
    clerk = await gateway.agent()
    since = gateway.size
    await gateway.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
    await gateway.operate("POST", f"/api/agents/{clerk.name}/resume", {"reason": "a false alarm"})
    acts = [entry for entry in gateway.entries(since=since) if "agent" in entry]
    assert [(act["kind"], act["agent"], act["by"]) for act in acts] == [
        ("agent.suspended", clerk.name, "operator:adam"),
        ("agent.resumed", clerk.name, "operator:adam"),
    ]
    assert acts[0]["reason"]["len"] == len(WHY["reason"])
    assert "strangers" not in str(acts)
    recorder = gateway.gateway.services.recorder
    index = next(i for i in range(since, gateway.size) if gateway.entry(i) == acts[0])
    assert recorder.words(index, "reason") == WHY["reason"].encode()


ACTS = ["/api/stop", "/api/go"] + [
    f"/api/{noun}/{name}/{act}"
    for noun, name in (
        ("agents", "clerk-1"),
        ("users", "ana"),
        ("servers", "desk"),
        ("tools", "desk.look"),
    )
    for act in ("suspend", "resume")
]


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("by", ["vera", "arno", "omar"])
async def test_only_an_administrator_stops_or_resumes(shared: Shared, path: str, by: str) -> None:
    gateway, _ = shared
    size = gateway.size
    refused = await gateway.operate("POST", path, WHY, by=by, check=False)
    assert (refused.status_code, refused.json()["code"]) == (403, "operator.role")
    assert REVOKING.isdisjoint(entry["kind"] for entry in gateway.entries(since=size))


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("key", ["", "token"])
async def test_no_agent_stops_or_resumes(shared: Shared, path: str, key: str) -> None:
    gateway, _ = shared
    clerk = await gateway.agent()
    headers = {"authorization": f"Bearer {clerk.token}"} if key else {}
    for url in (gateway.url, gateway.operators_url):
        answer = await gateway.http.post(f"{url}{path}", json=WHY, headers=headers)
        assert answer.status_code in {401, 404, 405}
    assert (await gateway.operate("GET", "/api/stops")).json()["everything"] is False


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(None, 400, id="nothing"),
        pytest.param({}, 400, id="no-reason"),
        pytest.param({"reason": ""}, 400, id="empty"),
        pytest.param({"reason": "x" * 2001}, 400, id="too-long"),
        pytest.param({"reason": 7}, 400, id="no-text"),
        pytest.param({"reason": "x", "until": 5}, 400, id="more"),
    ],
)
async def test_an_act_without_a_proper_reason_is_refused(
    shared: Shared, body: object, status: int
) -> None:
    gateway, _ = shared
    refused = await gateway.operate("POST", "/api/stop", body, check=False)
    assert (refused.status_code, refused.json()["code"]) == (status, "operator.body")
    assert (await gateway.operate("GET", "/api/stops")).json()["everything"] is False


@pytest.mark.parametrize(
    "path",
    [
        "/api/agents/nobody/suspend",
        "/api/agents/Clerk-1/suspend",
        "/api/servers/nowhere/suspend",
        "/api/tools/desk.nothing/suspend",
        "/api/tools/desk/suspend",
        "/api/agents/clerk-1/resume",
        "/api/users/ana/resume",
        "/api/servers/desk/resume",
        "/api/tools/desk.look/resume",
    ],
)
async def test_a_name_that_means_nothing_is_refused_instead_of_believed(
    shared: Shared, path: str
) -> None:
    gateway, _ = shared
    refused = await gateway.operate("POST", path, WHY, check=False)
    assert (refused.status_code, refused.json()["code"]) == (404, "operator.unknown")


async def test_a_user_of_no_possible_name_is_refused(shared: Shared) -> None:
    gateway, _ = shared
    refused = await gateway.operate("POST", "/api/users/agent:clerk/suspend", WHY, check=False)
    assert refused.status_code == 400
