"""Renewed tokens: the same session, never wider; and those that are bound to a key."""

from dataclasses import replace

import httpx
import pytest

from gateway.principal import Principal
from tests.gateway.identity.endpoints import (
    ACCESS,
    CLERK,
    GRANT,
    KEEPER,
    MAX_TTL,
    NOW,
    SCOUT,
    SESSION,
    SKEW,
    TTL,
    URL,
    Session,
    World,
    granted,
    proof,
    refused,
    renewal,
)
from tests.gateway.identity.signing import Key

# -- renewal


async def test_a_renewed_token_keeps_its_session(world: World, http: httpx.AsyncClient) -> None:
    first = await granted(http, scope="git.* ledger.pay")
    world.now += 600
    answer = await http.post("/oauth/token", data=renewal(first["access_token"]), auth=CLERK)
    members = answer.json()
    assert members["issued_token_type"] == ACCESS
    assert (members["expires_in"], members["scope"]) == (TTL, "git.* ledger.pay")
    old = world.tokens.check(first["access_token"].encode(), world.now)
    new = world.tokens.check(members["access_token"].encode(), world.now)
    assert new == replace(old, token_id=new.token_id, issued=world.now, expires=world.now + TTL)
    assert new.token_id != old.token_id
    kind, entry = world.entries[-1]
    assert (kind, entry["renews"], entry["session"]) == ("token.issue", old.token_id, old.session)
    assert world.kinds().count("session.open") == 1


async def test_a_token_that_just_ended_is_renewed_and_an_older_one_is_not(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    world.now = NOW + 2 * TTL - 1
    assert (await http.post("/oauth/token", data=renewal(token), auth=CLERK)).status_code == 200
    world.now = NOW + 2 * TTL
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 400, "invalid_request")


async def test_renewal_narrows_and_never_widens(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, scope="git.*"))["access_token"]
    for asked, given in (("git.log", "git.log"), ("*", "git.*"), ("git.* ledger.pay", "git.*")):
        answer = await http.post("/oauth/token", data=renewal(token, scope=asked), auth=CLERK)
        assert answer.json()["scope"] == given
    answer = await http.post("/oauth/token", data=renewal(token, scope="ledger.pay"), auth=CLERK)
    refused(answer, 400, "invalid_scope")


async def test_no_token_outlives_its_session(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, requested_lifetime="3600"))["access_token"]
    (session,) = world.sessions.values()
    left = SESSION
    while left > MAX_TTL:
        world.now += MAX_TTL - 1
        left = session.ends - world.now
        form = renewal(token, requested_lifetime="3600")
        answer = await http.post("/oauth/token", data=form, auth=CLERK)
        token = answer.json()["access_token"]
        assert answer.json()["expires_in"] == min(MAX_TTL, left)
    assert world.tokens.check(token.encode(), world.now).expires == session.ends
    world.now = session.ends
    refused(await http.post("/oauth/token", data=renewal(token), auth=CLERK), 400, "invalid_grant")


async def test_an_ended_session_is_not_renewed(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    world.sessions.clear()
    refused(await http.post("/oauth/token", data=renewal(token), auth=CLERK), 400, "invalid_grant")


async def test_a_revoked_token_is_not_renewed(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 400, "invalid_request")


async def test_another_clients_token_is_not_renewed(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, CLERK))["access_token"]
    answer = await http.post("/oauth/token", data=renewal(token), auth=SCOUT)
    refused(answer, 400, "invalid_request")


async def test_a_renewed_token_keeps_the_user_it_acts_for(
    world: World, http: httpx.AsyncClient, clerk: Principal
) -> None:
    world.sessions[clerk.session] = Session(clerk.session, "clerk", "ana", NOW + SESSION)
    answer = await http.post("/oauth/token", data=renewal(world.issuer.issue(clerk)), auth=CLERK)
    new = world.tokens.check(answer.json()["access_token"].encode(), NOW)
    assert (new.user, new.user_groups) == (clerk.user, clerk.user_groups)


async def test_a_delegated_token_is_not_renewed(
    world: World, http: httpx.AsyncClient, clerk: Principal
) -> None:
    world.sessions[clerk.session] = Session(clerk.session, "clerk", "ana", NOW + SESSION)
    token = world.issuer.issue(replace(clerk, chain=("front",)))
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"subject_token": ""}, id="no-subject"),
        pytest.param({"subject_token": "a.b.c"}, id="garbage"),
        pytest.param({"subject_token": "pvo_" + "A" * 43}, id="operator-key"),
        pytest.param({"subject_token": "\u00e9"}, id="not-ascii"),
        pytest.param({"subject_token_type": ""}, id="no-type"),
        pytest.param(
            {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, id="id-token"
        ),
        pytest.param(
            {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            id="refresh-token",
        ),
        pytest.param({"actor_token": "a.b.c"}, id="actor-token"),
        pytest.param({"requested_lifetime": "0"}, id="lifetime"),
    ],
)
async def test_an_exchange_of_something_else_is_refused(
    world: World, http: httpx.AsyncClient, change: dict[str, str]
) -> None:
    token = (await granted(http))["access_token"]
    before = len(world.entries)
    answer = await http.post("/oauth/token", data=renewal(token) | change, auth=CLERK)
    refused(answer, 400, "invalid_request")
    assert len(world.entries) == before


async def test_a_renewal_that_cannot_be_recorded_is_refused(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    world.full_disk = True
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 503, "temporarily_unavailable")


# -- tokens bound to a key


@pytest.mark.parametrize("key", [KEEPER, Key.p256()], ids=["EdDSA", "ES256"])
async def test_a_client_that_proves_a_key_gets_a_token_bound_to_it(
    world: World, http: httpx.AsyncClient, key: Key
) -> None:
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=proof(world, key))
    members = answer.json()
    principal = world.tokens.check(members["access_token"].encode(), NOW)
    assert (members["token_type"], principal.bound_to) == ("DPoP", key.public.thumbprint)
    assert world.entries[-1][1]["bound_to"] == key.public.thumbprint
    assert answer.headers["dpop-nonce"] == world.proofs.nonce(NOW)
    form = {"token": members["access_token"]}
    told = (await http.post("/oauth/introspect", data=form, auth=CLERK)).json()
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": key.public.thumbprint})


async def test_a_proof_without_a_nonce_is_answered_with_one(
    world: World, http: httpx.AsyncClient
) -> None:
    headers = proof(world, KEEPER, nonce="x")
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    refused(answer, 400, "use_dpop_nonce")
    headers = proof(world, KEEPER, nonce=answer.headers["dpop-nonce"])
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"htm": "GET"}, id="other-method"),
        pytest.param({"htu": f"{URL}/oauth/revoke"}, id="other-endpoint"),
        pytest.param({"htu": f"{URL}/oauth/token?"}, id="with-a-query"),
        pytest.param({"ath": "A" * 43}, id="about-a-token"),
        pytest.param({"iat": NOW - 61 - SKEW}, id="old"),
    ],
)
async def test_a_proof_of_something_else_binds_no_token(
    world: World, http: httpx.AsyncClient, changes: dict[str, object]
) -> None:
    headers = proof(world, KEEPER, **changes)
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    refused(answer, 400, "invalid_dpop_proof")
    assert "dpop-nonce" not in answer.headers
    assert world.entries == []


async def test_a_proof_is_good_for_one_token(world: World, http: httpx.AsyncClient) -> None:
    headers = proof(world, KEEPER)
    assert (
        await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    ).status_code == 200
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    refused(answer, 400, "invalid_dpop_proof")


async def test_a_proof_is_no_client_authentication(world: World, http: httpx.AsyncClient) -> None:
    form = GRANT | {"client_id": "keeper"}
    answer = await http.post("/oauth/token", data=form, headers=proof(world, KEEPER))
    refused(answer, 401, "invalid_client")


async def test_renewal_keeps_the_key_that_a_token_is_bound_to(
    world: World, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=proof(world, KEEPER))
    form = renewal(answer.json()["access_token"])
    for headers in ({}, proof(world, Key.ed25519())):
        answer = await http.post("/oauth/token", data=form, auth=CLERK, headers=headers)
        refused(answer, 400, "invalid_dpop_proof")
    answer = await http.post("/oauth/token", data=form, auth=CLERK, headers=proof(world, KEEPER))
    assert answer.json()["token_type"] == "DPoP"


async def test_renewal_may_bind_a_token_that_was_not(world: World, http: httpx.AsyncClient) -> None:
    form = renewal((await granted(http))["access_token"])
    answer = await http.post("/oauth/token", data=form, auth=CLERK, headers=proof(world, KEEPER))
    principal = world.tokens.check(answer.json()["access_token"].encode(), NOW)
    assert principal.bound_to == KEEPER.public.thumbprint
