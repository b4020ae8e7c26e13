"""Charges: what one call is counted as, against one limit, budget or history.

A charge stands in the decision entry and says by itself what was counted, for whom and for how
long, so that the counters of `gateway.session.limits` are a fold of the log whatever policy is in
force when it is read.
"""

from collections.abc import Mapping
from typing import Literal, cast

from audit.canonical import Json
from audit.value import value_type
from policies.decision import Facts

Kind = Literal["limit", "budget", "history"]
SLOTS = 30
"""Parts of a window; what is charged in one counts until all of it has left the window."""


@value_type
class Charge:
    """One addition to one counter.

    name    of the limit or budget; in a history the tool
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
        """The counter it is added to; a history has one for each window that is asked about."""
        if self.kind == "history":
            return f"history:{self.name}@{self.window}:{self.key}"
        return f"{self.kind}:{self.name}:{self.key}"

    @property
    def slot(self) -> int:
        """When the part of the window ends in which it counts."""
        length = -(-self.window // SLOTS)
        return (self.at // length + 1) * length

    def of(self, amount: int) -> "Charge":
        """The same charge, of another amount."""
        return Charge(self.kind, self.name, self.key, amount, self.window, self.at)

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
        case "tree":
            return f"tree:{facts.tree or facts.session}"
        case "tool":
            return f"tool:{facts.tool}"
        case _:
            return None


def histories(facts: Facts) -> tuple[str, ...]:
    """The keys of the histories that a call belongs to: of every agent that has a part in it, with
    whom it is done for, in whatever session. So handing work on is no way around one.
    """
    suffix = "" if facts.user is None else f" user:{facts.user}"
    return tuple([f"agent:{link}{suffix}" for link in (facts.agent, *facts.chain)])
