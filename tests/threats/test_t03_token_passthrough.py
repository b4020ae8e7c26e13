"""T3: only tokens made for this gateway are taken, and none is ever passed on."""

import json
from base64 import urlsafe_b64decode

import pytest

from gateway.identity.tokens import Issuer
from tests.gateway.identity.signing import Key
from tests.harness.agent import WAYS, Agent
from tests.harness.client import Client, Holder
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = DESK
CLIENTS = ("clerk-0",)


@pytest.mark.parametrize("way", WAYS)
async def test_t03_a_token_made_for_another_resource_is_refused(
    gateway: Running, upstream: Desk, clerk: Agent, way: str
) -> None:
    services = gateway.gateway.services
    assert clerk.token is not None
    principal = services.tokens.check(clerk.token.encode(), gateway.clock() // 1_000_000)
    elsewhere = Issuer(services.keys, public_url="https://other.example").issue(principal)
    answered = await clerk.by(way, token=elsewhere).call("desk.look")
    assert (answered.http, answered.code) == (401, "auth.invalid")
    token = signed_for(gateway, clerk, "https://other.example")
    answered = await clerk.by(way, token=token).call("desk.look")
    assert (answered.http, answered.code) == (401, "auth.audience")
    assert upstream.calls == []


def signed_for(gateway: Running, clerk: Agent, audience: str) -> str:
    """A token with our own signature, for somebody else."""
    key = gateway.gateway.services.keys.active
    assert clerk.token is not None
    payload = clerk.token.split(".")[1]
    claims = json.loads(_unbase64(payload)) | {"aud": audience}
    header = {"alg": "EdDSA", "kid": key.id, "typ": "at+jwt"}
    texts = [json.dumps(part, sort_keys=True, separators=(",", ":")) for part in (header, claims)]
    return Key(key.private).jwt(*(text.encode() for text in texts))


def _unbase64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("resource", ["https://other.example", "https://other.example/mcp"])
async def test_t03_no_token_is_made_for_another_resource(gateway: Running, resource: str) -> None:
    answered = await Client(gateway, "clerk-0").ask(
        grant_type="client_credentials", resource=resource
    )
    assert (answered.status_code, answered.json()["error"]) == (400, "invalid_target")


@pytest.mark.parametrize("way", WAYS)
async def test_t03_what_an_agent_authenticates_with_goes_no_further(
    gateway: Running, upstream: Desk, clerk: Agent, way: str
) -> None:
    agent = clerk.by(way)
    assert (await agent.call("desk.look")).done
    assert upstream.calls
    assert clerk.token is not None
    for heard in upstream.heard:
        said = repr((heard.headers, heard.target, heard.body))
        assert clerk.token not in said
        assert clerk.token.split(".")[2] not in said
        assert "authorization" not in {name.lower() for name in heard.headers}


async def test_t03_neither_does_a_proof_of_possession(gateway: Running, upstream: Desk) -> None:
    holder = Holder(gateway, Key.ed25519())
    agent = await holder.bind(Client(gateway, "clerk-0"))
    assert (await holder.call(agent, "desk.look")).done
    for heard in upstream.heard:
        assert "dpop" not in {name.lower() for name in heard.headers}
        assert agent.token is not None
        assert agent.token not in repr((heard.headers, heard.target, heard.body))
