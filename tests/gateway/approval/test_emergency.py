"""Breaking the glass: alone, loudly, shortly, and reviewed by somebody else."""

from pathlib import Path
from typing import Any

import pytest

from gateway.approval.approvals import KEEP_S
from tests.harness.agent import Agent
from tests.harness.gateway import Clock, Running, running
from tests.harness.holder import SITE, holder
from tests.harness.policy import DESK
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = DESK.replace("groups:\n", "groups:\n  on-call: {members: [kim, lena, omar]}\n").replace(
    "quorum: 1, expires: 30m,",
    "quorum: 2, expires: 30m, break_glass: {from: on-call, within: 15m},",
)
SIGNED = POLICY.replace("quorum: 2,", "quorum: 2, passkey: required,")
DENIED = POLICY + (
    "guardrails:\n"
    "  - {id: never, why: Not that., tools: [desk.publish], effect: deny,"
    " when: \"args.text == 'secret'\"}\n"
)
APPROVERS = ("kim", "ines")


async def asked(clerk: Agent, text: str = "out") -> str:
    answered = await clerk.call("desk.publish", text=text)
    assert answered.approval is not None
    return answered.approval


async def act(gateway: Running, request: str, verb: str, by: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    path = f"/api/approvals/{request}/{verb}"
    told: dict[str, Any] = (await gateway.operate("POST", path, body, by=by, check=False)).json()
    return told


async def smash(gateway: Running, request: str, by: str = "kim", **body: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    shown = (await gateway.operate("GET", f"/api/approvals/{request}")).json()
    wanted = {"digest": shown["digest"], "reason": "the site is down", **body}
    return await act(gateway, request, "break-glass", by, **wanted)


async def test_one_person_of_the_named_group_lets_one_call_through_and_everybody_is_told(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    since, request = gateway.size, await asked(clerk)
    told = await smash(gateway, request, for_s=3600)
    assert (told["state"], told["broken_by"], told["owes_review"]) == ("approved", "kim", True)
    alarm, entry = gateway.entries(since=since)[-2:]
    assert (alarm["kind"], alarm["alarm"], alarm["agent"]) == (
        "alarm.raised",
        "break-glass",
        clerk.name,
    )
    assert (entry["kind"], entry["by"], entry["digest"]) == (
        "approval.break-glass",
        "kim",
        told["digest"],
    )
    assert entry["until"] == entry["at"] + 15 * 60  # as long as the policy lets it
    assert entry["reason"]["kept"]
    status = (await gateway.operate("GET", "/api/status")).json()
    assert status["alarms"][0]["alarm"] == "break-glass"
    assert (await clerk.call("desk.publish", text="out")).done
    assert (await clerk.call("desk.publish", text="out")).code == "approval.pending"
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    ("by", "body", "code"),
    [
        pytest.param("ines", {}, "approval.group", id="who-is-asked-and-not-named"),
        pytest.param("adam", {}, "operator.role", id="an-administrator"),
        pytest.param("vera", {}, "operator.role", id="a-viewer"),
        pytest.param("kim", {"reason": " "}, "approval.reason", id="no-reason"),
        pytest.param("kim", {"digest": "0" * 64}, "approval.changed", id="not-what-was-shown"),
        pytest.param("kim", {"for_s": 0}, "operator.body", id="for-no-time"),
        pytest.param("kim", {"for_s": -5}, "operator.body", id="for-less"),
        pytest.param("kim", {"until": 9}, "operator.body", id="something-else"),
    ],
)
async def test_others_and_others_ways_break_nothing(
    gateway: Running, upstream: Desk, clerk: Agent, by: str, body: dict[str, Any], code: str
) -> None:
    since, request = gateway.size, await asked(clerk)
    assert (await smash(gateway, request, by, **body))["code"] == code
    assert gateway.entries("alarm.raised", since=since) == []
    assert (await clerk.call("desk.publish", text="out")).code == "approval.pending"
    assert upstream.calls == []


async def test_who_asks_does_not_break_it_either(gateway: Running) -> None:
    clerk = await gateway.agent(user="kim")
    assert (await smash(gateway, await asked(clerk)))["code"] == "approval.self"


async def test_a_no_is_not_broken(gateway: Running, clerk: Agent) -> None:
    request = await asked(clerk)
    await gateway.answer(request, "deny")
    assert (await smash(gateway, request))["code"] == "approval.ended"
    assert (await clerk.call("desk.publish", text="out")).code == "approval.denied"


@pytest.mark.parametrize(
    ("by", "code"),
    [
        pytest.param("kim", "approval.self", id="who-did-it"),
        pytest.param("adam", "operator.role", id="an-administrator"),
    ],
)
async def test_it_is_owed_until_somebody_else_has_reviewed_it(
    gateway: Running, clerk: Agent, by: str, code: str
) -> None:
    request = await asked(clerk)
    await smash(gateway, request)
    said = {"finding": "unjustified", "reason": "omar was there"}
    assert (await act(gateway, request, "review", by, **said))["code"] == code
    assert (await act(gateway, request, "review", "ines", finding="fine", reason="x"))[
        "code"
    ] == "operator.body"
    silent = await act(gateway, request, "review", "ines", finding="justified", reason=" ")
    assert silent["code"] == "approval.reason"
    since = gateway.size
    reviewed = await act(gateway, request, "review", "ines", **said)
    assert (reviewed["reviewed_by"], reviewed["owes_review"]) == ("ines", False)
    (entry,) = gateway.entries("approval.reviewed", since=since)
    assert (entry["by"], entry["finding"]) == ("ines", "unjustified")
    again = await act(gateway, request, "review", "omar", **said)
    assert again["code"] == "approval.ended"


async def test_what_nobody_approved_alone_is_not_reviewed(gateway: Running, clerk: Agent) -> None:
    said = {"finding": "justified", "reason": "x"}
    refused = await act(gateway, await asked(clerk), "review", "ines", **said)
    assert refused["code"] == "approval.ended"


async def test_where_the_policy_names_nobody_nobody_does(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, DESK, {"desk": upstream}) as gateway:
        await gateway.invite("kim", "approver")
        request = await asked(await gateway.agent())
        for by in ("kim", "omar"):
            assert (await smash(gateway, request, by))["code"] == "approval.break-glass"


async def test_it_is_short_and_the_review_outlives_it_and_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    async with desk() as upstream:
        options: dict[str, Any] = {"servers": {"desk": upstream}, "clock": clock}
        async with running(tmp_path, POLICY, **options) as gateway:
            await gateway.invite("kim", "approver")
            clerk = await gateway.agent()
            request = await asked(clerk)
            await smash(gateway, request, for_s=60)
            clock.pass_s(61)
            assert (await clerk.call("desk.publish", text="out")).code == "approval.pending"
            assert upstream.calls == []
            clock.pass_s(2 * KEEP_S)
            await gateway.gateway.services.state.approvals.pass_time(clock() // 1_000_000)
        async with running(tmp_path, POLICY, **options) as gateway:
            await gateway.invite("ines", "approver")
            owed = (await gateway.operate("GET", "/api/approvals")).json()
            assert [each["id"] for each in owed if each["owes_review"]] == [request]
            said = {"finding": "justified", "reason": "nobody answered"}
            assert (await act(gateway, request, "review", "ines", **said))["reviewed_by"] == "ines"


async def test_what_is_denied_stays_denied(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, POLICY, {"desk": upstream}) as gateway:
        await gateway.invite("kim", "approver")
        clerk = await gateway.agent()
        request = await asked(clerk, "secret")
        await smash(gateway, request)
        assert (await gateway.apply(DENIED)).is_success
        denied = await clerk.call("desk.publish", text="secret")
        assert denied.code == "policy.denied"
        assert upstream.calls == []


async def test_where_a_yes_is_signed_this_is_signed_too(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, SIGNED, {"desk": upstream}, settings=SITE) as gateway,
        holder(gateway, "omar") as omar,
    ):
        clerk = await gateway.agent()
        request = await asked(clerk)
        assert (await smash(gateway, request, "omar"))["code"] == "approval.passkey"
        for said, code in (("approve", "approval.signature"), ("break-glass", None)):
            signed = await omar.sign(request, said)
            body = {"digest": await omar.digest(request), "reason": "x", "signed": signed}
            path = f"/api/approvals/{request}/break-glass"
            assert (await omar.ask("POST", path, json=body)).json().get("code") == code
        assert (await clerk.call("desk.publish", text="out")).done
