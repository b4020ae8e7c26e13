"""T1: every agent is itself, with a credential of its own; nobody else's is good in its place.

Without a token, as an agent that nobody registered, with a user's or an operator's credential:
nothing reaches the upstream, and the log says that somebody was turned away.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from gateway.identity.secret_hash import SecretHash
from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.provider import Provider, provider
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a-secret-of-thirty-two-characters"
AUDIENCE = "passavant"
UNREGISTERED = "nobody-knows-me"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Running, Desk, Provider]]:
    """A gateway that believes one issuer of users, and one client that no policy names."""
    folder = tmp_path_factory.mktemp("gateway")
    async with provider("ES256") as corp, desk() as upstream:
        identity = {
            "tokens": {"skew": "0s"},
            "clients": {UNREGISTERED: {"secret_hash": str(SecretHash.of(SECRET, bytes(16)))}},
            "users": {"corp": {"oidc": {"issuer": corp.url, "audience": AUDIENCE}}},
        }
        settings = {"identity": identity}
        async with running(folder, DESK, {"desk": upstream}, settings=settings) as gateway:
            yield gateway, upstream, corp


async def nothing(gateway: Running, corp: Provider) -> str | None:
    return None


async def users_own(gateway: Running, corp: Provider) -> str | None:
    return corp.sign(corp.claims("ana", audience=AUDIENCE))


async def users_for_this_address(gateway: Running, corp: Provider) -> str | None:
    return corp.sign(corp.claims("ana", audience=gateway.url))


async def operators(gateway: Running, corp: Provider) -> str | None:
    return gateway.keys["adam"]


async def of_no_registered_agent(gateway: Running, corp: Provider) -> str | None:
    """The deployment knows the client, and no policy knows the agent."""
    form = {"grant_type": "client_credentials"}
    url, who = f"{gateway.url}/oauth/token", (UNREGISTERED, SECRET)
    answered = await gateway.http.post(url, data=form, auth=who)
    token: str = answered.json()["access_token"]
    return token


BORROWED: dict[str, Callable[[Running, Provider], Awaitable[str | None]]] = {
    "no-token": nothing,
    "a-users-token": users_own,
    "a-users-token-for-this-address": users_for_this_address,
    "an-operators-key": operators,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whose", BORROWED)
async def test_another_credential_calls_nothing(
    place: tuple[Running, Desk, Provider], way: str, whose: str
) -> None:
    gateway, upstream, corp = place
    before = gateway.gateway.services.refusals.counts.copy()
    nobody = Agent(gateway.http, gateway.url, await BORROWED[whose](gateway, corp))
    answered = await nobody.by(way).call("desk.look")
    assert answered.http == 401
    assert upstream.calls == []
    counts = gateway.gateway.services.refusals.counts
    more = {code for code, count in counts.items() if count > before.get(code, 0)}
    assert more <= {"auth.missing", "auth.invalid", "auth.algorithm", "auth.audience"}
    assert more
    refusals = gateway.entries("refusal")
    assert {"agent": None, "sub": None, "chain": []} in [entry["actor"] for entry in refusals]


@pytest.mark.parametrize("way", WAYS)
async def test_an_agent_that_no_policy_names_calls_nothing(
    place: tuple[Running, Desk, Provider], way: str
) -> None:
    gateway, upstream, corp = place
    stranger = Agent(gateway.http, gateway.url, await of_no_registered_agent(gateway, corp))
    since = gateway.size
    answered = await replace(stranger, name=UNREGISTERED).by(way).call("desk.look")
    assert not answered.done
    assert answered.code is not None
    assert upstream.calls == []
    recorded = gateway.entries(since=since)
    assert UNREGISTERED in [(entry.get("actor") or {}).get("agent") for entry in recorded]


async def test_an_operator_gives_no_token_to_an_agent_that_nobody_registered(
    place: tuple[Running, Desk, Provider],
) -> None:
    gateway, _, _ = place
    wanted = {"agent": "admin-helper"}
    refused = await gateway.operate("POST", "/api/tokens", wanted, check=False)
    assert (refused.status_code, refused.json()["code"]) == (404, "operator.unknown")


async def test_two_runs_of_one_agent_are_two_sessions(
    place: tuple[Running, Desk, Provider],
) -> None:
    gateway, _, _ = place
    first, second = [await gateway.agent("clerk-7") for _ in range(2)]
    assert first.session != second.session
    assert first.token != second.token
