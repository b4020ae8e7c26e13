"""T26: no credential of an agent reads or changes its own rights, or another's.

The ways in are asked of the running applications themselves: a route that is added later is tried
like the others, and one whose audience nobody has stated fails here.
"""

import re
from typing import Any

import httpx
import pytest

from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.routes import served
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUDIENCE = {
    "/mcp": "agents",
    "/v1": "agents",
    "/v1/tools": "agents",
    "/v1/openapi.json": "agents",
    "/oauth/token": "clients, for themselves",
    "/oauth/revoke": "clients, for their own tokens",
    "/oauth/introspect": "clients, for their own tokens",
    "/oauth/upstream": "people, in a browser",
    "/oauth/login": "people, in a browser",
    "/.well-known": "everybody",
    "/audit/log": "everybody, where published",
}
"""Whom each part of the agents' listener is for: none is for changing rights."""

LOG_IN = frozenset({"/login", "/login/oidc", "/login/callback", "/logout"})
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BODY = {"agent": "clerk-0", "name": "clerk-0", "roles": ["administrator"], "digest": "0" * 64}


def rights(gateway: Running) -> dict[str, Any]:
    """Everything that an agent must not be able to change."""
    services = gateway.gateway.services
    state = services.state
    return {
        "policy": services.worlds.current.snapshot.digest,
        "catalogue": services.worlds.current.catalogue.digest,
        "operators": [operator.name for operator in services.operators.all()],
        "withdrawn": dict(state.revocations._until),
        "approvals": [(request.id, request.state) for request in state.approvals.all()],
        "sessions": [
            (session.id, session.labels, session.ends, session.ended)
            for session in state.sessions.all()
        ],
    }


def credentials(agent: Agent) -> list[dict[str, str]]:
    """The agent's token in every dress."""
    token = str(agent.token)
    return [
        {"authorization": f"Bearer {token}"},
        {"authorization": f"DPoP {token}"},
        {"authorization": f"Bearer pvo_{token[:43]}"},
        {"cookie": f"__Host-passavant={token}; passavant={token}"},
        {"authorization": f"Bearer {token}", "x-forwarded-for": "127.0.0.1", "x-role": "admin"},
    ]


async def test_t26_no_route_of_operators_takes_what_an_agent_has(
    gateway: Running, clerk: Agent
) -> None:
    before = rights(gateway)
    for verb, path in sorted(set(served(gateway.gateway.operators.routes))):
        if path in LOG_IN:
            continue
        url = f"{gateway.operators_url}{re.sub(r'{[^}]*}', 'clerk-0', path)}"
        for headers in credentials(clerk):
            answered = await gateway.http.request(verb, url, json=BODY, headers=headers)
            assert answered.status_code == 401, (verb, path, headers)
    assert rights(gateway) == before


async def test_t26_every_part_of_the_agents_listener_has_a_stated_audience(
    gateway: Running,
) -> None:
    agents = gateway.gateway.agents
    found = {prefix for prefix, _ in agents._faces}
    found |= {path for _, path in served(agents._others.routes)}  # type: ignore[attr-defined]
    unstated = {
        path for path in found if not any(path == a or path.startswith(f"{a}/") for a in AUDIENCE)
    }
    assert unstated == set()


@pytest.mark.parametrize("verb", VERBS)
async def test_t26_no_path_of_operators_exists_for_agents(
    gateway: Running, clerk: Agent, verb: str
) -> None:
    before = rights(gateway)
    for _, path in sorted(set(served(gateway.gateway.operators.routes))):
        if path.startswith("/audit/log"):
            continue  # published to everybody where the deployment says so
        url = f"{gateway.url}{re.sub(r'{[^}]*}', 'clerk-0', path)}"
        for headers in credentials(clerk):
            answered = await gateway.http.request(verb, url, json=BODY, headers=headers)
            assert answered.status_code in {400, 401, 403, 404, 405}, (verb, path)
    assert rights(gateway) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["_policy", "role", "labels", "approval", "_meta", "grants", "scope", "permit"]
)
async def test_t26_an_argument_that_speaks_of_rights_is_an_unknown_field(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, name: str
) -> None:
    answered = await clerk.by(way).call("desk.pay", amount=40, to="paper", **{name: "admin"})
    assert answered.code == "args.unknown_field"
    assert upstream.paid == []


async def test_t26_a_token_is_renewed_for_nothing_more(gateway: Running, clerk: Agent) -> None:
    before = rights(gateway)
    for scope in ("*", "gateway.*", "desk.wipe"):
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": str(clerk.token),
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": scope,
        }
        answered: httpx.Response = await gateway.http.post(f"{gateway.url}/oauth/token", data=form)
        assert answered.status_code == 401  # a token does not authenticate a client
    assert rights(gateway) == before


async def test_t26_an_upstream_that_calls_back_has_nothing_to_call_with(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    assert (await clerk.call("desk.look")).done
    assert upstream.heard
    assert all(str(clerk.token) not in repr(heard) for heard in upstream.heard)
