"""Models: one request to a model as a step, with what it can use at most set aside before."""

from collections.abc import Sequence
from typing import cast

from gateway.links.jsonrpc import dump
from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.parts import Prompt, Tool
from orchestration.reach import opened
from orchestration.stop import Stopped

_SHORT = frozenset({"run.calls", "run.tokens", "run.cost"})
"""Codes of stops for which nothing was set aside."""


async def ask(
    here: Context, node: Prompt, messages: Sequence[Json], tools: Sequence[Json]
) -> dict[str, Json]:
    """Ask a model once; its message. Raises Stopped.

    What it can use at most is set aside before: a token is a byte at least.
    """
    path = here.next(f"model.{node.model}")
    args: dict[str, Json] = {
        "messages": [*messages],
        "tools": [*tools],
        "max_tokens": node.max_output,
    }
    most = len(dump(args)) + node.max_output
    dearest = max(node.price_read, node.price_written)
    cost = -(-most * dearest // 1_000_000)
    told = await here.step(Tool(name=f"model.{node.model}"), path, args, tokens=most, cost=cost)
    try:
        answer = cast("dict[str, Json]", opened(told))
    except Stopped as stopped:
        if stopped.reason != "unknown" and stopped.code not in _SHORT:
            _settle(here, path, tokens=most, cost=cost)
        raise
    used, paid = cast("int", answer["tokens"]), cast("int", answer["cost"])
    _settle(here, path, tokens=max(0, most - used), cost=max(0, cost - paid))
    return cast("dict[str, Json]", answer["message"])


def _settle(here: Context, path: str, *, tokens: int, cost: int) -> None:
    """Take back what was set aside for a step and not used, where anything was."""
    if not here.reuses(path):
        here.place.lease.settle(tokens=tokens, cost=cost)
