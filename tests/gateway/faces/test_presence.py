"""Whether an answer reached somebody: the gate must know, to give it to a resent call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gateway.action import Outcome
from gateway.faces.presence import attended

if TYPE_CHECKING:
    from tests.gateway.faces.conftest import Agent, GateDouble


async def _never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def _left() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def _slow() -> str:
    for _ in range(5):  # so many turns of the loop, however long they take
        await asyncio.sleep(0)
    return "done"


async def _quick() -> str:
    return "done"


async def test_who_waits_is_present() -> None:
    assert await attended(_slow(), _never) == ("done", True)


async def test_who_left_is_not_and_the_work_is_done_all_the_same() -> None:
    assert await attended(_slow(), _left) == ("done", False)


async def test_who_leaves_during_a_quick_call_is_missed_at_its_end() -> None:
    assert await attended(_quick(), _left) == ("done", False)


async def test_who_waits_for_a_quick_call_is_present() -> None:
    assert await attended(_quick(), _never) == ("done", True)


async def test_a_failure_passes_and_leaves_nothing_behind() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await attended(fail(), _never)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


CALL: dict[str, Any] = {"name": "ledger__pay", "arguments": {}}


async def test_a_delivered_answer_is_reported_once(agent: Agent, gate: GateDouble) -> None:
    await agent.modern("tools/call", CALL)
    assert gate.answered == ["call-1"]


async def test_an_answer_to_nobody_is_not_reported(
    agent: Agent, gate: GateDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object) -> Outcome:
        await _slow()
        return gate.outcome

    monkeypatch.setattr(gate, "cross", slow)
    leaver = agent.of(stays=False)
    await leaver.modern("tools/call", CALL)
    await leaver.of(path="/mcp/ledger").modern("tools/call", {"name": "pay"})
    assert gate.answered == []


async def test_what_was_never_forwarded_owes_no_answer(agent: Agent, gate: GateDouble) -> None:
    gate.outcome = Outcome("denied", "policy.denied", "No.")
    await agent.modern("tools/call", CALL)
    assert gate.answered == []
