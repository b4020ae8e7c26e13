"""T5: a token is of one session and, where it is bound, of one key: elsewhere it is worthless."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.identity.signing import Key
from tests.harness.agent import LEGACY, MODERN, WAYS, Agent
from tests.harness.client import Client, Holder, key_of
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = DESK.replace(
    "agents:\n",
    "agents:\n"
    "  prover: {roles: [clerk], proof_of_possession: required}\n"
    "  payer: {roles: [clerk], proof_of_possession: irreversible}\n",
    1,
)
CLIENTS = ("clerk-0", "prover", "payer")
LOOK = "/v1/tools/desk/look"


@pytest.mark.parametrize("way", WAYS)
async def test_t05_a_session_that_a_client_names_is_not_believed(
    gateway: Running, upstream: Desk, way: str
) -> None:
    mine, other = await gateway.agent(way=way), await gateway.agent()
    for name in ("x-session", "session", "mcp-session-id"):
        await mine.call_raw("desk.look", b"{}", {name: other.session})
    assert gateway.kinds(other) == ["session.open", "token.issue"]


async def test_t05_an_mcp_session_of_one_is_none_of_another(
    gateway: Running, upstream: Desk
) -> None:
    mine, other = await gateway.agent(way=LEGACY), await gateway.agent(way=LEGACY)
    assert (await mine.call("desk.look")).done
    assert (await other.call("desk.look")).done
    before = gateway.size
    mine.mcp_session = other.mcp_session
    answered = await mine.call("desk.look")
    assert answered.http == 404
    kinds = {body["kind"] for body in gateway.entries(since=before)}
    assert kinds - {"outcome"} == {"refusal"}  # an outcome of the calls before may come late
    assert len(upstream.calls) == 2


async def test_t05_a_token_of_an_ended_session_opens_no_other(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    fresh = await gateway.agent(clerk.name)
    await gateway.operate("POST", f"/api/sessions/{clerk.session}/end")
    assert (await clerk.call("desk.look")).code == "auth.revoked"
    assert (await fresh.call("desk.look")).done


# -- proof of possession


@pytest.fixture
def holder(gateway: Running) -> Holder:
    return Holder(gateway, Key.p256())


async def test_t05_a_bound_token_is_used_with_its_key(
    gateway: Running, upstream: Desk, holder: Holder
) -> None:
    agent = await holder.bind(Client(gateway, "clerk-0"))
    for _ in range(3):
        assert (await holder.call(agent, "desk.look")).done
    assert len(upstream.calls) == 3
    issued = gateway.entries("token.issue", of=agent)[-1]
    assert issued["bound_to"] == holder.key.public.thumbprint


Steal = Callable[[Holder, Agent], dict[str, str]]

STOLEN: dict[str, tuple[str, Steal]] = {
    "as-a-bearer-token": ("auth.proof", lambda h, a: {"authorization": f"Bearer {a.token}"}),
    "as-a-bearer-token-with-the-proof": (
        "auth.proof",
        lambda h, a: h.headers(a, LOOK) | {"authorization": f"Bearer {a.token}"},
    ),
    "without-a-proof": ("auth.proof", lambda h, a: {"authorization": f"DPoP {a.token}"}),
    "with-another-key": (
        "auth.proof",
        lambda h, a: Holder(h.gateway, Key.ed25519(), h.nonce).headers(a, LOOK),
    ),
    "with-a-proof-for-another-tool": ("auth.proof", lambda h, a: h.headers(a, LOOK + "s")),
    "with-a-proof-for-another-method": ("auth.proof", lambda h, a: h.headers(a, LOOK, htm="GET")),
    "with-a-proof-for-another-gateway": (
        "auth.proof",
        lambda h, a: h.headers(a, LOOK, htu=f"https://other.example{LOOK}"),
    ),
    "with-a-proof-for-another-token": ("auth.proof", lambda h, a: h.headers(a, LOOK, ath="A" * 43)),
    "with-an-old-proof": ("auth.proof", lambda h, a: h.headers(a, LOOK, iat=1_000_000_000)),
    "with-a-proof-from-the-future": (
        "auth.proof",
        lambda h, a: h.headers(a, LOOK, iat=4_000_000_000),
    ),
    "with-a-proof-without-a-nonce": ("auth.nonce", lambda h, a: h.headers(a, LOOK, nonce="")),
    "with-a-made-up-nonce": ("auth.nonce", lambda h, a: h.headers(a, LOOK, nonce="A" * 24)),
    "with-a-token-as-its-proof": (
        "auth.proof",
        lambda h, a: {"authorization": f"DPoP {a.token}", "dpop": str(a.token)},
    ),
}


@pytest.mark.parametrize(("code", "steal"), STOLEN.values(), ids=STOLEN)
async def test_t05_a_stolen_token_is_worth_nothing_without_its_key(
    gateway: Running, upstream: Desk, holder: Holder, code: str, steal: Steal
) -> None:
    agent = await holder.bind(Client(gateway, "clerk-0"))
    answered = await agent.post(b"{}", steal(holder, agent), path=LOOK)
    assert (answered.http, answered.code) == (401, code)
    assert answered.headers["www-authenticate"].startswith('DPoP algs="EdDSA ES256"')
    assert answered.headers["dpop-nonce"]
    assert upstream.calls == []


async def test_t05_a_whole_request_that_was_overheard_is_good_once(
    gateway: Running, upstream: Desk, holder: Holder
) -> None:
    agent = await holder.bind(Client(gateway, "clerk-0"))
    heard = holder.headers(agent, LOOK)
    assert (await agent.post(b"{}", heard, path=LOOK)).done
    assert (await agent.post(b"{}", heard, path=LOOK)).code == "auth.proof"
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("way", [MODERN, LEGACY])
async def test_t05_mcp_takes_bound_tokens_too(
    gateway: Running, upstream: Desk, holder: Holder, way: str
) -> None:
    agent = await holder.bind(Client(gateway, "clerk-0"))
    agent = agent.by(way)
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    plain = await agent.post(json.dumps(body).encode())
    assert (plain.http, plain.code) == (401, "auth.proof")
    proven = await agent.post(json.dumps(body).encode(), holder.headers(agent, "/mcp"))
    assert proven.http != 401


async def test_t05_a_policy_may_demand_proof_of_an_agent(
    gateway: Running, upstream: Desk, holder: Holder
) -> None:
    client = Client(gateway, "prover")
    plain = await client.begin()
    answered = await plain.call("desk.look")
    assert answered.code == "policy.denied"
    assert gateway.entry(answered.entry)["decision"]["rules"] == ["agent:proof"]
    assert await plain.names() == set()
    bound = await holder.bind(client)
    answered = await holder.call(bound, "desk.look")
    assert answered.done
    assert gateway.entry(answered.entry)["facts"]["proven"] is True
    assert len(upstream.calls) == 1


async def test_t05_a_policy_may_demand_proof_from_a_risk_on(
    gateway: Running, upstream: Desk, holder: Holder
) -> None:
    client = Client(gateway, "payer")
    plain = await client.begin()
    assert (await plain.call("desk.look")).done
    assert (await plain.call("desk.pay", amount=5, to="x")).code == "policy.denied"
    bound = await holder.bind(client)
    assert (await holder.call(bound, "desk.pay", amount=5, to="x")).done
    assert upstream.paid == [5]


async def test_t05_an_assertion_that_was_overheard_is_good_once(gateway: Running) -> None:
    client = Client(gateway, "clerk-0")
    form = client.assertion() | {"grant_type": "client_credentials"}
    answers = [await gateway.http.post(f"{gateway.url}/oauth/token", data=form) for _ in range(2)]
    assert [answered.status_code for answered in answers] == [200, 401]
    assert key_of("clerk-0").algorithm == "EdDSA"
