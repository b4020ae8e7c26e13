"""T6: what is revoked, suspended or stopped does nothing more, wherever its calls are by then.

However a right is withdrawn, the next call is refused, an approval given afterwards starts nothing,
a call that waits for the log is not forwarded, and one that runs is cut short: the server is told,
the log says `unknown`, and nobody gets its result.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway.links.http_upstream import Heard, answer, chunked, event, says, stays_silent
from tests.harness.agent import REST, WAYS, Agent
from tests.harness.disk import StallingDisk
from tests.harness.gateway import Running, running
from tests.harness.policy import HEAD
from tests.harness.upstream import TOOLS, Desk, Turnstile, desk

WHY = {"reason": "it pays strangers"}
STDIO = str(Path(__file__).parents[1] / "harness" / "silent_server.py")

Withdraw = Callable[[Running, Agent], Awaitable[object]]


def suspend(path: str) -> Withdraw:
    return lambda gateway, clerk: gateway.operate(
        "POST", f"/api/{path.format(agent=clerk.name)}", WHY
    )


WITHDRAWN: dict[str, Withdraw] = {
    "token": lambda g, a: g.operate("POST", "/api/tokens/revoke", {"token": a.token}),
    "session": lambda g, a: g.operate("POST", f"/api/sessions/{a.session}/end"),
    "agent": suspend("agents/{agent}/suspend"),
    "user": suspend("users/ana/suspend"),
    "server": suspend("servers/desk/suspend"),
    "tool": suspend("tools/desk.pay/suspend"),
    "everything": suspend("stop"),
}
REFUSED = {
    "token": {"auth.revoked"},
    "session": {"auth.revoked", "session.ended"},
    "agent": {"auth.revoked"},
    "user": {"auth.revoked"},
    "server": {"server.suspended"},
    "tool": {"tool.suspended"},
    "everything": {"gateway.stopped"},
}
LIFTED = {
    "agent": suspend("agents/{agent}/resume"),
    "user": suspend("users/ana/resume"),
    "server": suspend("servers/desk/resume"),
    "tool": suspend("tools/desk.pay/resume"),
    "everything": suspend("go"),
}

every = pytest.mark.parametrize("what", WITHDRAWN)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def withdrawn(gateway: Running, clerk: Agent, what: str) -> AsyncIterator[None]:
    """Withdraw something, and take that back at the end where it can be."""
    await WITHDRAWN[what](gateway, clerk)
    yield
    if what in LIFTED:
        await LIFTED[what](gateway, clerk)


@pytest_asyncio.fixture(loop_scope="module")
async def clerk(gateway: Running, upstream: Desk) -> Agent:
    return await gateway.agent(user="ana")


def outcomes(gateway: Running, clerk: Agent) -> list[tuple[str, str | None]]:
    """Status and code of every outcome in the session of this agent."""
    found = gateway.entries("outcome")
    return [(o["status"], o["code"]) for o in found if o["session"] == clerk.session]


@every
@pytest.mark.parametrize("way", WAYS)
async def test_t06_the_next_call_is_refused(
    gateway: Running, upstream: Desk, clerk: Agent, what: str, way: str
) -> None:
    clerk = clerk.by(way)
    assert (await clerk.call("desk.pay", amount=1, to="paper")).done
    async with withdrawn(gateway, clerk, what):
        answered = await clerk.call("desk.pay", amount=2, to="paper")
    assert answered.code in REFUSED[what] or answered.http == 401
    assert upstream.paid == [1]
    assert any(gateway.refusals(code) for code in REFUSED[what])


@every
async def test_t06_an_approval_that_comes_too_late_starts_nothing(
    gateway: Running, upstream: Desk, clerk: Agent, what: str
) -> None:
    asked = await clerk.call("desk.pay", amount=400, to="paper")
    assert asked.code == "approval.pending"
    async with withdrawn(gateway, clerk, what):
        assert (await gateway.answer(asked.approval))["state"] == "approved"
        answered = await clerk.call("desk.pay", amount=400, to="paper")
    assert answered.code in REFUSED[what]
    assert upstream.calls == []


@pytest.mark.parametrize("what", LIFTED)
async def test_t06_going_on_executes_nothing_by_itself_and_only_what_is_sent_anew(
    gateway: Running, upstream: Desk, clerk: Agent, what: str
) -> None:
    asked = await clerk.call("desk.pay", amount=400, to="paper")
    await gateway.answer(asked.approval)
    async with withdrawn(gateway, clerk, what):
        assert (await clerk.call("desk.pay", amount=400, to="paper")).code in REFUSED[what]
    assert upstream.calls == []
    assert (await clerk.call("desk.pay", amount=400, to="paper")).done
    assert upstream.paid == [400]


@pytest.mark.parametrize(
    ("what", "tool"), [*product(WITHDRAWN, ["desk.pay"]), ("agent", "desk.look")]
)
async def test_t06_a_call_that_waits_for_the_log_is_not_forwarded(
    tmp_path: Path, what: str, tool: str
) -> None:
    disk = StallingDisk()
    args = {"amount": 40, "to": "paper"} if tool == "desk.pay" else {}
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk, other = await gateway.agent(user="ana"), await gateway.agent()
        with disk.stalled():
            first = asyncio.create_task(other.call("desk.wipe"))
            await gateway.writing()
            call = asyncio.create_task(clerk.call(tool, **args))
            await gateway.waiting(1)
            withdrawing = asyncio.ensure_future(WITHDRAWN[what](gateway, clerk))
            await gateway.waiting(2)
        answered, *_ = await asyncio.gather(call, first, withdrawing)
        assert answered.code == "policy.changed"
        assert upstream.calls == []
        await gateway.until(lambda: bool(gateway.entries("outcome")))
        assert [outcome["status"] for outcome in gateway.entries("outcome")] == ["refused"]


@every
async def test_t06_a_running_call_is_cut_short_and_its_result_given_to_nobody(
    gateway: Running, upstream: Desk, clerk: Agent, what: str
) -> None:
    upstream.then = pay = _Watched()
    call = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
    await upstream.called(1)
    resent = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
    decisions = partial(gateway.entries, "decision", of=clerk)
    await gateway.until(lambda: any(decision["joined"] for decision in decisions()))
    async with withdrawn(gateway, clerk, what):
        answered, joined = await asyncio.gather(call, resent)
        await pay.left()
    pay.open.set()
    assert answered.code == joined.code == "stopped"
    assert answered.result is joined.result is None
    assert outcomes(gateway, clerk) == [("unknown", "stopped")]
    assert upstream.paid == [40]


async def test_t06_a_running_call_of_another_goes_on(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    other = await gateway.agent()
    upstream.then = pay = Turnstile()
    calls = [
        asyncio.create_task(agent.call("desk.pay", amount=amount, to="paper"))
        for amount, agent in ((1, clerk), (2, other))
    ]
    await upstream.called(2)
    async with withdrawn(gateway, clerk, "agent"):
        pay.open.set()
        stopped, answered = await asyncio.gather(*calls)
    assert stopped.code == "stopped"
    assert answered.done


async def test_t06_a_stopped_call_is_not_repeated_and_can_be_sent_anew_after_go(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    upstream.then = pay = Turnstile()
    call = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
    await upstream.called(1)
    async with withdrawn(gateway, clerk, "everything"):
        assert (await call).code == "stopped"
    pay.open.set()
    assert upstream.paid == [40]
    assert (await clerk.call("desk.pay", amount=40, to="paper")).done
    assert upstream.paid == [40, 40]


@pytest.mark.parametrize("way", WAYS)
async def test_t06_a_streaming_answer_is_cut_short(
    gateway: Running, upstream: Desk, clerk: Agent, way: str
) -> None:
    clerk = clerk.by(way)
    await clerk.names()
    upstream.then = stream = _Streaming()
    call = asyncio.create_task(clerk.call("desk.look"))
    await upstream.called(1)
    async with withdrawn(gateway, clerk, "agent"):
        answered = await call
        await stream.left()
    assert answered.code == "stopped"
    await gateway.until(lambda: bool(outcomes(gateway, clerk)))
    assert outcomes(gateway, clerk) == [("unknown", "stopped")]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_t06_a_local_server_is_told_that_its_call_was_stopped(
    tmp_path: Path, era: str
) -> None:
    heard = tmp_path / "server" / "heard"
    heard.parent.mkdir()
    server = {
        "command": [sys.executable, "-I", "-S", STDIO, era, str(heard)],
        "sandbox": {"read": [STDIO], "write": [str(heard.parent)]},
    }
    policy = (
        HEAD
        + "tools:\n  local.think: {risk: write, emits: []}\nrules:\n"
        + ("  - {id: thinks, roles: [clerk], tools: [local.think], effect: allow}\n")
    )
    async with running(tmp_path, policy, {"local": server}, mode="dev") as gateway:
        clerk = await gateway.agent()

        def methods() -> list[str]:
            return [json.loads(line)["method"] for line in heard.read_text().splitlines()]

        call = asyncio.create_task(clerk.call("local.think"))
        await gateway.until(lambda: "tools/call" in methods())
        await WITHDRAWN["agent"](gateway, clerk)
        assert (await call).code == "stopped"
        await gateway.until(lambda: "notifications/cancelled" in methods())


async def test_t06_a_remote_server_of_an_older_era_is_told_that_its_call_was_stopped(
    tmp_path: Path,
) -> None:
    async with desk() as upstream:
        upstream.is_legacy()
        upstream.behaviours["tools/list"] = says(lambda heard: answer(heard, {"tools": [*TOOLS]}))
        upstream.behaviours["tools/call"] = stays_silent
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent()
            call = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
            await gateway.until(lambda: "tools/call" in upstream.methods())
            await WITHDRAWN["agent"](gateway, clerk)
            assert (await call).code == "stopped"
            await gateway.until(lambda: "notifications/cancelled" in upstream.methods())


@pytest.mark.parametrize("what", LIFTED)
async def test_t06_a_restart_resumes_nothing(tmp_path: Path, what: str) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            before = await gateway.agent(user="ana")
            await WITHDRAWN[what](gateway, before)
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent(before.name, user="ana", way=REST)
            refused = await clerk.call("desk.pay", amount=1, to="paper")
            assert refused.code in REFUSED[what]
            await LIFTED[what](gateway, clerk)
            assert (await clerk.call("desk.pay", amount=1, to="paper")).done
        assert upstream.paid == [1]


class _Watched(Turnstile):
    """A server that works on a call until it is let go, and notices when nobody waits for it."""

    async def __call__(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        await super().__call__(heard, writer)

    async def left(self) -> None:
        """Wait until the gateway has closed the connection of the call."""
        async with asyncio.timeout(5):
            protocol: Any = self._writer.transport.get_protocol()
            while not protocol._stream_reader.at_eof():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.002)


class _Streaming(_Watched):
    """A server that tells how far it is, and never comes to an end."""

    async def __call__(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
        writer.write(chunked(event(progress), end=False))
        await super().__call__(heard, writer)
