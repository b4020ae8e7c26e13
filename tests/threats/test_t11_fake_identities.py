"""T11: who an agent is stands in the register: not in what it says of itself, and not for ever.

No credential of an agent registers or announces another one; people are shown registered names;
an agent whose registration has ended is refused, whatever it still holds.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.identity.secret_hash import SecretHash
from tests.harness.agent import LEGACY, MODERN, WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.policy import AGENTS, DESK
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAKE = "Admin Helper"
SECRET = "a-secret-of-thirty-two-characters"
SHOWN = "{roles: [clerk], owner: team}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, Desk]]:
    folder = tmp_path_factory.mktemp("gateway")
    client = {"secret_hash": str(SecretHash.of(SECRET, bytes(16)))}
    identity = {"tokens": {"skew": "0s"}, "clients": {AGENTS[0]: client}}
    policy = DESK.replace(
        f"  {AGENTS[1]}: {SHOWN}",
        f"  {AGENTS[1]}: {{roles: [clerk], owner: team, purpose: Pays small bills.}}",
    )
    async with (
        desk() as upstream,
        running(folder, policy, {"desk": upstream}, settings={"identity": identity}) as gateway,
    ):
        yield gateway, upstream


async def introduced(clerk: Agent) -> Agent:
    """Say in the handshake of the earlier era that one is somebody else."""
    hello = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": FAKE, "title": FAKE, "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    answered = await clerk.post(json.dumps(body).encode())
    clerk.mcp_session = answered.headers.get("mcp-session-id")
    return clerk


async def announced(clerk: Agent, name: str) -> dict[str, str]:
    """Headers in which a client might say who it is."""
    return {"user-agent": name, "x-agent-name": name, "x-client-id": name, "from": name}


@pytest.mark.parametrize("way", WAYS)
async def test_people_are_shown_the_registered_name_and_not_the_agents_own(
    place: tuple[Running, Desk], way: str
) -> None:
    gateway, _ = place
    since = gateway.size
    clerk = await gateway.agent(AGENTS[1], way=way)
    if way == LEGACY:
        clerk = await introduced(clerk)
    headers = await announced(clerk, FAKE)
    meta: dict[str, Any] = {"amount": 400, "to": "paper"}
    asked = await clerk.call_raw("desk.pay", json.dumps(meta).encode(), headers)
    assert asked.approval is not None
    card = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
    assert card["agent"] == AGENTS[1]
    assert card["registered"] == {"owner": "team", "purpose": "Pays small bills."}
    listed = (await gateway.operate("GET", "/api/approvals")).text
    assert FAKE not in json.dumps(card) + listed + json.dumps(gateway.entries(since=since))


async def test_what_a_client_says_of_itself_in_each_request_is_shown_to_nobody(
    place: tuple[Running, Desk],
) -> None:
    gateway, _ = place
    since = gateway.size
    clerk = await gateway.agent(way=MODERN)
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": FAKE, "version": "1"},
        "agent": FAKE,
    }
    params = {"name": "desk__look", "arguments": {}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    headers = {
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/call",
        "mcp-name": "desk__look",
    }
    await clerk.post(json.dumps(body).encode(), headers)
    assert FAKE not in json.dumps(gateway.entries(since=since))


REGISTRATIONS = [
    "/oauth/register",
    "/register",
    "/api/agents",
    "/api/agents/admin-helper",
    "/api/operators",
    "/v1/agents",
    "/a2a/admin-helper",
    "/agents",
]


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("path", REGISTRATIONS)
async def test_no_credential_of_an_agent_registers_one(
    place: tuple[Running, Desk], verb: str, path: str
) -> None:
    gateway, _ = place
    clerk = await gateway.agent(AGENTS[2])
    before = (await gateway.operate("GET", "/api/agents")).json()
    body = {"name": "admin-helper", "client_name": FAKE, "agent": "admin-helper"}
    for url in (gateway.url, gateway.operators_url):
        headers = {"authorization": f"Bearer {clerk.token}"}
        answered = await gateway.http.request(verb, f"{url}{path}", json=body, headers=headers)
        assert answered.status_code in {401, 403, 404, 405}, (url, answered.text)
    after = (await gateway.operate("GET", "/api/agents")).json()
    assert [row["name"] for row in after] == [row["name"] for row in before]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"client_id": "admin-helper"}, id="another-client"),
        pytest.param({"agent": "admin-helper"}, id="another-agent"),
        pytest.param({"agent": AGENTS[3], "user": "ana"}, id="a-registered-one"),
        pytest.param({"user": "ana"}, id="a-user"),
        pytest.param({"purpose": "as the administrator"}, id="a-purpose"),
    ],
)
async def test_an_agent_gets_no_token_under_another_name(
    place: tuple[Running, Desk], form: dict[str, str]
) -> None:
    gateway, _ = place
    since = gateway.size
    refused = await gateway.http.post(
        f"{gateway.url}/oauth/token",
        data={"grant_type": "client_credentials", **form},
        auth=(AGENTS[0], SECRET),
    )
    assert refused.status_code in {400, 401}
    assert gateway.entries("token.issue", since=since) == []


def ended(policy: str, agent: str) -> str:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    return policy.replace(
        f"  {agent}: {SHOWN}", f"  {agent}: {{roles: [clerk], owner: team, until: {yesterday}}}"
    )


@pytest.mark.parametrize("way", WAYS)
async def test_an_agent_whose_registration_has_ended_is_refused_whatever_it_holds(
    tmp_path: Path, way: str
) -> None:
    client = {"secret_hash": str(SecretHash.of(SECRET, bytes(16)))}
    identity = {"tokens": {"skew": "0s"}, "clients": {AGENTS[0]: client}}
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings={"identity": identity}) as gateway,
    ):
        clerk = await gateway.agent(AGENTS[0], way=way)
        assert (await clerk.call("desk.look")).done
        assert (await gateway.apply(ended(DESK, AGENTS[0]))).is_success
        upstream.forget()
        refused = await clerk.call("desk.look")
        assert not refused.done
        assert upstream.calls == []
        assert gateway.entries("decision")[-1]["decision"]["rules"] == ["agent:expired"]
        assert await clerk.names() == set()
        again = await gateway.operate("POST", "/api/tokens", {"agent": AGENTS[0]}, check=False)
        assert (again.status_code, again.json()["code"]) == (409, "operator.expired")
        form = {"grant_type": "client_credentials"}
        url, who = f"{gateway.url}/oauth/token", (AGENTS[0], SECRET)
        asked = await gateway.http.post(url, data=form, auth=who)
        assert (asked.status_code, asked.json()["error"]) == (400, "unauthorized_client")


async def test_operators_see_who_is_registered_for_what_and_until_when(tmp_path: Path) -> None:
    policy = ended(DESK, AGENTS[0])
    async with running(tmp_path, policy) as gateway:
        found = (await gateway.operate("GET", f"/api/agents/{AGENTS[0]}")).json()
        assert (found["owner"], found["expired"], found["suspended"]) == ("team", True, False)
        assert found["until"] is not None
        other = (await gateway.operate("GET", f"/api/agents/{AGENTS[1]}")).json()
        assert (other["until"], other["expired"]) == (None, False)
