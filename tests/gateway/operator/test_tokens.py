"""Tokens from operators: for whom they may speak, with which purpose, and never past a chain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gateway.surroundings import Mode
from tests.gateway.identity.signing import Key
from tests.harness.agent import Agent
from tests.harness.client import Client, Holder, registered
from tests.harness.gateway import Running, running
from tests.harness.policy import HEAD
from tests.harness.provider import Provider, provider
from tests.harness.upstream import desk

AUDIENCE = "passavant"

POLICY = (
    HEAD.replace("agents:\n", "agents:\n  ada: {roles: [reader]}\n  bo: {roles: [reader]}\n", 1)
    + """\
tools:
  desk.look: {risk: read, emits: []}
  desk.open: {risk: read, emits: []}
rules:
  - {id: looks, roles: [reader], tools: [desk.look], effect: allow}
  - id: opens
    roles: [reader]
    tools: [desk.open]
    effect: allow
    when: "session.purpose.contains('report')"
delegation:
  edges:
    - {id: ada-bo, from: ada, to: bo, tools: [desk.look]}
"""
)


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    settings = registered(tmp_path / "clients", ["ada", "bo"])
    async with (
        desk() as upstream,
        running(tmp_path, POLICY, {"desk": upstream}, settings=settings) as gateway,
    ):
        yield gateway


async def test_a_purpose_bounds_the_session_and_is_read_by_rules(gateway: Running) -> None:
    agent = await gateway.agent("ada", purpose="Find the report.", purpose_tools=["desk.open"])
    assert (await agent.call("desk.open", path="/x")).done
    answered = await agent.call("desk.look")
    assert gateway.entry(answered.entry)["decision"]["rules"] == ["purpose"]
    without = await gateway.agent("ada")
    assert (await without.call("desk.look")).done
    assert (await without.call("desk.open", path="/x")).code == "policy.denied"
    assert "report" not in str(gateway.entries())


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"purpose": ""}, id="no-words"),
        pytest.param({"purpose_tools": ["desk.look"]}, id="tools-alone"),
        pytest.param({"purpose": "x", "purpose_tools": ["desk"]}, id="no-tools"),
        pytest.param({"purpose": "x\u202ey"}, id="hidden"),
        pytest.param({"purpose": 7}, id="number"),
    ],
)
async def test_what_is_no_purpose_opens_nothing(gateway: Running, wanted: dict[str, Any]) -> None:
    body = {"agent": "ada", **wanted}
    answered = await gateway.operate("POST", "/api/tokens", body, check=False)
    assert 400 <= answered.status_code < 500
    assert gateway.entries("session.open") == []


async def test_a_session_that_is_open_is_given_no_purpose(gateway: Running) -> None:
    agent = await gateway.agent("ada")
    body = {"agent": "ada", "session": agent.session, "purpose": "Find the report."}
    answered = await gateway.operate("POST", "/api/tokens", body, check=False)
    assert (answered.status_code, answered.json()["code"]) == (400, "operator.body")


async def test_work_that_was_handed_on_is_not_done_without_its_chain(gateway: Running) -> None:
    bo = await Client(gateway, "bo").receive(await Client(gateway, "ada").begin())
    body = {"agent": "bo", "session": bo.session}
    answered = await gateway.operate("POST", "/api/tokens", body, check=False)
    assert (answered.status_code, answered.json()["code"]) == (400, "operator.body")


# -- for users -------------------------------------------------------------------------------


@asynccontextmanager
async def trusting(folder: Path, corp: Provider, *, mode: Mode = "serve") -> AsyncIterator[Running]:
    users = {"corp": {"oidc": {"issuer": corp.url, "audience": AUDIENCE}}}
    settings = {"identity": {"tokens": {"skew": "0s"}, "users": users}}
    async with (
        desk() as upstream,
        running(folder, POLICY, {"desk": upstream}, settings=settings, mode=mode) as gateway,
    ):
        yield gateway


@pytest_asyncio.fixture
async def corp() -> AsyncIterator[Provider]:
    async with provider("ES256") as found:
        yield found


def token_of(corp: Provider, subject: str = "ana", **more: object) -> str:
    return corp.sign({**corp.claims(subject, audience=AUDIENCE), **more})


async def ask(gateway: Running, **wanted: object) -> httpx.Response:
    body = {"agent": "ada", **wanted}
    return await gateway.operate("POST", "/api/tokens", body, check=False)


async def test_with_a_users_own_token_an_operator_speaks_for_them(
    tmp_path: Path, corp: Provider
) -> None:
    async with trusting(tmp_path, corp) as gateway:
        shown = token_of(corp, groups=["staff"])
        answered = await ask(gateway, user="corp:ana", user_token=shown)
        assert answered.is_success, answered.text
        (issued,) = gateway.entries("token.issue")
        assert issued["actor"] == {"agent": "ada", "chain": [], "sub": "corp:ana"}
        assert (issued["by"], issued["groups"]) == ("operator:adam", ["oidc:group/staff"])
        assert answered.json()["expires_in"] <= 300, "not longer than the user's own"
        assert shown not in str(gateway.entries())


@pytest.mark.parametrize(
    ("wanted", "claims"),
    [
        pytest.param({"user": "corp:ana"}, None, id="nothing-shown"),
        pytest.param({"user": "corp:bob"}, {}, id="anothers"),
        pytest.param({"user": "ana"}, {}, id="a-name-without-its-issuer"),
        pytest.param({"user": "corp:Ana"}, {}, id="other-case"),
        pytest.param({}, {"exp": 7}, id="ended"),
        pytest.param({}, {"aud": "another"}, id="made-for-another"),
        pytest.param({}, {"iss": "https://evil.example"}, id="of-a-stranger"),
        pytest.param({}, {"sub": ""}, id="about-nobody"),
        pytest.param({"user_token": ""}, None, id="empty"),
        pytest.param({"user_token": "a.b.c"}, None, id="garbage"),
    ],
)
async def test_nobody_is_spoken_for_with_anything_else(
    tmp_path: Path, corp: Provider, wanted: dict[str, object], claims: dict[str, object] | None
) -> None:
    shown = {} if claims is None else {"user_token": token_of(corp, "ana", **claims)}
    async with trusting(tmp_path, corp) as gateway:
        refused = await ask(gateway, **shown, **wanted)
        assert (refused.status_code, refused.json()["code"]) == (403, "operator.user")
        assert gateway.entries("session.open") == gateway.entries("token.issue") == []


async def test_a_token_of_this_gateway_is_no_users_own(tmp_path: Path, corp: Provider) -> None:
    async with trusting(tmp_path, corp) as gateway:
        theirs = await gateway.agent("ada", user="corp:ana")
        refused = await ask(gateway, user="corp:ana", user_token=theirs.token)
        assert (refused.status_code, refused.json()["code"]) == (403, "operator.user")


async def test_a_users_token_is_good_once_here_as_elsewhere(tmp_path: Path, corp: Provider) -> None:
    async with trusting(tmp_path, corp) as gateway:
        shown = token_of(corp)
        together = await asyncio.gather(*(ask(gateway, user_token=shown) for _ in range(3)))
        assert sorted(each.status_code for each in together) == [200, 403, 403]
        assert len(gateway.entries("token.issue")) == 1


async def test_a_session_of_a_user_goes_on_with_a_token_of_the_same_user(
    tmp_path: Path, corp: Provider
) -> None:
    async with trusting(tmp_path, corp) as gateway:
        begun = (await ask(gateway, user_token=token_of(corp))).json()["session"]
        for subject, status in (("bob", 404), ("ana", 200)):
            shown = token_of(corp, subject, jti="again")
            assert (await ask(gateway, session=begun, user_token=shown)).status_code == status
        assert (await ask(gateway, session=begun)).status_code == 404


async def test_in_development_a_user_is_named(tmp_path: Path, corp: Provider) -> None:
    async with trusting(tmp_path, corp, mode="dev") as gateway:
        assert (await ask(gateway, user="ana")).is_success
        assert (await ask(gateway, user="corp:bob", user_token=token_of(corp))).status_code == 403


# -- bound to a key --------------------------------------------------------------------------


async def test_a_token_can_be_bound_to_the_agents_key(gateway: Running) -> None:
    holder, other = Holder(gateway, Key.ed25519()), Holder(gateway, Key.ed25519())
    issued = (await ask(gateway, bound_to=holder.key.public.thumbprint)).json()
    assert issued["token_type"] == "DPoP"
    (entry,) = gateway.entries("token.issue")
    assert entry["bound_to"] == holder.key.public.thumbprint
    agent = Agent(gateway.http, gateway.url, issued["access_token"], "ada", issued["session"])
    assert (await agent.call("desk.look")).code == "auth.proof"
    for each, done in ((other, False), (holder, True)):
        await each.call(agent, "desk.look")  # for a nonce
        assert (await each.call(agent, "desk.look")).done is done


@pytest.mark.parametrize("thumbprint", ["", "x" * 42, "x" * 44, "x" * 42 + "\n", "é" * 43, 7])
async def test_what_is_no_thumbprint_binds_nothing(gateway: Running, thumbprint: object) -> None:
    refused = await ask(gateway, bound_to=thumbprint)
    assert (refused.status_code, refused.json()["code"]) == (400, "operator.body")
    assert gateway.entries("session.open") == []
