"""Costs: how much of a budget's unit one call takes.

A tool states its cost in a unit as a number, as a value of its arguments, or as a value of its
result. The gateway measures by itself what every call has: the bytes that leave in its arguments
and those that come back. What is known only afterwards is reserved as the budget's `unknown_cost`
and settled when the outcome is recorded.
"""

import math
from collections.abc import Mapping
from decimal import Decimal

from audit.canonical import MAX_SAFE, Json
from policies.register import BYTES_IN, BYTES_OUT
from policies.snapshot import ToolRule
from policies.terms import Budget

MICRO = 1_000_000
"""A budget is counted in millionths of its unit: entries hold whole numbers, prices do not."""


def beforehand(budget: Budget, tool: ToolRule, args: Mapping[str, Json], size: int) -> int | None:
    """What a call is to be reserved, in millionths rounded up; None when that cannot be told.

    size  of its arguments as they are forwarded, in bytes
    """
    if budget.unit == BYTES_OUT:
        amount: int | None = size * MICRO
    else:
        source = tool.cost.get(budget.unit)
        known = None if is_known_afterwards(budget, tool) else source
        amount = cost(known, {"args": args})
    if amount is None and budget.unknown_cost != "deny":
        amount = budget.unknown_cost * MICRO
    return None if amount is None or amount > MAX_SAFE else amount


def afterwards(budget: Budget, tool: ToolRule, result: Mapping[str, Json], size: int) -> int | None:
    """What a call has cost, in millionths rounded up; None when it does not tell.

    size  of its result, in bytes

    It may be more than was reserved: then it is charged nevertheless, as far as an entry can hold.
    """
    if budget.unit == BYTES_IN:
        return min(size * MICRO, MAX_SAFE)
    amount = cost(tool.cost.get(budget.unit), {"result": _members(result)})
    return None if amount is None else min(amount, MAX_SAFE)


def is_known_afterwards(budget: Budget, tool: ToolRule) -> bool:
    """Whether only the result tells what a call costs."""
    source = tool.cost.get(budget.unit)
    return budget.unit == BYTES_IN or (isinstance(source, str) and source.startswith("result."))


def cost(source: str | int | None, values: Mapping[str, object]) -> int | None:
    """A cost in millionths, rounded up; None when it cannot be told.

    source  a path into the values ("args.amount"), a whole number, or None when none is stated

    A negative value is unknown and never lowers a counter.
    """
    value = _follow(source, values) if isinstance(source, str) else source
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return math.ceil(Decimal(repr(value)) * MICRO)


def _follow(path: str, values: Mapping[str, object]) -> object:
    value: object = values
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _members(result: Mapping[str, Json]) -> object:
    """Of a tool's result what its output schema describes, where it has that; else all of it."""
    return result.get("structuredContent", result)
