"""Questions to people, from the call that asks to the effect, through the operators' API."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.harness.agent import WAYS
from tests.harness.child import child
from tests.harness.gateway import running
from tests.harness.policy import DESK
from tests.harness.upstream import TOOLS, Turnstile, desk, tool

PAY: dict[str, Any] = {"amount": 400, "to": "paper"}
TWO_PEOPLE = DESK.replace("quorum: 1", "quorum: 2")


async def test_a_question_is_asked_shown_answered_and_used_once(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        for number, way in enumerate(WAYS, start=1):
            clerk = await gateway.agent(way=way, user="ana")
            asked = await clerk.call("desk.pay", **PAY)
            assert asked.code == "approval.pending"
            assert asked.receipt is not None
            assert gateway.entry(asked.entry)["kind"] == "approval.asked"
            repeated = await clerk.call("desk.pay", **PAY)
            assert repeated.approval == asked.approval
            shown = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
            assert (shown["arguments"], shown["agent"], shown["user"]) == (PAY, clerk.name, "ana")
            assert (shown["state"], shown["rules"]) == ("asked", ["pays-more"])
            own = await clerk.get(f"/v1/approvals/{asked.approval}")
            assert own.body["state"] == "asked"
            await gateway.answer(asked.approval)
            assert (await clerk.call("desk.pay", **PAY)).done
            assert upstream.paid == [400] * number
            again = await clerk.call("desk.pay", **PAY)
            assert again.code == "approval.pending"
            assert again.approval != asked.approval
            assert upstream.paid == [400] * number
        (claim, *_) = [e for e in gateway.entries("decision") if e["approval"] is not None]
        assert claim["decision"]["effect"] == "ask"


@pytest.mark.parametrize("way", WAYS)
async def test_a_no_stays_a_no_in_every_session_until_its_time(tmp_path: Path, way: str) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent("clerk-1", way=way)
        asked = await clerk.call("desk.pay", **PAY)
        assert (await gateway.answer(asked.approval, "deny"))["state"] == "denied"
        for agent in (clerk, await gateway.agent("clerk-1", way=way)):
            answered = await agent.call("desk.pay", **PAY)
            assert (answered.code, answered.approval) == ("approval.denied", asked.approval)
        assert (await clerk.call("desk.pay", **{**PAY, "amount": 401})).code == "approval.pending"
        gateway.clock.pass_s(31 * 60)
        fresh = await gateway.agent("clerk-1", way=way)
        assert (await fresh.call("desk.pay", **PAY)).code == "approval.pending"
        assert upstream.calls == []


async def test_a_question_that_nobody_answers_in_time_is_a_no(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent("clerk-1", ttl_s=3600)
        asked = await clerk.call("desk.pay", **PAY)
        shown = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
        gateway.clock.pass_s(30 * 60 + 1)
        refused = await gateway.operate(
            "POST",
            f"/api/approvals/{asked.approval}/approve",
            {"digest": shown["digest"]},
            by="omar",
            check=False,
        )
        assert refused.status_code == 409
        anew = await clerk.call("desk.pay", **PAY)
        assert anew.code == "approval.pending"
        assert anew.approval != asked.approval
        assert upstream.calls == []


async def test_an_answer_that_is_not_used_in_time_is_worth_nothing(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent("clerk-1", ttl_s=3600)
        asked = await clerk.call("desk.pay", **PAY)
        await gateway.answer(asked.approval)
        gateway.clock.pass_s(30 * 60 + 1)
        assert (await clerk.call("desk.pay", **PAY)).code == "approval.pending"
        assert upstream.calls == []


@pytest.mark.parametrize(
    "changed",
    [{"amount": 401}, {"to": "coffee"}, {"note": "and a tip"}],
    ids=["amount", "target", "one-more-argument"],
)
async def test_an_approved_call_with_one_argument_changed_is_asked_about_anew(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", **PAY)
        await gateway.answer(asked.approval)
        answered = await clerk.call("desk.pay", **{**PAY, **changed})
        assert answered.code == "approval.pending"
        assert answered.approval != asked.approval
        assert upstream.calls == []
        assert (await clerk.call("desk.pay", **PAY)).done
        assert upstream.paid == [400]


async def test_an_answer_serves_no_other_session_user_or_agent(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent("clerk-1")
        asked = await clerk.call("desk.pay", **PAY)
        await gateway.answer(asked.approval)
        for other in (
            await gateway.agent("clerk-1"),
            await gateway.agent("clerk-1", user="ana"),
            await gateway.agent("clerk-2"),
        ):
            answered = await other.call("desk.pay", **PAY)
            assert answered.code == "approval.pending"
            assert answered.approval != asked.approval
        assert upstream.calls == []


async def test_a_definition_accepted_meanwhile_asks_anew(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.publish", text="hello")
        changed = tool("publish", text="string", loud="boolean")
        upstream.offer(*(t for t in TOOLS if t["name"] != "publish"), changed)
        await gateway.look_again("desk")
        assert (await clerk.call("desk.publish", text="hello")).code == "tool.changed"
        await gateway.answer(asked.approval)  # of what was shown, which was the old definition
        await gateway.accept("desk")
        anew = await clerk.call("desk.publish", text="hello")
        assert anew.code == "approval.pending"
        assert anew.approval != asked.approval
        assert upstream.calls == []


async def test_an_activation_while_people_are_asked_leaves_the_question_open(
    tmp_path: Path,
) -> None:
    """The same rule asks the same people: what they were shown still holds."""
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", **PAY)
        assert (await gateway.apply(DESK + "# a remark\n")).is_success
        await gateway.answer(asked.approval)
        assert (await clerk.call("desk.pay", **PAY)).done
        assert upstream.paid == [400]


async def test_who_may_not_answer_does_not(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(user="omar")
        asked = await clerk.call("desk.pay", **PAY)
        path = f"/api/approvals/{asked.approval}"
        digest = (await gateway.operate("GET", path)).json()["digest"]
        for by, body, status, code in (
            ("omar", {"digest": digest}, 403, "approval.self"),
            ("vera", {"digest": digest}, 403, "operator.role"),
            ("arno", {"digest": digest}, 403, "operator.role"),
            ("adam", {"digest": digest}, 403, "operator.role"),
            ("omar", {"digest": "0" * 64}, 409, "approval.changed"),
            ("omar", {}, 400, "operator.body"),
        ):
            refused = await gateway.operate("POST", f"{path}/approve", body, by=by, check=False)
            assert (refused.status_code, refused.json()["code"]) == (status, code)
        refused = await gateway.operate("POST", f"{path}/maybe", {}, by="omar", check=False)
        assert (refused.status_code, refused.json()["code"]) == (400, "operator.body")
        stranger = await gateway.operate(
            "POST", "/api/approvals/nothing/approve", {"digest": digest}, by="omar", check=False
        )
        assert (stranger.status_code, stranger.json()["code"]) == (404, "approval.unknown")
        assert (await clerk.call("desk.pay", **PAY)).code == "approval.pending"
        assert upstream.calls == []


async def test_two_people_are_two_people(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, TWO_PEOPLE, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", **PAY)
        assert (await gateway.answer(asked.approval))["state"] == "asked"
        digest = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()["digest"]
        again = await gateway.operate(
            "POST",
            f"/api/approvals/{asked.approval}/approve",
            {"digest": digest},
            by="omar",
            check=False,
        )
        assert (again.status_code, again.json()["code"]) == (409, "approval.voted")
        assert (await clerk.call("desk.pay", **PAY)).code == "approval.pending"
        assert upstream.calls == []


async def test_answers_at_once_are_one_answer_each(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", **PAY)
        path = f"/api/approvals/{asked.approval}"
        body = {"digest": (await gateway.operate("GET", path)).json()["digest"]}
        answers = await asyncio.gather(
            *(
                gateway.operate("POST", f"{path}/approve", body, by="omar", check=False)
                for _ in range(5)
            ),
            gateway.operate("POST", f"{path}/deny", body, by="omar", check=False),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
        assert len(gateway.entries("approval.decided")) == 1


async def test_identical_questions_at_once_are_one_question(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        answers = await asyncio.gather(*(clerk.call("desk.pay", **PAY) for _ in range(20)))
        assert len({answered.approval for answered in answers}) == 1
        assert len(gateway.entries("approval.asked")) == 1


async def test_a_question_outlives_kill_nine_and_a_claim_is_never_given_back(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, child(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", **PAY)
        await gateway.kill()
        await gateway.start()
        clerk.url = gateway.url
        assert (await clerk.call("desk.pay", **PAY)).approval == asked.approval
        await gateway.answer(asked.approval)
        upstream.then = Turnstile()
        call = asyncio.create_task(clerk.call("desk.pay", **PAY))
        await upstream.called(1)
        await gateway.kill()
        await asyncio.gather(call, return_exceptions=True)
        upstream.forget()
        await gateway.start()
        clerk.url = gateway.url
        shown = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
        assert shown["state"] == "unknown"
        assert not (await clerk.call("desk.pay", **PAY)).done
        assert upstream.calls == []
