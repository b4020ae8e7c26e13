"""T44: a yes is good for exactly the call that was shown; anything else is asked about anew."""

from typing import Any

import pytest

from tests.harness.agent import Agent
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOWN: dict[str, Any] = {"amount": 400, "to": "paper"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"amount": 401}, id="amount"),
        pytest.param({"to": "paper "}, id="a-blank-more"),
        pytest.param({"to": "p\u0430per"}, id="a-letter-that-imitates"),
        pytest.param({"to": "pa\u200bper"}, id="something-invisible"),
    ],
)
async def test_t44_one_argument_changed_is_another_call(
    gateway: Running, upstream: Desk, clerk: Agent, changes: dict[str, Any]
) -> None:
    asked = await clerk.call("desk.pay", **SHOWN)
    await gateway.answer(asked.approval)
    other = await clerk.call("desk.pay", **{**SHOWN, **changes})
    assert other.code == "approval.pending"
    assert other.approval != asked.approval
    assert upstream.calls == []


async def test_t44_another_session_of_the_same_agent_is_asked_anew(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    asked = await clerk.call("desk.pay", **SHOWN)
    await gateway.answer(asked.approval)
    again = await gateway.agent(clerk.name)
    assert (await again.call("desk.pay", **SHOWN)).code == "approval.pending"
    assert upstream.calls == []


async def test_t44_an_answer_to_another_digest_counts_for_nothing(
    gateway: Running, clerk: Agent
) -> None:
    asked, other = [await clerk.call("desk.pay", amount=n, to="paper") for n in (500, 600)]
    shown = (await gateway.operate("GET", f"/api/approvals/{other.approval}")).json()
    answered = await gateway.operate(
        "POST",
        f"/api/approvals/{asked.approval}/approve",
        {"digest": shown["digest"], "reason": ""},
        by="omar",
        check=False,
    )
    assert answered.json()["code"] == "approval.changed"
    assert (await clerk.call("desk.pay", amount=500, to="paper")).code == "approval.pending"
