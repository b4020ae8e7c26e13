import asyncio
from dataclasses import replace

import pytest

from gateway.errors import LinkLost, LinkStopped
from gateway.principal import Principal
from gateway.running import RunningCalls
from tests.gateway.rooms import KEY, Call, settle

CLERK = Call("c1", KEY).principal
SCOUT = replace(CLERK, agent="scout")


def against_clerk(principal: Principal, _tool: str) -> str | None:
    return "auth.revoked" if principal.agent == "clerk" else None


async def wait(running: RunningCalls, principal: Principal, answer: "asyncio.Future[str]") -> str:
    with running.call(principal, "ledger.pay"):
        return await answer


async def begun(running: RunningCalls, principal: Principal) -> "asyncio.Task[str]":
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(wait(running, principal, answer))
    await settle()
    return call


async def test_what_something_stands_against_is_cut_short_and_nothing_else() -> None:
    running = RunningCalls()
    clerk, scout = await begun(running, CLERK), await begun(running, SCOUT)
    running.stop(against_clerk)
    with pytest.raises(LinkStopped):
        await clerk
    assert not scout.done()
    assert len(running) == 1
    scout.cancel()


async def test_a_call_that_has_ended_runs_no_more() -> None:
    running = RunningCalls()
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    answer.set_result("paid")
    assert await wait(running, CLERK, answer) == "paid"
    assert len(running) == 0
    running.stop(against_clerk)
    await asyncio.sleep(0)  # nothing cancels what comes after


async def test_an_answer_that_came_in_the_same_moment_is_not_taken() -> None:
    running = RunningCalls()
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(wait(running, CLERK, answer))
    await settle()
    answer.set_result("paid")
    running.stop(against_clerk)
    with pytest.raises(LinkStopped):
        await call


async def test_a_stopped_call_can_go_on_to_record_its_outcome() -> None:
    async def recording() -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            return await wait(running, CLERK, answer)
        except LinkStopped as error:
            await asyncio.sleep(0)  # what is awaited later is not cancelled
            return error.code

    running = RunningCalls()
    call = asyncio.create_task(recording())
    await settle()
    running.stop(against_clerk)
    running.stop(against_clerk)
    assert await call == "stopped"


async def test_whoever_cancels_the_request_itself_is_not_overheard() -> None:
    running = RunningCalls()
    call = await begun(running, CLERK)
    running.stop(against_clerk)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()


async def test_a_link_that_fails_while_it_is_stopped_was_stopped() -> None:
    async def failing() -> None:
        with running.call(CLERK, "ledger.pay"):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                raise LinkLost("ledger", "the connection ended") from None

    running = RunningCalls()
    call = asyncio.create_task(failing())
    await settle()
    running.stop(against_clerk)
    with pytest.raises(LinkStopped) as stopped:
        await call
    assert isinstance(stopped.value.__cause__, LinkLost)
