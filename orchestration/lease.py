"""Leases: how much a run, or a part of it, may still use.

A part that goes on by itself gets a share, and gives back what it leaves: however a tree of parts
grows, the shares never come to more than the run had. A lease is a local value, recomputed when the
run is replayed, so it needs no counter that several processes would share.
"""

from dataclasses import dataclass
from typing import cast

from gateway.runs.run import Json
from orchestration.stop import Stopped


@dataclass(slots=True)
class Lease:
    """What is left.

    calls   steps that reach somebody
    tokens  of models, input and output together
    cost    of models, in millionths of the unit that prices are stated in
    """

    calls: int
    tokens: int
    cost: int

    def take(self, *, at: str, tokens: int = 0, cost: int = 0) -> None:
        """Use one call, and set aside what it can use at most. Raises Stopped; then nothing is."""
        for name, wanted in (("calls", 1), ("tokens", tokens), ("cost", cost)):
            if wanted > getattr(self, name):
                raise Stopped("exhausted", f"no {name} left for this", at=at, code=f"run.{name}")
        self.calls -= 1
        self.tokens -= tokens
        self.cost -= cost

    def settle(self, *, tokens: int, cost: int) -> None:
        """Take back what was set aside and not used; never more than that."""
        assert tokens >= 0 and cost >= 0, "a call uses no more than was set aside for it"  # noqa: PT018
        self.tokens += tokens
        self.cost += cost

    def split(self, parts: int, *, keep: int = 0) -> list["Lease"]:
        """Equal shares for parts that go on by themselves; what does not divide stays here.

        keep  calls that stay here in any case
        """
        calls = max(0, self.calls - keep)
        share = Lease(calls // parts, self.tokens // parts, self.cost // parts)
        self.calls -= share.calls * parts
        self.tokens -= share.tokens * parts
        self.cost -= share.cost * parts
        return [Lease(share.calls, share.tokens, share.cost) for _ in range(parts)]

    def part(self, *, calls: int | None, tokens: int | None, cost: int | None) -> "Lease":
        """Set aside so much for a piece of work, or all that there is; None: all that there is."""
        left, most = (self.calls, self.tokens, self.cost), (calls, tokens, cost)
        share = Lease(*(a if b is None else min(a, b) for a, b in zip(left, most, strict=True)))
        self.calls -= share.calls
        self.tokens -= share.tokens
        self.cost -= share.cost
        return share

    def give_back(self, left: "Lease") -> None:
        """Take in what a part has left of its share."""
        self.calls += left.calls
        self.tokens += left.tokens
        self.cost += left.cost

    def to_json(self) -> dict[str, Json]:
        """The lease as a value of the run."""
        return {"calls": self.calls, "tokens": self.tokens, "cost": self.cost}

    @classmethod
    def from_json(cls, value: Json) -> "Lease":
        """The inverse of `to_json`."""
        members = cast("dict[str, int]", value)
        return cls(members["calls"], members["tokens"], members["cost"])
