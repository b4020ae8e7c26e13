"""Handing work on by consent: where the policy leaves it to the person whose work it is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.harness.agent import Agent
from tests.harness.browser import Browser, browser
from tests.harness.client import Client, registered
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.provider import Provider, provider
from tests.harness.upstream import Desk, desk

POLICY = (
    DESK
    + """\
delegation:
  max_hops: 2
  edges:
    - {id: freely, from: clerk-1, to: clerk-2, tools: [desk.look]}
    - {id: asks, from: clerk-1, to: clerk-2, tools: [desk.pay], consent: required}
    - {id: asks-too, from: clerk-1, to: clerk-3, tools: [desk.look], consent: required}
"""
)
PAGE = "/oauth/delegation/start?from=clerk-1&to=clerk-3"


@dataclass
class Scene:
    gateway: Running
    corp: Provider
    ana: Browser

    async def work(self, user: str | None = "corp:ana") -> Agent:
        return await self.gateway.agent("clerk-1", user=user)

    async def hand_on(self, work: Agent, to: str = "clerk-3") -> httpx.Response:
        return await Client(self.gateway, to).exchange(work.token)

    async def asked(self, page: str = PAGE) -> httpx.Response:
        return await self.ana.open(f"{self.gateway.url}{page}")

    async def agree(self, page: str = PAGE) -> None:
        answered = await self.ana.post(await self.asked(page))
        assert "Agreed" in answered.text, answered.text


@pytest.fixture
async def upstream() -> AsyncIterator[Desk]:
    async with desk() as made:
        yield made


@pytest.fixture
async def scene(tmp_path: Path, upstream: Desk) -> AsyncIterator[Scene]:
    made = registered(tmp_path / "clients", ["clerk-2", "clerk-3"])
    async with provider() as corp, browser() as ana:
        corp.client = "passavant"
        oidc = {"issuer": corp.url, "audience": "passavant"}
        made["identity"]["users"] = {"corp": {"oidc": oidc}}
        async with running(tmp_path, POLICY, {"desk": upstream}, settings=made) as gateway:
            yield Scene(gateway, corp, ana)


def code(scene: Scene) -> str:
    return str(scene.gateway.entries("refusal")[-1]["code"])


async def test_without_consent_the_work_is_not_handed_on_and_the_page_is_named(
    scene: Scene,
) -> None:
    answered = await scene.hand_on(await scene.work())
    assert answered.status_code == 400
    assert PAGE in answered.json()["error_description"]
    assert code(scene) == "delegation.consent"


async def test_with_consent_it_is(scene: Scene) -> None:
    await scene.agree()
    [given] = scene.gateway.entries("consent.given")
    assert given["actor"] == {"agent": "clerk-3", "sub": "corp:ana", "chain": []}
    assert (given["client"], given["scope"]) == ("agent:clerk-1", "desk.look")
    received = await Client(scene.gateway, "clerk-3").receive(await scene.work())
    assert (await received.call("desk.look", at="x")).done


async def test_a_consent_is_about_that_person_alone(scene: Scene) -> None:
    await scene.agree()
    for user in (None, "corp:bo"):
        assert (await scene.hand_on(await scene.work(user))).status_code == 400
        assert code(scene) == "delegation.consent"


async def test_a_no_changes_nothing(scene: Scene) -> None:
    answered = await scene.ana.post(await scene.asked(), {"answer": "deny"})
    assert "stays as it was" in answered.text
    assert scene.gateway.entries("consent.given") == []


async def test_what_the_policy_lends_by_itself_takes_no_consent(
    scene: Scene, upstream: Desk
) -> None:
    received = await Client(scene.gateway, "clerk-2").receive(await scene.work())
    assert (await received.call("desk.look", at="x")).done
    assert not (await received.call("desk.pay", amount=40, to="paper")).done
    assert upstream.paid == []
    await scene.agree("/oauth/delegation/start?from=clerk-1&to=clerk-2")
    received = await Client(scene.gateway, "clerk-2").receive(await scene.work())
    assert (await received.call("desk.pay", amount=40, to="paper")).done


async def test_another_list_of_tools_is_another_question(scene: Scene) -> None:
    await scene.agree()
    wider = POLICY.replace("to: clerk-3, tools: [desk.look]", "to: clerk-3, tools: [desk.open]")
    assert (await scene.gateway.apply(wider)).is_success
    assert (await scene.hand_on(await scene.work())).status_code == 400
    assert code(scene) == "delegation.consent"


async def test_a_consent_that_is_withdrawn_ends_what_was_handed_on(scene: Scene) -> None:
    await scene.agree()
    work = await scene.work()
    received = await Client(scene.gateway, "clerk-3").receive(work)
    [shown] = (await scene.gateway.operate("GET", "/api/consents")).json()
    body = {"consent": shown["consent"]}
    await scene.gateway.operate("POST", "/api/consents/withdraw", body)
    assert (await received.call("desk.look", at="x")).http == 401
    assert (await work.call("desk.look", at="x")).done, "its own is not ended"
    assert (await scene.hand_on(await scene.work())).status_code == 400


@pytest.mark.parametrize(
    "page",
    [
        "/oauth/delegation/start",
        "/oauth/delegation/start?from=clerk-1",
        "/oauth/delegation/start?from=clerk-3&to=clerk-1",
        "/oauth/delegation/start?from=clerk-1&to=clerk-4",
        "/oauth/delegation/start?from=clerk-1&to=%3Cscript%3E",
    ],
)
async def test_nobody_is_asked_about_what_the_policy_does_not_leave_to_them(
    page: str, scene: Scene
) -> None:
    answered = await scene.asked(page)
    assert answered.status_code == 400
    assert scene.corp.asked == []


async def test_an_agent_agrees_to_nothing(scene: Scene) -> None:
    work = await scene.work()
    for path in ("/oauth/delegation/consent", "/oauth/delegation/start"):
        assert (await work.post(b"answer=allow", path=path)).http in {400, 403, 405}
    assert scene.gateway.entries("consent.given") == []


async def test_a_form_agrees_once_and_not_from_elsewhere(scene: Scene) -> None:
    page = await scene.asked()
    assert (await scene.ana.post(page, origin="https://evil.example")).status_code == 403
    assert (await scene.ana.post(page)).is_success
    assert (await scene.ana.post(page)).status_code == 400
