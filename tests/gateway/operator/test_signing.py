"""Answers that are signed: with a passkey of who answers, for this very answer, once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.operator.challenges import LIFE_S
from tests.harness.agent import Agent
from tests.harness.authenticator import PRESENT, VERIFIED, Authenticator, b64, make_key
from tests.harness.gateway import Running, running
from tests.harness.holder import NAME, ORIGIN, SIGNED, SITE, Holder, holder
from tests.harness.upstream import desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    async with desk() as upstream, running(folder, SIGNED, {"desk": upstream}, settings=SITE) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def clerk(gateway: Running) -> Agent:
    return await gateway.agent()


@pytest_asyncio.fixture(loop_scope="module")
async def omar(gateway: Running) -> AsyncIterator[Holder]:
    async with holder(gateway, "omar") as found:
        yield found


async def asked(clerk: Agent, text: str = "out") -> str:
    answered = await clerk.call("desk.publish", text=text)
    assert answered.approval is not None, answered.text
    return answered.approval


def state(gateway: Running, request: str) -> str:
    found = gateway.gateway.services.state.approvals.get(request)
    assert found is not None
    return found.state


async def test_a_signed_yes_lets_the_call_through_once_and_stands_in_the_log(
    gateway: Running, clerk: Agent, omar: Holder
) -> None:
    since, request = gateway.size, await asked(clerk)
    answered = await omar.answer(request, "approve", await omar.sign(request, "approve"))
    assert answered.json()["state"] == "approved", answered.text
    (entry,) = gateway.entries("approval.decided", since=since)
    assert entry["passkey"] == entry["signed"]["passkey"] == omar.device.name
    assert (entry["signed"]["count"], entry["signed"]["origin"]) == (2, ORIGIN)
    assert gateway.gateway.services.state.passkeys.of("omar")[0].count == 2
    assert answered.json()["votes"][0]["passkey"] == omar.device.name
    assert (await clerk.call("desk.publish", text="out")).done
    assert (await clerk.call("desk.publish", text="out")).code == "approval.pending"


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
async def test_every_kind_of_passkey_signs(gateway: Running, clerk: Agent, algorithm: str) -> None:
    async with holder(gateway, "omar", registered=False) as omar:
        omar.device = Authenticator(NAME, ORIGIN, make_key(algorithm), count=None)
        await omar.register()
        for text in ("first", "second"):  # one that does not count signs more than once
            request = await asked(clerk, text)
            signed = await omar.sign(request, "approve")
            assert (await omar.answer(request, "approve", signed)).json()["state"] == "approved"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"flags": PRESENT}, id="not-verified"),
        pytest.param({"flags": VERIFIED}, id="nobody-there"),
        pytest.param({"origin": "https://evil.example"}, id="on-another-page"),
        pytest.param({"rp_id": "evil.example"}, id="for-another-name"),
        pytest.param({"type": "webauthn.create"}, id="in-another-ceremony"),
        pytest.param({"crossOrigin": True}, id="in-a-frame"),
        pytest.param({"challenge": b64(bytes(32))}, id="another-challenge"),
        pytest.param({"padding": "x" * 5000}, id="more-than-an-entry-holds"),
    ],
)
async def test_what_was_not_signed_as_it_should_be_counts_for_nothing(
    gateway: Running, clerk: Agent, omar: Holder, changes: dict[str, Any]
) -> None:
    request = await asked(clerk)
    signed = await omar.sign(request, "approve", **changes)
    refused = await omar.answer(request, "approve", signed)
    assert (refused.status_code, refused.json()["code"]) == (403, "approval.signature")
    assert state(gateway, request) == "asked"


@pytest.mark.parametrize("part", ["passkey", "client_data", "authenticator_data", "signature"])
@pytest.mark.parametrize("text", ["", "AA", "not base64url!", "é"])
async def test_no_part_of_it_can_be_another(
    gateway: Running, clerk: Agent, omar: Holder, part: str, text: str
) -> None:
    request = await asked(clerk)
    signed = {**await omar.sign(request, "approve"), part: text}
    assert (await omar.answer(request, "approve", signed)).json()["code"] == "approval.signature"
    assert state(gateway, request) == "asked"


async def test_a_signature_is_good_for_one_request(
    gateway: Running, clerk: Agent, omar: Holder
) -> None:
    first, second = await asked(clerk, "first"), await asked(clerk, "second")
    signed = await omar.sign(first, "approve")
    assert (await omar.answer(second, "approve", signed)).json()["code"] == "approval.signature"
    await omar.begin(second, "approve")
    assert (await omar.answer(second, "approve", signed)).json()["code"] == "approval.signature"
    assert (await omar.answer(first, "approve", signed)).json()["state"] == "approved"
    assert state(gateway, second) == "asked"


async def test_a_signed_no_is_no_yes(gateway: Running, clerk: Agent, omar: Holder) -> None:
    request = await asked(clerk)
    signed = await omar.sign(request, "deny")
    await omar.begin(request, "approve")
    assert (await omar.answer(request, "approve", signed)).json()["code"] == "approval.signature"
    assert state(gateway, request) == "asked"


async def test_a_challenge_is_good_once_and_for_two_minutes(
    gateway: Running, clerk: Agent, omar: Holder
) -> None:
    request = await asked(clerk)
    signed = await omar.sign(request, "approve", flags=PRESENT)
    assert (await omar.answer(request, "approve", signed)).status_code == 403
    good = {**signed, **await omar.sign(request, "approve")}
    assert (await omar.answer(request, "approve", signed)).status_code == 403  # uses it up
    assert (await omar.answer(request, "approve", good)).json()["code"] == "approval.signature"
    late = await omar.sign(request, "approve")
    gateway.clock.pass_s(LIFE_S)
    assert (await omar.answer(request, "approve", late)).json()["code"] == "approval.signature"
    assert state(gateway, request) == "asked"


async def test_a_count_that_went_back_is_refused(
    gateway: Running, clerk: Agent, omar: Holder
) -> None:
    request = await asked(clerk)
    omar.device.count = 0  # a copy of it, made at the beginning
    refused = await omar.answer(request, "approve", await omar.sign(request, "approve"))
    assert "copied" in refused.json()["detail"]
    assert state(gateway, request) == "asked"


async def test_a_passkey_of_somebody_else_signs_nothing(
    gateway: Running, clerk: Agent, omar: Holder
) -> None:
    async with holder(gateway, "adam") as adam:
        request = await asked(clerk)
        for device in (adam.device, Authenticator(NAME, ORIGIN)):
            omar.device, own = device, omar.device
            signed = await omar.sign(request, "approve")
            refused = await omar.answer(request, "approve", signed)
            assert refused.json()["code"] == "approval.signature"
            omar.device = own
    assert state(gateway, request) == "asked"


async def test_without_a_passkey_there_is_nothing_to_sign_with(
    gateway: Running, clerk: Agent
) -> None:
    async with holder(gateway, "omar", registered=False) as omar:
        request = await asked(clerk)
        refused = await omar.begin(request, "approve")
        assert refused.json()["code"] == "approval.passkey"
        assert "/login" in refused.json()["detail"]
        unsigned = await omar.answer(request, "approve", None)
        assert unsigned.json()["code"] == "approval.passkey"
        assert (await omar.answer(request, "deny", None)).json()["state"] == "denied"


async def test_a_key_for_the_command_line_cannot_approve_and_is_told_where(
    gateway: Running, clerk: Agent, omar: Holder
) -> None:
    request = await asked(clerk)
    digest = await omar.digest(request)
    for path, body in (
        ("approve", {"digest": digest}),
        ("sign", {"digest": digest, "verdict": "approve"}),
        ("approve", {"digest": digest, "signed": await omar.sign(request, "approve")}),
    ):
        answered = await gateway.operate(
            "POST", f"/api/approvals/{request}/{path}", body, by="omar", check=False
        )
        assert answered.json()["code"] == "approval.passkey"
        assert f"{ORIGIN}/approvals/{request}" in answered.json()["detail"]
    assert state(gateway, request) == "asked"


async def test_what_is_signed_is_what_was_shown(
    gateway: Running, clerk: Agent, omar: Holder
) -> None:
    request = await asked(clerk)
    body = {"digest": "0" * 64, "verdict": "approve"}
    refused = await omar.ask("POST", f"/api/approvals/{request}/sign", json=body)
    assert refused.json()["code"] == "approval.changed"


async def test_an_address_without_a_name_says_that_nothing_can_be_signed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("address")
    async with desk() as upstream, running(folder, SIGNED, {"desk": upstream}) as gateway:
        request = await asked(await gateway.agent())
        shown = (await gateway.operate("GET", f"/api/approvals/{request}")).json()
        answered = await gateway.operate(
            "POST",
            f"/api/approvals/{request}/approve",
            {"digest": shown["digest"]},
            by="omar",
            check=False,
        )
        assert "needs a name" in answered.json()["detail"]
