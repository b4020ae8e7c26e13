"""Who asks for a token: known by a secret or a key, and nobody else."""

import asyncio

import httpx
import pytest

from gateway.identity import client_authentication
from gateway.identity.clients import Clients
from tests.gateway.identity.endpoints import (
    CLERK,
    GRANT,
    NOW,
    SCOUT,
    SECRET,
    World,
    asserted,
    granted,
    refused,
)
from tests.gateway.identity.signing import Key

# -- by a secret


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(None, id="none"),
        pytest.param(("clerk", "wrong"), id="wrong-secret"),
        pytest.param(("clerk", SECRET + "x"), id="longer-secret"),
        pytest.param(("nobody", SECRET), id="unknown-client"),
        pytest.param(("CLERK", SECRET), id="case"),
        pytest.param(("agent:clerk", SECRET), id="prefixed"),
        pytest.param(("../clerk", SECRET), id="path"),
        pytest.param(("' OR 1=1 --", SECRET), id="sql"),
    ],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
async def test_who_is_not_authenticated_gets_nothing(
    world: World, http: httpx.AsyncClient, auth: tuple[str, str] | None, path: str
) -> None:
    answer = await http.post(
        path, data=GRANT | {"token": "x"}, auth=auth or httpx.USE_CLIENT_DEFAULT
    )
    refused(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert world.entries == []
    ((source, code, detail),) = world.refusals
    assert (source, code) == ("10.0.0.7:41022", "oauth.invalid_client")
    assert "clerk" not in detail.lower()


async def test_an_unknown_client_and_a_wrong_secret_are_answered_alike(
    http: httpx.AsyncClient,
) -> None:
    wrong = await http.post("/oauth/token", data=GRANT, auth=("clerk", "x" * 40))
    unknown = await http.post("/oauth/token", data=GRANT, auth=("nobody", "x" * 40))
    assert wrong.content == unknown.content
    assert wrong.headers == unknown.headers


async def test_a_token_does_not_authenticate_a_client(http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    refused(await http.post("/oauth/token", data=GRANT, headers=headers), 401, "invalid_client")


async def test_an_assertion_is_no_authentication_here(http: httpx.AsyncClient) -> None:
    form = GRANT | {"client_id": "clerk", "client_assertion": "a.b.c"}
    refused(await http.post("/oauth/token", data=form), 401, "invalid_client")


async def test_guessing_a_secret_is_slowed_down_even_for_the_right_one(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(client_authentication.ATTEMPTS_PER_CLIENT):
        refused(
            await http.post("/oauth/token", data=GRANT, auth=("clerk", "wrong")),
            401,
            "invalid_client",
        )
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK)
    refused(answer, 429, "slow_down")
    assert answer.headers["retry-after"] == "60"
    assert world.refusals[-1][1] == "oauth.slow_down"
    # Others are not hindered, and neither is the client a minute later.
    await granted(http, SCOUT)
    world.now += 60
    await granted(http)


async def test_guesses_at_the_same_time_are_counted_too(
    world: World, http: httpx.AsyncClient
) -> None:
    guesses = [http.post("/oauth/token", data=GRANT, auth=("clerk", "wrong")) for _ in range(30)]
    statuses = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert statuses.count(401) == client_authentication.ATTEMPTS_PER_CLIENT
    assert statuses.count(429) == 30 - client_authentication.ATTEMPTS_PER_CLIENT


async def test_names_from_one_source_are_limited_together(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clients, "verify", lambda *_: None)  # the count, not the hashing
    limit = client_authentication.ATTEMPTS_PER_SOURCE
    answers = [
        await http.post("/oauth/token", data=GRANT, auth=(f"guess-{n}", "wrong"))
        for n in range(limit + 1)
    ]
    assert [answer.status_code for answer in answers] == [401] * limit + [429]


# -- by a key


@pytest.mark.parametrize("named", [{}, {"client_id": "keeper"}])
async def test_a_client_with_a_key_gets_a_token(
    world: World, http: httpx.AsyncClient, named: dict[str, str]
) -> None:
    answer = await http.post("/oauth/token", data=GRANT | asserted(world) | named)
    principal = world.tokens.check(answer.json()["access_token"].encode(), NOW)
    assert principal.agent == "keeper"
    assert world.kinds() == ["assertion.used", "session.open", "token.issue"]


async def test_a_client_with_a_key_asks_every_question(
    world: World, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/oauth/token", data=GRANT | asserted(world))
    token = answer.json()["access_token"]
    answer = await http.post("/oauth/introspect", data={"token": token} | asserted(world))
    assert answer.json()["client_id"] == "keeper"
    await http.post("/oauth/revoke", data={"token": token} | asserted(world))
    answer = await http.post("/oauth/introspect", data={"token": token} | asserted(world))
    assert answer.json() == {"active": False}


async def test_an_assertion_with_another_key_is_no_authentication(
    world: World, http: httpx.AsyncClient
) -> None:
    form = GRANT | asserted(world, Key.ed25519())
    refused(await http.post("/oauth/token", data=form), 401, "invalid_client")
    assert world.entries == []


async def test_an_assertion_beside_another_client_id_is_no_authentication(
    world: World, http: httpx.AsyncClient
) -> None:
    form = GRANT | asserted(world) | {"client_id": "clerk"}
    refused(await http.post("/oauth/token", data=form), 401, "invalid_client")
    assert "token.issue" not in world.kinds()


async def test_a_client_with_a_key_has_no_secret(http: httpx.AsyncClient) -> None:
    for secret in (SECRET, "", "x" * 40):
        answer = await http.post("/oauth/token", data=GRANT, auth=("keeper", secret))
        refused(answer, 401, "invalid_client")
