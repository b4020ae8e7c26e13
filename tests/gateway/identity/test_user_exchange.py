"""User exchange: an agent gets a token on behalf of a user, with that user's own token."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gateway.identity.secret_hash import SecretHash
from gateway.identity.token_exchange import ACCESS_TOKEN
from tests.harness.gateway import Running, running
from tests.harness.policy import AGENTS, DESK
from tests.harness.provider import JWKS, METADATA, Provider, provider
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
AUDIENCE = "passavant"
AGENT, OTHER = AGENTS[:2]
SECRET = "a-secret-of-thirty-two-characters"
HASH = str(SecretHash.of(SECRET, bytes(16)))


@asynccontextmanager
async def governed(
    folder: Path, corp: Provider, upstream: Desk, policy: str = DESK
) -> AsyncIterator[Running]:
    identity = {
        "tokens": {"skew": "0s"},
        "clients": {AGENT: {"secret_hash": HASH}, OTHER: {"secret_hash": HASH}},
        "users": {"corp": {"oidc": {"issuer": corp.url, "audience": AUDIENCE}}},
    }
    settings = {"identity": identity}
    async with running(folder, policy, {"desk": upstream}, settings=settings) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Provider, Desk, Running]]:
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        provider("ES256") as corp,
        desk() as upstream,
        governed(folder, corp, upstream) as gateway,
    ):
        yield corp, upstream, gateway


@pytest.fixture
def corp(shared: tuple[Provider, Desk, Running]) -> Provider:
    return shared[0]


@pytest.fixture
def gateway(shared: tuple[Provider, Desk, Running]) -> Running:
    return shared[2]


async def ask(
    gateway: Running, token: str, *, agent: str = AGENT, secret: str = SECRET, **more: str
) -> httpx.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": ID_TOKEN,
        **more,
    }
    url = f"{gateway.url}/oauth/token"
    return await gateway.http.post(url, data=form, auth=(agent, secret))


def token_of(corp: Provider, subject: str, **more: object) -> str:
    return corp.sign(corp.claims(subject, audience=AUDIENCE, **more))


@pytest.mark.parametrize("kind", [ID_TOKEN, JWT])
async def test_an_agent_acts_for_the_user_of_the_token(
    corp: Provider, gateway: Running, kind: str
) -> None:
    before = gateway.size
    token = token_of(corp, "ana", groups=["staff"], jti=kind)
    answered = await ask(gateway, token, subject_token_type=kind)
    assert answered.status_code == 200, answered.text
    assert answered.json()["issued_token_type"] == ACCESS_TOKEN
    (issued,) = gateway.entries("token.issue", since=before)
    assert issued["actor"] == {"agent": AGENT, "sub": "corp:ana", "chain": []}
    assert issued["groups"] == ["oidc:group/staff"]
    assert token not in json.dumps(gateway.entries(since=before))


async def test_a_call_is_decided_for_that_user(tmp_path: Path) -> None:
    policy = DESK.replace(
        "users: {default: unrestricted}",
        'users: {default: unrestricted, interns: {from: "oidc:group/interns", tools: [desk.open]}}',
    )
    async with (
        provider("ES256") as corp,
        desk() as upstream,
        governed(tmp_path, corp, upstream, policy) as gateway,
    ):
        for subject, groups, may in (("ivo", ["interns"], False), ("ana", ["staff"], True)):
            found = (await ask(gateway, token_of(corp, subject, groups=groups))).json()
            answered = await gateway.http.post(
                f"{gateway.url}/v1/tools/desk/look",
                json={},
                headers={"authorization": f"Bearer {found['access_token']}"},
            )
            assert (answered.status_code == 200) is may, answered.text
            if may:  # the outcome of a read is written after its answer
                await gateway.until(lambda: bool(gateway.entries("outcome")))
            else:
                assert not gateway.entries("outcome")


async def test_a_users_token_is_good_once_whoever_presents_it(
    corp: Provider, gateway: Running
) -> None:
    token = token_of(corp, "ana", jti="once")
    assert (await ask(gateway, token)).status_code == 200
    for agent in (AGENT, OTHER):
        refused = await ask(gateway, token, agent=agent)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
        assert "replayed" in refused.json()["error_description"]


async def test_a_token_does_not_outlast_the_users(corp: Provider, gateway: Running) -> None:
    claims = corp.claims("ana", audience=AUDIENCE)
    claims["exp"] = claims["iat"] + 60
    answered = await ask(gateway, corp.sign(claims), requested_lifetime="900")
    assert answered.json()["expires_in"] <= 60


async def test_without_the_agents_own_proof_it_opens_nothing(
    corp: Provider, gateway: Running
) -> None:
    before = gateway.size
    token = token_of(corp, "ana", jti="unproven")
    assert (await ask(gateway, token, secret="x" * 32)).status_code == 401
    assert gateway.entries("session.open", since=before) == []
    assert (await ask(gateway, token)).status_code == 200, "it was not used up"


WRONG: list[Any] = [
    pytest.param(lambda c: token_of(c, "ana", aud="another"), {}, "audience", id="audience"),
    pytest.param(lambda c: token_of(c, "ana", iss="https://e.example"), {}, "invalid", id="issuer"),
    pytest.param(lambda c: token_of(c, "ana", exp=7), {}, "expired", id="expired"),
    pytest.param(lambda c: token_of(c, "a na"), {}, "invalid", id="no-name"),
    pytest.param(lambda _: "nonsense", {}, "invalid", id="nonsense"),
    pytest.param(
        lambda c: token_of(c, "ana"), {"subject_token_type": ACCESS_TOKEN}, "algorithm", id="type"
    ),
    pytest.param(
        lambda c: token_of(c, "ana"), {"subject_token_type": "saml2"}, "type", id="unknown-type"
    ),
    pytest.param(
        lambda c: token_of(c, "ana"), {"requested_token_type": ID_TOKEN}, "only access", id="wants"
    ),
    pytest.param(lambda c: token_of(c, "ana"), {"actor_token": "x"}, "actor", id="actor"),
    pytest.param(lambda c: token_of(c, "ana"), {"user": "ben"}, "front end", id="another-user"),
]


@pytest.mark.parametrize(("make", "more", "said"), WRONG)
async def test_what_is_not_right_opens_nothing(
    corp: Provider,
    gateway: Running,
    make: Callable[[Provider], str],
    more: Mapping[str, str],
    said: str,
) -> None:
    before = gateway.size
    refused = await ask(gateway, make(corp), **more)
    assert refused.status_code == 400
    assert said in refused.json()["error_description"]
    assert gateway.entries("session.open", since=before) == []


async def test_our_own_token_is_no_users_token(gateway: Running) -> None:
    own = (await gateway.agent(AGENT)).token
    assert own is not None
    assert (await ask(gateway, own)).status_code == 400


async def test_a_users_token_opens_no_door_by_itself(corp: Provider, gateway: Running) -> None:
    headers = {"authorization": f"Bearer {token_of(corp, 'ana')}"}
    for url in (f"{gateway.url}/v1/tools/desk/look", f"{gateway.operators_url}/api/status"):
        answered = await gateway.http.request(
            "POST" if "tools" in url else "GET", url, headers=headers
        )
        assert answered.status_code == 401


async def test_while_the_issuer_is_away_the_agent_is_told_to_wait(tmp_path: Path) -> None:
    async with (
        provider("ES256") as corp,
        desk() as upstream,
        governed(tmp_path, corp, upstream) as gateway,
    ):
        corp.replaced |= {METADATA: (500, {}, b""), JWKS: (500, {}, b"")}
        told = await ask(gateway, token_of(corp, "ana"))
        assert (told.status_code, told.json()["error"]) == (503, "temporarily_unavailable")
