"""Answers that passkeys sign, with authenticators that Chromium plays (CDP, domain WebAuthn)."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, CDPSession, expect

from tests.harness.agent import Agent
from tests.harness.chromium import Window, window
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = DESK.replace(
    "  one-person: {from: people, quorum: 1, expires: 30m, not: [requester]}\n",
    """\
  one-person: {from: people, quorum: 1, expires: 30m, not: [requester], passkey: required}
  two-people: {from: people, quorum: 2, expires: 30m, not: [requester], passkey: required}
""",
).replace(
    "tools: [desk.pay]\n    effect: ask\n    approval: one-person",
    "tools: [desk.pay]\n    effect: ask\n    approval: two-people",
)

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}

Signer = tuple[Window, CDPSession, str]
"""A window, and the device in it."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def omar_signs(browser: Browser, shared: tuple[Running, Desk]) -> AsyncIterator[Signer]:
    """Somebody who has a passkey in their browser."""
    async with window(browser, shared[0], "omar") as found:
        yield found, *await give_passkey(found)


@pytest.fixture
def omar(omar_signs: Signer) -> Window:
    return omar_signs[0]


@pytest_asyncio.fixture(loop_scope="session")
async def ines(browser: Browser, gateway: Running) -> AsyncIterator[Window]:
    """The second person of the group; each test invites them anew."""
    invited = await gateway.operate(
        "POST", "/api/operators", {"name": "ines", "roles": ["approver"]}
    )
    key = {"authorization": f"Bearer {invited.json()['key']}"}
    url = f"{gateway.operators_url}/api/operators/code"
    given = await gateway.http.post(url, json={}, headers=key)
    async with window(browser, gateway) as found:
        await found.log_in(given.json()["code"])
        yield found


async def give_passkey(someone: Window) -> tuple[CDPSession, str]:
    """Put an authenticator into a browser, and register a passkey of it."""
    devices = await someone.page.context.new_cdp_session(someone.page)
    await devices.send("WebAuthn.enable")
    made = await devices.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    await someone.go("/login")
    await someone.page.get_by_label("What you call the device").fill("key ring")
    await someone.press("Register a passkey")
    await someone.see("key ring, since")
    return devices, made["authenticatorId"]


async def state_of(gateway: Running, request: str | None) -> str:
    told = await gateway.operate("GET", f"/api/approvals/{request}")
    state: str = told.json()["state"]
    return state


async def test_a_yes_that_a_passkey_signs_lets_the_call_through_once(
    gateway: Running, clerk: Agent, upstream: Desk, omar: Window
) -> None:
    request = (await clerk.call("desk.publish", text="the annual report")).approval
    await omar.go(f"/approvals/{request}")
    await omar.press("Sign and approve once")
    await omar.see("signed with a passkey")
    assert (await clerk.call("desk.publish", text="the annual report")).done
    assert not (await clerk.call("desk.publish", text="the annual report")).done
    assert len(upstream.calls) == 1
    (entry,) = [each for each in gateway.entries("approval.decided") if each["approval"] == request]
    assert entry["verdict"] == "approve"


async def test_two_people_sign_before_anything_happens(
    gateway: Running, clerk: Agent, upstream: Desk, omar: Window, ines: Window
) -> None:
    request = (await clerk.call("desk.pay", amount=500, to="the mill")).approval
    await omar.go(f"/approvals/{request}")
    await omar.press("Sign and approve once")
    await omar.see("1 of 2")
    assert await state_of(gateway, request) == "asked"
    assert not (await clerk.call("desk.pay", amount=500, to="the mill")).done
    await give_passkey(ines)
    await ines.go(f"/approvals/{request}")
    await ines.press("Sign and approve once")
    await ines.see("2 of 2")
    await expect(omar.page.locator("#live")).to_contain_text("2 of 2")  # without being asked
    assert (await clerk.call("desk.pay", amount=500, to="the mill")).done
    assert upstream.paid == [500]


async def test_nobody_approves_without_a_passkey(
    gateway: Running, clerk: Agent, ines: Window
) -> None:
    request = (await clerk.call("desk.publish", text="a leaflet")).approval
    await ines.go(f"/approvals/{request}")
    await ines.see("you have none")
    await ines.page.evaluate(
        "document.querySelectorAll('form[data-sign]').forEach((form) => form.submit())"
    )
    await ines.see("approval.passkey")
    assert await state_of(gateway, request) == "asked"


async def test_a_device_that_does_not_know_its_holder_signs_nothing(
    gateway: Running, clerk: Agent, omar_signs: tuple[Window, CDPSession, str]
) -> None:
    omar, devices, device = omar_signs
    verified = {"authenticatorId": device, "isUserVerified": False}
    await devices.send("WebAuthn.setUserVerified", verified)
    request = (await clerk.call("desk.publish", text="a poster")).approval
    await omar.go(f"/approvals/{request}")
    await omar.page.get_by_role("button", name="Sign and approve once").click()
    await expect(omar.page.locator("#said")).not_to_be_empty()
    assert await state_of(gateway, request) == "asked"
    await devices.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": True})
