"""Workloads as clients: with a token of a trusted issuer, they get one of ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.identity.oauth_request import ASSERTION_TYPE
from tests.harness.gateway import Running, running
from tests.harness.policy import AGENTS
from tests.harness.provider import JWKS, Provider, make_key, provider

SUBJECT = "spiffe://acme.example/desk"
AUDIENCE = "https://agents.acme.example"
AGENT = AGENTS[0]


@asynccontextmanager
async def governed(tmp_path: Path, cluster: Provider, **more: object) -> AsyncIterator[Running]:
    trusted = {
        "issuer": cluster.url,
        "jwks_url": f"{cluster.url}{JWKS}",
        "audience": AUDIENCE,
        "subjects": {SUBJECT: AGENT},
        **more,
    }
    identity = {"tokens": {"skew": "0s"}, "workloads": {"cluster": {"jwt": trusted}}}
    async with running(tmp_path, settings={"identity": identity}) as gateway:
        yield gateway


async def ask(gateway: Running, assertion: str, **more: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **more,
    }
    return await gateway.http.post(f"{gateway.url}/oauth/token", data=form)


async def test_a_workload_gets_a_token_of_the_agent_that_it_is(tmp_path: Path) -> None:
    async with provider("RS256") as cluster, governed(tmp_path, cluster) as gateway:
        assertion = cluster.sign(cluster.claims(SUBJECT, audience=AUDIENCE))
        first, second = [await ask(gateway, assertion) for _ in range(2)]
        assert (first.status_code, second.status_code) == (200, 200)
        issued = gateway.entries("token.issue")
        assert [entry["actor"]["agent"] for entry in issued] == [AGENT, AGENT]
        assert assertion not in json.dumps(gateway.entries())


async def test_a_token_with_an_id_is_good_once_also_after_a_restart(tmp_path: Path) -> None:
    async with provider("ES256") as cluster:
        assertion = cluster.sign(cluster.claims(SUBJECT, audience=AUDIENCE, jti="one"))
        async with governed(tmp_path, cluster) as gateway:
            together = await asyncio.gather(*(ask(gateway, assertion) for _ in range(4)))
            assert sorted(each.status_code for each in together) == [200, 401, 401, 401]
        async with governed(tmp_path, cluster) as gateway:
            again = await ask(gateway, assertion)
            assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
            other = cluster.sign(cluster.claims(SUBJECT, audience=AUDIENCE, jti="two"))
            assert (await ask(gateway, other)).is_success


async def test_an_issuer_may_be_trusted_to_hand_out_tokens_for_a_while(tmp_path: Path) -> None:
    async with provider("ES256") as cluster, governed(tmp_path, cluster, reusable=True) as gateway:
        assertion = cluster.sign(cluster.claims(SUBJECT, audience=AUDIENCE, jti="one"))
        assert [(await ask(gateway, assertion)).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("token_id", [7, ["one"], None, {"one": 1}])
async def test_an_id_that_is_no_text_lets_nobody_in(tmp_path: Path, token_id: object) -> None:
    async with provider("ES256") as cluster, governed(tmp_path, cluster) as gateway:
        claims = cluster.claims(SUBJECT, audience=AUDIENCE, jti=token_id)
        assert (await ask(gateway, cluster.sign(claims))).status_code == 401


async def test_a_workload_is_not_another_client_besides(tmp_path: Path) -> None:
    async with provider("ES256") as cluster, governed(tmp_path, cluster) as gateway:
        assertion = cluster.sign(cluster.claims(SUBJECT, audience=AUDIENCE))
        assert (await ask(gateway, assertion, client_id=AGENT)).status_code == 200
        refused = await ask(gateway, assertion, client_id=AGENTS[1])
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


WRONG: list[Any] = [
    pytest.param(
        lambda c: c.claims("spiffe://acme.example/other", audience=AUDIENCE), id="subject"
    ),
    pytest.param(lambda c: c.claims(SUBJECT, audience="https://elsewhere.example"), id="audience"),
    pytest.param(lambda c: {**c.claims(SUBJECT, audience=AUDIENCE), "exp": 1}, id="expired"),
    pytest.param(lambda c: c.claims(AGENT, audience=AUDIENCE, iss=AGENT), id="as-if-its-own"),
]


@pytest.mark.parametrize("claims", WRONG)
async def test_a_token_that_is_not_right_gets_nothing(
    tmp_path: Path, claims: Callable[[Provider], dict[str, Any]]
) -> None:
    async with provider("ES256") as cluster, governed(tmp_path, cluster) as gateway:
        refused = await ask(gateway, cluster.sign(claims(cluster)))
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert gateway.entries("token.issue") == []
        assert gateway.refusals("oauth.invalid_client") == 1


async def test_a_forged_token_gets_nothing(tmp_path: Path) -> None:
    async with provider("ES256") as cluster, governed(tmp_path, cluster) as gateway:
        stranger = make_key("key-1", "ES256")
        claims = cluster.claims(SUBJECT, audience=AUDIENCE)
        refused = await ask(gateway, cluster.sign(claims, key=stranger))
        assert refused.json()["error"] == "invalid_client"


async def test_while_the_issuer_is_away_the_client_is_told_to_wait(tmp_path: Path) -> None:
    async with provider("ES256") as cluster, governed(tmp_path, cluster) as gateway:
        cluster.replaced[JWKS] = (500, {}, b"")
        assertion = cluster.sign(cluster.claims(SUBJECT, audience=AUDIENCE))
        told = await ask(gateway, assertion)
        assert (told.status_code, told.json()["error"]) == (503, "temporarily_unavailable")


async def test_a_workloads_token_is_no_access_token(tmp_path: Path) -> None:
    async with provider("ES256") as cluster, governed(tmp_path, cluster) as gateway:
        assertion = cluster.sign(cluster.claims(SUBJECT, audience=AUDIENCE))
        headers = {"authorization": f"Bearer {assertion}"}
        answered = await gateway.http.post(
            f"{gateway.url}/v1/tools/desk/pay", json={}, headers=headers
        )
        assert answered.status_code == 401
