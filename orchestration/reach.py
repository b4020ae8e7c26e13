"""Reaching out: one step of a run, from what a flow says to what came of it.

What comes of a step is kept as `{"value": ...}`, or as `{"stopped": ...}` with a named reason: a
replay then sees the same, whatever the gate would say today.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from gateway.action import Outcome
from gateway.runs.given import text_of, value_of
from gateway.runs.run import Json
from gateway.runs.step import Step
from gateway.runs.way import Way
from orchestration.parts import Agent, Approve, Part, Tool
from orchestration.stop import Reason, Stopped
from orchestration.template import filled

Told = dict[str, Json]

AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before further attempts at a step for which something was away, or while whose decision
rights changed somewhere: nothing was done then. Also at one whose answer was lost, where its server
acts once for its key.
"""

_AGAIN = frozenset({"policy.changed"})

_CANCELLED = frozenset({"run.cancelled", "run.cut"})

_REASONS: Mapping[str, Reason] = {
    "denied": "denied",
    "refused": "refused",
    "error": "failed",
    "unknown": "unknown",
    "unavailable": "unavailable",
}


def addressed(node: Part, value: Json, *, at: str) -> tuple[str, str, dict[str, Json]]:
    """Server, tool and arguments of a node that is one step. Raises Stopped."""
    if isinstance(node, Agent):
        return "agents", node.name, {"task": value}
    if isinstance(node, Approve):
        return "approvals", node.by, {"question": node.question, "about": value}
    assert isinstance(node, Tool), "no other node is one step"
    server, _, tool = node.name.partition(".")
    args = value if node.args is None else filled(cast("Json", node.args), value, at=at)
    if not isinstance(args, dict):
        detail = f"{node.name} takes an object, and the value at hand is none"
        raise Stopped("failed", detail, at=at, code="run.arguments")
    return server, tool, args


async def reached(hop: Way, step: Step, node: Part, value: Json, *, hand_to: str | None) -> Told:
    """Make a step, again where something was away.

    hand_to  the agent that goes on in its own name once it was reached; None: it answers at once
    """
    outcome = await _made(hop, step)
    if outcome.status == "done" and hand_to is not None:
        refused = await hop.hand_on(step.run, step.grant, step.path, hand_to)
        outcome = refused or outcome
    if isinstance(node, Approve):
        return _approved(hop, step, node, outcome, value)
    if outcome.status == "done":
        return {"value": value_of(outcome)}
    return _stopped(outcome, step.path)


async def narrowed(hop: Way, run: str, grant: str, path: str, tools: Sequence[str]) -> Told:
    """Let nothing but these tools be used under `path`, in the name of `grant`."""
    refused = await hop.narrow(run, grant, path, tools)
    return {"value": None} if refused is None else _stopped(refused, path)


def opened(told: Told) -> Json:
    """The value of what came of a step. Raises Stopped where there is none."""
    if "stopped" in told:
        raise Stopped.from_json(cast("dict[str, Json]", told["stopped"]))
    return told["value"]


async def _made(hop: Way, step: Step) -> Outcome:
    for pause in AGAIN_S:
        if hop.now_s >= step.until_s:
            return Outcome("denied", "run.wall", "The time of the run is up.")
        outcome = await hop.deliver(step)
        if not _is_open(hop, step, outcome):
            return outcome
        await asyncio.sleep(pause)
    return await hop.deliver(step)


def _is_open(hop: Way, step: Step, outcome: Outcome) -> bool:
    """Whether a further attempt may find out more, and does nothing twice."""
    if outcome.status == "unknown":
        return hop.repeats(step.run, step.path)
    return outcome.status == "unavailable" or outcome.code in _AGAIN


def _approved(hop: Way, step: Step, node: Approve, outcome: Outcome, value: Json) -> Told:
    if outcome.code == "approval.denied" and node.otherwise == "go-on":
        return {"value": {"approved": False, "value": value}}
    if outcome.status != "done":
        return _stopped(outcome, step.path)
    if not hop.asked(step.run, step.path):  # a rule that allows it is no person's yes
        detail = f"the policy lets approvals.{node.by} pass without asking anybody"
        stopped = Stopped("refused", detail, at=step.path, code="run.not-asked")
        return {"stopped": stopped.to_json()}
    return {"value": value if node.otherwise == "stop" else {"approved": True, "value": value}}


def _stopped(outcome: Outcome, at: str) -> Told:
    reason, code = _REASONS[outcome.status], outcome.code
    if code in _CANCELLED:
        reason = "cancelled"
    elif code == "run.wall":
        reason = "exhausted"
    detail = outcome.text or text_of(outcome) or outcome.status
    return {"stopped": Stopped(reason, detail, at=at, code=code).to_json()}
