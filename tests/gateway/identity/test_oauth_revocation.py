"""Tokens are withdrawn and looked at by those whose they are."""

import httpx
import pytest

from gateway.identity.errors import AuthError
from tests.gateway.identity.endpoints import (
    CLERK,
    NOW,
    SCOUT,
    SKEW,
    TTL,
    URL,
    World,
    granted,
    refused,
)


async def test_a_revoked_token_is_refused_at_the_next_call(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    principal = world.tokens.check(token.encode(), NOW)
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    assert answer.status_code == 200
    with pytest.raises(AuthError) as gone:
        world.tokens.check(token.encode(), NOW)
    assert gone.value.code == "auth.revoked"
    kind, entry = world.entries[-1]
    assert (kind, entry["jti"], entry["until"]) == (
        "token.revoke",
        principal.token_id,
        NOW + 2 * TTL,
    )


async def test_a_token_that_cannot_be_revoked_is_not_said_to_be(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    world.full_disk = True
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    refused(answer, 503, "temporarily_unavailable")
    world.tokens.check(token.encode(), NOW)


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "pvo_" + "A" * 43, "\u00e9\ud7ff"])
async def test_revoking_what_is_no_token_changes_nothing(
    world: World, http: httpx.AsyncClient, token: str
) -> None:
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    assert (answer.status_code, world.entries) == (200, [])


async def test_another_clients_token_is_not_revoked(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, CLERK))["access_token"]
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=SCOUT)
    refused(answer, 400, "invalid_grant")
    world.tokens.check(token.encode(), NOW)


async def test_revoking_twice_is_recorded_once(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    for _ in range(2):
        answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
        assert answer.status_code == 200
    assert world.kinds().count("token.revoke") == 1


async def test_a_client_may_look_at_its_own_token(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, scope="git.log"))["access_token"]
    answer = await http.post("/oauth/introspect", data={"token": token}, auth=CLERK)
    principal = world.tokens.check(token.encode(), NOW)
    assert answer.json() == {
        "active": True,
        "token_type": "Bearer",
        "iss": URL,
        "aud": URL,
        "sub": "agent:clerk",
        "client_id": "clerk",
        "act": {"sub": "agent:clerk"},
        "sid": principal.session,
        "scope": "git.log",
        "hops": 1,
        "jti": principal.token_id,
        "iat": NOW,
        "exp": NOW + TTL,
    }


@pytest.mark.parametrize("case", ["another's", "expired", "revoked", "session-over", "garbage"])
async def test_every_other_token_looks_alike(
    world: World, http: httpx.AsyncClient, case: str
) -> None:
    token = (await granted(http))["access_token"]
    auth = CLERK
    match case:
        case "another's":
            auth = SCOUT
        case "expired":
            world.now += TTL + SKEW
        case "revoked":
            await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
        case "session-over":
            world.sessions.clear()
        case _:
            token = token[:-6] + "AAAAAA"
    answer = await http.post("/oauth/introspect", data={"token": token}, auth=auth)
    assert (answer.status_code, answer.json()) == (200, {"active": False})


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
async def test_a_question_about_no_token_is_refused(http: httpx.AsyncClient, path: str) -> None:
    refused(await http.post(path, data={"other": "x"}, auth=CLERK), 400, "invalid_request")
