"""T62: no record, no action; and after a crash the record says what is not known."""

import asyncio
import errno
import json
import sys
from pathlib import Path

import pytest

from audit.verify import verify_directory
from tests.harness.agent import WAYS, Agent, Answer
from tests.harness.child import child
from tests.harness.disk import FailingDisk, StallingDisk
from tests.harness.gateway import Running, running
from tests.harness.upstream import Turnstile, desk

FULL = [
    pytest.param(errno.ENOSPC, id="full"),
    pytest.param(errno.EROFS, id="read-only"),
    pytest.param(errno.EIO, id="failing"),
    pytest.param(errno.EFBIG, id="file-too-large"),
    pytest.param(errno.EDQUOT, id="over-quota"),
]


async def is_ready(gateway: Running) -> bool:
    return (await gateway.http.get(f"{gateway.url}/readyz")).status_code == 200


async def pay(agent: Agent, way: str) -> Answer:
    return await agent.by(way, mcp_session=agent.mcp_session).call(
        "desk.pay", amount=40, to="paper"
    )


@pytest.mark.parametrize("error", FULL)
async def test_t62_on_a_disk_that_cannot_be_written_every_call_is_denied_until_it_can_be(
    tmp_path: Path, error: int
) -> None:
    disk = FailingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        agents = [await gateway.agent(way=way) for way in WAYS]
        for agent in agents:
            await agent.names()  # a handshake before, where there is one
        assert await is_ready(gateway)
        disk.error = error
        for agent in agents:
            for tool, args in (("pay", {"amount": 40}), ("look", {}), ("publish", {"text": "x"})):
                answered = await agent.call(f"desk.{tool}", **args)
                assert answered.code == "audit_unavailable"
        assert not await is_ready(gateway)
        assert upstream.calls == []
        disk.mend()
        await gateway.recorded_again()
        assert await is_ready(gateway)
        for agent in agents:
            assert (await agent.call("desk.pay", amount=40, to="paper")).done
        assert upstream.paid == [40] * 3


async def test_t62_what_is_denied_anyway_stays_denied_without_a_record(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk = await gateway.agent()
        disk.fill()
        for answered in (
            await clerk.call("desk.wipe"),
            await clerk.call("desk.pay", amount="1e9"),
            await clerk.call_raw("desk.pay", b"{"),
        ):
            assert not answered.done
            assert answered.receipt is None
        assert upstream.calls == []
        disk.mend()


async def test_t62_nobody_gets_credentials_approvals_or_policies_off_the_record(
    tmp_path: Path,
) -> None:
    disk = FailingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk = await gateway.agent()
        digest = gateway.gateway.services.worlds.current.snapshot.digest
        offer = (await gateway.operate("GET", "/api/servers/desk/review")).json()["digest"]
        disk.fill()
        for path, body in (
            ("/api/tokens", {"agent": "clerk-1"}),
            ("/api/tokens/revoke", {"token": clerk.token}),
            (f"/api/sessions/{clerk.session}/end", {}),
            ("/api/policy/apply", {"digest": digest}),
            ("/api/servers/desk/accept", {"digest": offer}),
        ):
            refused = await gateway.operate("POST", path, body, check=False)
            assert (refused.status_code, refused.json()["code"]) == (503, "audit_unavailable")
        disk.mend()


async def test_t62_the_decision_is_durable_before_the_server_hears_of_the_call(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        seen: list[int] = []
        upstream.before = lambda: seen.append(gateway.size)
        for way in WAYS:
            clerk = await gateway.agent(way=way)
            await clerk.names()
            for tool, args in (("look", {"at": "x"}), ("pay", {"amount": 40, "to": "paper"})):
                before = gateway.size
                answered = await clerk.call(f"desk.{tool}", **args)
                assert answered.entry >= before
                assert seen[-1] > answered.entry, "it was durable when the call arrived"
                assert gateway.entry(answered.entry)["kind"] == "decision"


async def test_t62_of_every_effect_there_is_an_earlier_entry_with_its_very_arguments(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerks = [await gateway.agent(way=way) for way in WAYS]
        calls = [
            clerk.call("desk.pay", amount=amount, to="paper")
            for clerk in clerks
            for amount in range(1, 21)
        ]
        answers = await asyncio.gather(*calls)
        recorder = gateway.gateway.services.recorder
        recorded = []
        for answered in answers:
            words = recorder.words(answered.entry, "args")
            assert words is not None
            recorded.append(json.loads(words)["amount"])
        assert sorted(recorded) == sorted(upstream.paid)
        outcomes = gateway.entries("outcome")
        assert {outcome["decision"]["index"] for outcome in outcomes} == {a.entry for a in answers}
        assert all(outcome["status"] == "done" for outcome in outcomes)


async def test_t62_an_entry_that_takes_too_long_stops_the_call_even_if_it_arrives_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.log.LONGEST_WAIT_S", 1.0)
    disk = StallingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk = await gateway.agent()
        with disk.stalled():
            answered = await clerk.call("desk.pay", amount=40, to="paper")
            assert answered.code == "audit_unavailable"
        await gateway.until(lambda: bool(gateway.entries("decision")))
        assert upstream.calls == []
        await gateway.until(lambda: bool(gateway.entries("outcome")))
        assert [outcome["status"] for outcome in gateway.entries("outcome")] == ["refused"]
        assert (await clerk.call("desk.pay", amount=40, to="paper")).done
        assert upstream.paid == [40]


async def test_t62_an_effect_whose_outcome_cannot_be_recorded_is_answered_as_unknown(
    tmp_path: Path,
) -> None:
    disk = FailingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk = await gateway.agent()
        upstream.before = disk.fill
        answered = await clerk.call("desk.pay", amount=40, to="paper")
        assert not answered.done
        assert "unknown" in answered.text.lower()
        assert upstream.paid == [40]
        upstream.before = lambda: None
        again = await clerk.call("desk.pay", amount=40, to="paper")
        assert not again.done
        assert upstream.paid == [40]
        disk.mend()


async def test_t62_a_crash_between_decision_and_outcome_leaves_unknown_and_no_second_effect(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, child(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        upstream.then = Turnstile()
        call = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
        await upstream.called(1)
        await gateway.kill()
        assert isinstance((await asyncio.gather(call, return_exceptions=True))[0], Exception)
        upstream.forget()
        await gateway.start()
        (decision,) = await gateway.entries("decision")
        (outcome,) = await gateway.entries("outcome")
        assert (outcome["status"], outcome["call"]) == ("unknown", decision["id"])
        clerk.url = gateway.url
        again = await clerk.call("desk.pay", amount=40, to="paper")
        assert again.code == "upstream.unknown_outcome"
        assert upstream.calls == []
        other = await clerk.call("desk.pay", amount=41, to="paper")
        assert other.done
        assert upstream.paid == [41]


async def test_t62_every_acknowledged_entry_survives_kill_nine(tmp_path: Path) -> None:
    async with desk() as upstream, child(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        receipts: list[str] = []

        async def call_until_gone() -> None:
            while True:
                answered = await clerk.call("desk.look", at="x")
                assert answered.receipt is not None
                receipts.append(answered.receipt)

        calls = [asyncio.create_task(call_until_gone()) for _ in range(8)]
        await gateway.until(lambda: len(receipts) > 60)
        await gateway.kill()
        await asyncio.gather(*calls, return_exceptions=True)
        await gateway.start()
        entries = await gateway.entries()
        for receipt in receipts:
            _, index, _ = receipt.split(";")
            assert entries[int(index)]["kind"] == "decision"
        vkey = (await gateway.operate("GET", "/api/audit/vkey")).text.strip()
        await gateway.stop()
        report = verify_directory(gateway.home.tiles, vkey)
        assert report.ok, report.findings
        assert report.size is not None
        assert report.size >= len(entries)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's alone")
@pytest.mark.parametrize("room", [pytest.param(0, id="none"), pytest.param(200_000, id="a-little")])
async def test_t62_a_full_disk_under_a_running_process_denies_until_there_is_room_again(
    tmp_path: Path, room: int
) -> None:
    async with desk() as upstream, child(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("desk.pay", amount=1, to="paper")).done
        gateway.limit_files(room)
        denied = await _until_denied(clerk)
        assert denied.code == "audit_unavailable"
        if room == 0:  # where there is a little, a shorter entry may still find its place
            assert not await gateway.ready()
            before = len(upstream.calls)
            for way in WAYS:
                assert not (await clerk.by(way).call("desk.pay", amount=3, to="paper")).done
            assert len(upstream.calls) == before
        gateway.free_files()
        await gateway.ready_again()
        assert (await clerk.call("desk.pay", amount=4, to="paper")).done
        assert upstream.paid[-1] == 4
        assert len(await gateway.entries("decision")) >= len(upstream.calls)
        vkey = (await gateway.operate("GET", "/api/audit/vkey")).text.strip()
        assert await gateway.stop() == 0
        report = verify_directory(gateway.home.tiles, vkey)
        assert report.ok, report.findings


async def _until_denied(clerk: Agent) -> Answer:
    """Call until the log has no room; what it still takes is executed."""
    for _ in range(5000):
        answered = await clerk.call("desk.pay", amount=2, to="paper", note="n" * 180)
        if not answered.done:
            return answered
    raise AssertionError("it never filled up")
