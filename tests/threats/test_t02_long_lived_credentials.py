"""T2: tokens live minutes, are bound to one session, and are worth nothing a second later."""

from pathlib import Path

import pytest

from gateway.identity.secret_hash import SecretHash
from tests.harness.agent import WAYS
from tests.harness.gateway import running
from tests.harness.policy import AGENTS, DESK
from tests.harness.upstream import desk

SECRET = "a-secret-of-thirty-two-characters"
TTL_S, MAX_TTL_S, SKEW_S = 900, 3600, 10


@pytest.mark.parametrize("way", WAYS)
async def test_a_second_after_its_end_and_the_skew_a_token_is_refused(
    tmp_path: Path, way: str
) -> None:
    settings = {"identity": {"tokens": {"skew": f"{SKEW_S}s"}}}
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        clerk = await gateway.agent(way=way)
        gateway.clock.pass_s(TTL_S + SKEW_S - 5)
        assert (await clerk.call("desk.look")).done
        upstream.forget()
        gateway.clock.pass_s(5 + 1)
        refused = await clerk.call("desk.look")
        assert refused.http == 401
        assert upstream.calls == []
        assert gateway.refusals("auth.expired") == 1


async def test_a_client_that_asks_for_more_than_the_longest_life_gets_the_longest(
    tmp_path: Path,
) -> None:
    client = {"secret_hash": str(SecretHash.of(SECRET, bytes(16)))}
    identity = {"tokens": {"skew": "0s"}, "clients": {AGENTS[0]: client}}
    async with running(tmp_path, settings={"identity": identity}) as gateway:
        form = {"grant_type": "client_credentials", "requested_lifetime": "999999999"}
        url, who = f"{gateway.url}/oauth/token", (AGENTS[0], SECRET)
        answered = await gateway.http.post(url, data=form, auth=who)
        assert answered.json()["expires_in"] == MAX_TTL_S
        usual = await gateway.http.post(url, data={"grant_type": "client_credentials"}, auth=who)
        assert usual.json()["expires_in"] == TTL_S


async def test_an_operator_cannot_give_a_longer_one_either(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        wanted = {"agent": AGENTS[0], "ttl_s": 10**9}
        issued = (await gateway.operate("POST", "/api/tokens", wanted)).json()
        assert issued["expires_in"] == MAX_TTL_S
        (entry,) = gateway.entries("token.issue")
        assert entry["exp"] - entry["iat"] == MAX_TTL_S


async def test_a_token_may_be_narrower_than_the_policy(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}) as gateway,
    ):
        narrow = await gateway.agent(tools=["desk.look"])
        assert (await narrow.call("desk.look")).done
        upstream.forget()
        assert not (await narrow.call("desk.pay", amount=40, to="paper")).done
        assert upstream.calls == []
