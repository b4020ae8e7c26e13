"""The gateway as a whole: what it needs to start, what it remembers, and how it ends."""

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from audit.errors import LogDamaged, LogLocked, LogUnusable
from audit.log import Log
from audit.verify import verify_directory
from gateway.errors import GatewayError, StateAhead
from tests.harness.gateway import running
from tests.harness.upstream import Turnstile, desk

PAY = {"amount": 40, "to": "paper"}


async def test_a_start_and_an_end_are_entries(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            assert [entry["kind"] for entry in gateway.entries()][-1] == "start"
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            kinds = [entry["kind"] for entry in gateway.entries()]
        assert kinds.count("start") == 2
        assert kinds.count("stop") == 1
        assert kinds.index("stop") < len(kinds) - 1


def test_nothing_keeps_a_gateway_that_is_closed(tmp_path: Path) -> None:
    async def served() -> weakref.ref[Log]:
        async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent()
            assert (await clerk.call("desk.pay", **PAY)).done
            assert (await gateway.http.get(f"{gateway.url}/.well-known/jwks.json")).is_success
            return weakref.ref(gateway.gateway.services.log)

    log = asyncio.run(served())
    gc.collect()
    assert log() is None


async def test_what_was_known_is_known_after_a_restart(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent("clerk-1")
            asked = await clerk.call("desk.pay", amount=400, to="paper")
            await gateway.answer(asked.approval)
            denied = await clerk.call("desk.publish", text="x")
            await gateway.answer(denied.approval, "deny")
            ended = await gateway.agent("clerk-1")
            await gateway.operate("POST", f"/api/sessions/{ended.session}/end")
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            services = gateway.gateway.services
            approvals = {r.id: r.state for r in services.state.approvals.all()}
            assert approvals == {asked.approval: "approved", denied.approval: "denied"}
            session = services.state.sessions.get(ended.session)
            assert session is not None
            assert session.ended


@pytest.mark.parametrize("lost", ["state.db", "index.db", "tiles", "all-three"])
async def test_what_is_derived_is_made_again_from_the_log(tmp_path: Path, lost: str) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent("clerk-1")
            asked = await clerk.call("desk.pay", amount=400, to="paper")
            await gateway.operate("POST", f"/api/sessions/{clerk.session}/end")
            vkey = gateway.gateway.services.vkey
        home = tmp_path / "home"
        for name in ("state.db", "index.db", "tiles") if lost == "all-three" else (lost,):
            for path in sorted(home.glob(f"{name}*"), reverse=True):
                _remove(path)
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            assert asked.approval is not None
            assert gateway.gateway.services.state.approvals.get(asked.approval) is not None
            session = gateway.gateway.services.state.sessions.get(clerk.session)
            assert session is not None
            assert session.ended
        report = verify_directory(home / "tiles", vkey)
        assert report.ok, report.findings


def _remove(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink()


async def test_two_gateways_do_not_share_a_home(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}):
        with pytest.raises(LogLocked):
            async with running(tmp_path, servers={"desk": upstream}):
                pytest.fail("it started")


async def test_a_log_that_is_older_than_its_state_refuses_the_start(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            await gateway.agent()
        home, old = tmp_path / "home", tmp_path / "old"
        log = {path.name: path.read_bytes() for path in (home / "log").iterdir() if path.is_file()}
        assert log
        old.mkdir()
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            await gateway.agent()
        for path in (home / "log").iterdir():
            if path.is_file() and path.name in log:
                path.chmod(0o600)
                path.write_bytes(log[path.name])
        with pytest.raises((StateAhead, LogUnusable)):
            async with running(tmp_path, servers={"desk": upstream}):
                pytest.fail("it started")


async def test_an_altered_log_refuses_the_start(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            await gateway.agent("clerk-1")
        segment = min((tmp_path / "home" / "log").glob("*.seg*"), default=None)
        segment = segment or max(
            (p for p in (tmp_path / "home" / "log").iterdir() if p.is_file()),
            key=lambda p: p.stat().st_size,
        )
        segment.chmod(0o600)
        segment.write_bytes(segment.read_bytes().replace(b'"clerk-1"', b'"clerk-2"', 1))
        with pytest.raises(LogDamaged):
            async with running(tmp_path, servers={"desk": upstream}):
                pytest.fail("it started")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"servers": {"gateway": {"url": "https://a.example"}}}, id="reserved-name"),
        pytest.param({"servers": {"a": {"command": ["/nothing/here"]}}}, id="no-program"),
        pytest.param(
            {
                "servers": {
                    "desk": {"url": "https://a.example"},
                    "d-esk": {"url": "https://a.example"},
                }
            },
            id="look-alikes",
        ),
        pytest.param({"servers": {"a": {"url": "https://a.example/ x"}}}, id="broken-url"),
    ],
)
async def test_a_deployment_that_cannot_be_honoured_refuses_the_start(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(GatewayError):
        async with running(tmp_path, settings=settings):
            pytest.fail("it started")


async def test_a_call_under_way_when_the_gateway_ends_is_unknown_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.faces.listener.GRACE_S", 0.1)
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent("clerk-1")
            upstream.then = Turnstile()
            call = asyncio.create_task(clerk.call("desk.pay", **PAY))
            await upstream.called(1)
        await asyncio.gather(call, return_exceptions=True)
        upstream.forget()
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            assert [entry["status"] for entry in gateway.entries("outcome")] == ["unknown"]
            again = await gateway.agent("clerk-1", session=clerk.session)
            assert not (await again.call("desk.pay", **PAY)).done
            assert upstream.calls == []


async def test_a_server_that_is_not_there_holds_up_no_start(tmp_path: Path) -> None:
    async with desk() as upstream:
        gone = {"url": "http://127.0.0.1:9/mcp", "allow_private": True}
        opening = running(
            tmp_path,
            servers={"desk": upstream},
            settings={
                "servers": {"desk": {"url": upstream.url, "allow_private": True}, "far": gone}
            },
            wait_for=("desk",),
        )
        async with opening as gateway:
            clerk = await gateway.agent()
            assert (await clerk.call("desk.look", at="x")).done
            states = (await gateway.operate("GET", "/api/status")).json()["servers"]
            assert states["far"] != "up"


async def test_the_metrics_count_what_happened(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.look", at="x")
        await clerk.call("desk.wipe")
        await clerk.call("desk.publish", text="x")
        text = (await gateway.operate("GET", "/metrics", by="vera")).text
        for status in ("done", "denied", "pending"):
            assert f'"{status}"' in text
        assert clerk.name not in text
