"""T26: no credential of an agent reads or changes its own rights, or another's.

The ways in are asked of the running applications themselves: a route that is added later is tried
like the others, and one whose audience nobody has stated fails here.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import httpx
import pytest
import pytest_asyncio

from tests.gateway.identity.signing import Key
from tests.harness.agent import MODERN, WAYS, Agent
from tests.harness.client import Client, Holder
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.routes import served
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = ("ada", "bo", "cy", "portal")
POLICY = (
    DESK.replace(
        "agents:\n",
        "agents:\n  ada: {roles: [clerk]}\n  bo: {roles: [clerk]}\n  cy: {roles: [clerk]}\n",
        1,
    )
    + """\
delegation:
  max_hops: 2
  max_children: 8
  edges:
    - {id: ada-bo, from: ada, to: bo, tools: [desk.*]}
    - {id: bo-cy, from: bo, to: cy, tools: [desk.*]}
front_ends:
  portal: {users: [ana], agents: [ada]}
"""
)

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

LOG_IN = frozenset(
    {
        "/login",
        "/login/oidc",
        "/login/callback",
        "/login/passkey",
        "/login/passkey/begin",
        "/logout",
        "/passkeys.js",
    }
)
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BODY = {"agent": "clerk-0", "name": "clerk-0", "roles": ["administrator"], "digest": "0" * 64}

ITS_OWN = frozenset({("DELETE", "/v1/session")})
"""What an agent may change of itself by design: it may end its own session."""

Dress: TypeAlias = Callable[[str, str], Mapping[str, str]]
"""The headers with which a credential comes, for one verb and one address."""

KINDS = (
    "issued",
    "its-own",
    "renewed",
    "for-a-user",
    "handed-on",
    "handed-on-twice",
    "bound",
    "bound-and-handed-on",
    "assertion",
)
"""What agents can hold: each kind is tried in every dress."""


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


@pytest_asyncio.fixture(params=KINDS, loop_scope="module")
async def dresses(gateway: Running, request: pytest.FixtureRequest) -> list[Dress]:
    """A credential of one kind, in every dress."""
    kind = request.param
    ada, bo, cy = (Client(gateway, name) for name in ("ada", "bo", "cy"))
    if kind == "assertion":
        return worn(cy.assertion()["client_assertion"])
    if kind.startswith("bound"):
        holder = Holder(gateway, Key.ed25519())
        agent = await holder.bind(bo if kind == "bound" else ada)
        if kind != "bound":
            agent = await bo.receive(agent)
        return [*worn(str(agent.token)), partial(proven, holder, str(agent.token))]
    return worn(str((await held(gateway, kind)).token))


async def held(gateway: Running, kind: str) -> Agent:
    """An agent with a token of that kind, which is bound to no key."""
    ada, bo, cy = (Client(gateway, name) for name in ("ada", "bo", "cy"))
    if kind == "issued":
        return await gateway.agent()
    if kind == "for-a-user":
        return await Client(gateway, "portal").begin(agent="ada", user="ana", purpose="Look.")
    agent = await ada.begin()
    if kind == "renewed":
        return await ada.receive(agent)
    if kind.startswith("handed-on"):
        agent = await bo.receive(agent)
    if kind == "handed-on-twice":
        agent = await cy.receive(agent)
    return agent


def worn(token: str) -> list[Dress]:
    """A token in every dress that needs no key."""
    dresses = (
        {"authorization": f"Bearer {token}"},
        {"authorization": f"DPoP {token}"},
        {"authorization": f"Bearer pvo_{token[:43]}"},
        {"cookie": f"__Host-passavant={token}; passavant={token}"},
        {"authorization": f"Bearer {token}", "x-forwarded-for": "127.0.0.1", "x-role": "admin"},
    )
    return [lambda *_, headers=headers: headers for headers in dresses]


def proven(holder: Holder, token: str, verb: str, url: str) -> Mapping[str, str]:
    """A bound token with a proof for this very request."""
    proof = holder.proof(verb, "", token, htu=url)
    return {"authorization": f"DPoP {token}", "dpop": proof}


def filled(path: str) -> str:
    """A path with its parameters given."""
    return re.sub(r"{[^}]*}", "clerk-0", path)


async def test_t26_every_credential_that_is_tried_is_good_for_calls(
    gateway: Running, dresses: list[Dress], request: pytest.FixtureRequest
) -> None:
    url = f"{gateway.url}/v1/session"
    answered = [await gateway.http.get(url, headers=dict(dress("GET", url))) for dress in dresses]
    is_token = "assertion" not in request.node.name
    assert any(each.is_success for each in answered) == is_token


async def test_t26_no_route_of_operators_takes_what_an_agent_has(
    gateway: Running, dresses: list[Dress]
) -> None:
    before = rights(gateway)
    for verb, path in sorted(set(served(gateway.gateway.operators.routes))):
        if path in LOG_IN:
            continue
        url = f"{gateway.operators_url}{filled(path)}"
        for dress in dresses:
            headers = dict(dress(verb, url))
            answered = await gateway.http.request(verb, url, json=BODY, headers=headers)
            assert answered.status_code == 401, (verb, path, headers)
    assert rights(gateway) == before


async def test_t26_no_way_in_of_agents_changes_rights(
    gateway: Running, dresses: list[Dress]
) -> None:
    before = rights(gateway)
    for path in ways_in(gateway):
        for verb in VERBS:
            if (verb, path) in ITS_OWN:
                continue
            url = f"{gateway.url}{filled(path)}"
            for dress in dresses:
                headers = dict(dress(verb, url))
                await gateway.http.request(verb, url, json=BODY, headers=headers)
    assert rights(gateway) == before


@pytest.mark.parametrize("kind", ["issued", "its-own", "for-a-user", "handed-on-twice"])
async def test_t26_no_tool_that_an_agent_is_shown_changes_rights(
    gateway: Running, upstream: Desk, kind: str
) -> None:
    agent = (await held(gateway, kind)).by(MODERN)
    before = rights(gateway)
    shown = await agent.names()
    assert shown
    for name in shown:
        assert not (await agent.call(name.replace("__", ".", 1), **BODY)).done
    assert rights(gateway) == before


def ways_in(gateway: Running) -> list[str]:
    """Every path of the agents' listener, and the first below each face."""
    agents = gateway.gateway.agents
    faces = {prefix for found in agents._faces.values() for prefix, _ in found}
    found = {path for _, path in served(agents._others.routes)}  # type: ignore[attr-defined]
    below = {f"{face}/{part}" for face in faces for part in ("desk", "session", "desk/pay")}
    return sorted(faces | found | below)


async def test_t26_every_part_of_the_agents_listener_has_a_stated_audience(
    gateway: Running,
) -> None:
    unstated = {
        path
        for path in ways_in(gateway)
        if not any(path == a or path.startswith(f"{a}/") for a in AUDIENCE)
    }
    assert unstated == set()


@pytest.mark.parametrize("verb", VERBS)
async def test_t26_no_path_of_operators_exists_for_agents(
    gateway: Running, dresses: list[Dress], verb: str
) -> None:
    before = rights(gateway)
    for _, path in sorted(set(served(gateway.gateway.operators.routes))):
        if path.startswith("/audit/log"):
            continue  # published to everybody where the deployment says so
        url = f"{gateway.url}{filled(path)}"
        for dress in (dresses[0], dresses[-1]):
            headers = dict(dress(verb, url))
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
