"""T48: nobody is worn down by questions: they are bounded, the same one is one, silence is no."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.client import Client, registered
from tests.harness.gateway import Clock, running
from tests.harness.policy import DESK
from tests.harness.upstream import desk

LARGE = 500
GUARDS = {
    "guards": {
        "questions": 20,
        "denials": {"most": 300, "window": "10m", "then": "throttle"},
    }
}


@pytest.mark.long
async def test_t48_of_five_hundred_questions_few_are_put_and_the_agent_is_held_up(
    tmp_path: Path,
) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=GUARDS) as gateway,
    ):
        clerk = await gateway.agent()
        codes = [(await clerk.call("desk.pay", amount=LARGE, note=str(n))).code for n in range(500)]
        assert codes[:20] == ["approval.pending"] * 20
        assert set(codes[20:320]) == {"guard.questions"}
        assert codes[-1] == "guard.throttled"
        assert len(gateway.entries("approval.asked")) == 20
        crowded, alarm = gateway.entries("alarm.raised")
        assert (crowded["alarm"], crowded["agent"], crowded["count"]) == (
            "questions",
            clerk.name,
            20,
        )
        assert (alarm["alarm"], alarm["agent"], alarm["then"]) == (
            "denials",
            clerk.name,
            "throttle",
        )
        assert (await clerk.call("desk.look")).code == "guard.throttled"
        assert (await (await gateway.agent()).call("desk.look")).done


async def test_t48_questions_at_once_are_counted_too(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=GUARDS) as gateway,
    ):
        clerk, other = await gateway.agent(), await gateway.agent()
        sessions = [clerk, await gateway.agent(clerk.name)]
        asked = await asyncio.gather(
            *(sessions[n % 2].call("desk.pay", amount=LARGE, note=str(n)) for n in range(60))
        )
        codes = [each.code for each in asked]
        assert (codes.count("approval.pending"), codes.count("guard.questions")) == (20, 40)
        assert (await other.call("desk.pay", amount=LARGE)).code == "approval.pending"


async def test_t48_what_was_answered_or_has_expired_makes_room(tmp_path: Path) -> None:
    guards, clock = {"guards": {"questions": 2}}, Clock()
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=guards, clock=clock) as gateway,
    ):
        clerk = await gateway.agent()
        first = await clerk.call("desk.pay", amount=LARGE, note="1")
        await clerk.call("desk.pay", amount=LARGE, note="2")
        third = {"amount": LARGE, "note": "3"}
        assert (await clerk.call("desk.pay", **third)).code == "guard.questions"
        assert (await clerk.call("desk.pay", amount=LARGE, note="1")).code == "approval.pending"
        await gateway.answer(first.approval, "deny")
        assert (await clerk.call("desk.pay", **third)).code == "approval.pending"
        assert (await clerk.call("desk.pay", amount=LARGE, note="4")).code == "guard.questions"
        clock.pass_s(1900)
        await gateway.until(lambda: len(gateway.entries("approval.ended")) == 2)
        again = await gateway.agent(clerk.name)
        assert (await again.call("desk.pay", amount=LARGE, note="4")).code == "approval.pending"


async def test_t48_sessions_that_an_agent_opens_are_bounded(tmp_path: Path) -> None:
    settings = {**registered(tmp_path / "clients", ["clerk-1"]), "guards": {"sessions": 5}}
    async with (
        desk() as upstream,
        running(tmp_path / "gw", DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        client = Client(gateway, "clerk-1")
        asked = await asyncio.gather(
            *(client.ask(grant_type="client_credentials") for _ in range(12))
        )
        assert sorted(each.status_code for each in asked) == [200] * 5 + [429] * 7
        assert {each.json()["error"] for each in asked if not each.is_success} == {"slow_down"}
        (ended, *_) = [each.json() for each in asked if each.is_success]
        session = gateway.gateway.services.tokens.check(
            ended["access_token"].encode(), client.now_s
        ).session
        await gateway.operate("POST", f"/api/sessions/{session}/end", {})
        assert (await client.ask(grant_type="client_credentials")).is_success
        assert (await client.ask(grant_type="client_credentials")).status_code == 429


@pytest.mark.parametrize("path", ["/api/approvals", "/api/approvals/approve", "/approvals"])
async def test_t48_nobody_answers_several_questions_at_once(tmp_path: Path, path: str) -> None:
    async with desk() as upstream, running(tmp_path, DESK, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = [(await clerk.call("desk.publish", text=text)).approval for text in "ab"]
        shown = [(await gateway.operate("GET", f"/api/approvals/{each}")).json() for each in asked]
        digests = [each["digest"] for each in shown]
        for body in ({"ids": asked, "digests": digests}, {"digest": digests[0]}, asked):
            told = await gateway.operate("POST", path, body, by="omar", check=False)
            assert told.status_code in {404, 405}
        for each in (f"{asked[0]},{asked[1]}", "*"):
            one = f"/api/approvals/{each}/approve"
            told = await gateway.operate("POST", one, {"digest": "0"}, by="omar", check=False)
            assert told.json()["code"] == "approval.unknown"
        states = {each.state for each in gateway.gateway.services.state.approvals.all()}
        assert states == {"asked"}
