"""Charges: what one call is counted as, against one limit or budget of the policy.

A charge stands in the decision entry and says by itself what was counted, for whom and for how
long, so that the counters of `gateway.session.limits` are a fold of the log whatever policy is in
force when it is read.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

from audit.canonical import MAX_SAFE, Json
from audit.value import value_type
from policies.decision import Facts
from policies.register import Budget, Limit

MICRO = 1_000_000
"""A budget is counted in millionths of its unit: entries hold whole numbers, prices do not."""

Kind = Literal["limit", "budget"]


@value_type
class Charge:
    """One addition to one counter.

    key     whom it is counted for, as "agent:clerk" or "tool:ledger.pay"
    amount  calls, or millionths of the budget's unit; at least 1
    window  how long it counts, in microseconds
    at      when the call was decided, in microseconds since the epoch
    """

    kind: Kind
    name: str
    key: str
    amount: int
    window: int
    at: int

    @property
    def counter(self) -> str:
        """The counter it is added to."""
        return f"{self.kind}:{self.name}:{self.key}"

    def to_json(self) -> dict[str, Json]:
        """The charge as it stands in a decision entry."""
        return {
            "kind": self.kind,
            "name": self.name,
            "key": self.key,
            "amount": self.amount,
            "window": self.window,
            "at": self.at,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> "Charge":
        """The inverse of `to_json`."""
        return cls(
            kind=cast("Kind", row["kind"]),
            name=cast("str", row["name"]),
            key=cast("str", row["key"]),
            amount=cast("int", row["amount"]),
            window=cast("int", row["window"]),
            at=cast("int", row["at"]),
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What a limit or budget comes down to: `most` in any `window` microseconds."""

    most: int
    window: int

    @classmethod
    def of_limit(cls, limit: Limit) -> "Terms":
        """The same rate over the time in which it gives `burst` calls: `60/min` with a burst of
        20 is 20 in any 20 seconds, and so never more than 60 in a minute.
        """
        rate = limit.rate
        most = limit.burst or rate.count
        window = -(-most * rate.per_s * 1_000_000 // rate.count)
        return cls(most, min(window, MAX_SAFE))

    @classmethod
    def of_budget(cls, budget: Budget) -> "Terms":
        """The amount in millionths; beyond what an entry can hold it counts as that."""
        return cls(min(budget.amount * MICRO, MAX_SAFE), budget.window * 1_000_000)


def counted_for(per: str, facts: Facts) -> str | None:
    """The key of a call under a limit `per` something; None when that is not known here.

    An agent that acts for nobody is counted as itself, so that leaving the person out is no way
    around a limit per user. No name of a person holds a colon.
    """
    match per:
        case "agent":
            return f"agent:{facts.agent}"
        case "user":
            return f"agent:{facts.agent}" if facts.user is None else f"user:{facts.user}"
        case "session":
            return f"session:{facts.session}"
        case "tool":
            return f"tool:{facts.tool}"
        case _:
            return None


def cost(source: str | int | None, args: Mapping[str, Json]) -> int | None:
    """What a call costs, in millionths rounded up; None when that cannot be told.

    source  of the tool's `cost` for the unit: a path into the arguments ("args.amount"), a whole
            number, or None when the tool states none

    A negative value is unknown and never lowers a counter.
    """
    value: Json = source
    if isinstance(source, str):
        value = _follow(source, args)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return math.ceil(Decimal(repr(value)) * MICRO)


def _follow(path: str, args: Mapping[str, Json]) -> Json:
    value: Json = dict(args)
    for name in path.removeprefix("args.").split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value
