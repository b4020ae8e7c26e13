"""T32: who sends a delegation is who authenticates, and each one is good once and for a while."""

import pytest

from tests.gateway.identity.signing import Key
from tests.harness.client import Client, key_of
from tests.harness.gateway import Clock, Running
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOCK = Clock()
CLIENTS = ("ada", "bo", "cy")
POLICY = (
    HEAD.replace(
        "agents:\n",
        "agents:\n  ada: {roles: [reader]}\n  bo: {roles: [reader]}\n  cy: {roles: [reader]}\n",
        1,
    )
    + """\
tools:
  desk.look: {risk: read, emits: []}
rules:
  - {id: looks, roles: [reader], tools: [desk.look], effect: allow}
delegation:
  edges:
    - {id: ada-bo, from: ada, to: bo, tools: [desk.look]}
"""
)


async def test_t32_an_accepted_delegation_is_the_one_that_is_meant(
    gateway: Running, upstream: Desk
) -> None:
    bo = await Client(gateway, "bo").receive(await Client(gateway, "ada").begin())
    assert (await bo.call("desk.look")).done


@pytest.mark.parametrize("way", ["their-assertion-forged", "their-name-beside", "no-proof"])
async def test_t32_nobody_receives_in_anothers_name(
    gateway: Running, upstream: Desk, way: str
) -> None:
    ada = await Client(gateway, "ada").begin()
    bo, cy = Client(gateway, "bo"), Client(gateway, "cy")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": str(ada.token),
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "requested_actor": "bo",
    }
    before = gateway.size
    proof = {
        "their-assertion-forged": bo.assertion(key_of("cy")),
        "their-name-beside": cy.assertion() | {"client_id": "bo"},
        "no-proof": {"client_id": "bo"},
    }[way]
    answered = await gateway.http.post(f"{gateway.url}/oauth/token", data=form | proof)
    assert (answered.status_code, answered.json()["error"]) == (401, "invalid_client")
    assert gateway.entries("token.issue", since=before) == []


async def test_t32_a_name_in_the_message_is_not_looked_at(gateway: Running, upstream: Desk) -> None:
    ada = await Client(gateway, "ada").begin()
    before = gateway.size
    answered = await Client(gateway, "cy").exchange(ada.token, actor="bo", requested_actor="bo")
    assert not answered.is_success
    (refusal,) = gateway.entries("refusal", since=before)
    assert (refusal["code"], refusal["actor"]["agent"]) == ("delegation.edge", "cy")


async def test_t32_an_actor_token_of_another_is_not_the_senders(
    gateway: Running, upstream: Desk
) -> None:
    ada, bo = await Client(gateway, "ada").begin(), await Client(gateway, "bo").begin()
    before = gateway.size
    answered = await Client(gateway, "bo").exchange(ada.token, actor_token=str(ada.token))
    assert not answered.is_success
    answered = await Client(gateway, "cy").exchange(ada.token, actor_token=str(bo.token))
    assert not answered.is_success
    codes = [body["code"] for body in gateway.entries("refusal", since=before)]
    assert codes == ["delegation.actor", "delegation.actor"]


async def test_t32_the_same_delegation_twice_is_refused(gateway: Running, upstream: Desk) -> None:
    ada, bo = await Client(gateway, "ada").begin(), Client(gateway, "bo")
    await bo.receive(ada)
    before = gateway.size
    answered = await bo.exchange(ada.token)
    assert answered.json()["error"] == "invalid_request"
    (refusal,) = gateway.entries("refusal", since=before)
    assert refusal["code"] == "delegation.reused"
    assert refusal["actor"] == {"agent": "bo", "sub": None, "chain": ["ada"]}


async def test_t32_a_whole_message_that_was_overheard_is_refused(
    gateway: Running, upstream: Desk
) -> None:
    ada, bo = await Client(gateway, "ada").begin(), Client(gateway, "bo")
    form = bo.assertion() | {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": str(ada.token),
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    answers = [await gateway.http.post(f"{gateway.url}/oauth/token", data=form) for _ in range(2)]
    assert [answered.status_code for answered in answers] == [200, 401]


async def test_t32_a_delegation_that_is_over_is_refused(gateway: Running, upstream: Desk) -> None:
    ada, bo = await Client(gateway, "ada").begin(requested_lifetime="60"), Client(gateway, "bo")
    gateway.clock.pass_s(61)
    before = gateway.size
    assert not (await bo.exchange(ada.token)).is_success
    codes = [body["code"] for body in gateway.entries("refusal", since=before)]
    assert codes == ["delegation.subject"]


async def test_t32_what_was_handed_on_ends_with_what_it_came_from(
    gateway: Running, upstream: Desk
) -> None:
    ada, bo = await Client(gateway, "ada").begin(requested_lifetime="60"), Client(gateway, "bo")
    helper = await bo.receive(ada, requested_lifetime="3600")
    assert (await helper.call("desk.look")).done
    gateway.clock.pass_s(61)
    assert (await helper.call("desk.look")).code == "auth.expired"
    assert not (await bo.exchange(helper.token)).is_success
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("text", ["", "a.b.c", "forged"])
async def test_t32_a_forged_token_hands_nothing_on(
    gateway: Running, upstream: Desk, text: str
) -> None:
    ada = await Client(gateway, "ada").begin()
    assert ada.token is not None
    header, claims, _ = ada.token.split(".")
    forged = Key.ed25519().signature(f"{header}.{claims}".encode()).hex()
    token = f"{header}.{claims}.{forged}" if text == "forged" else text
    before = gateway.size
    answered = await Client(gateway, "bo").exchange(token)
    assert answered.json()["error"] == "invalid_request"
    assert gateway.entries("token.issue", since=before) == []
