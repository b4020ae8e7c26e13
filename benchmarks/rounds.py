"""Rounds: every cell is measured once a round, in alternating order; what counts is the median.

Ratios are taken inside a round, between cells that are minutes apart at most: a machine that is
slower for a while is slower for both.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.load import Numbers, Sample, Target, measure

ENDED_S = 0.5
"""Seconds in which what the load left behind comes to its end."""

Cell = tuple[str, int]
"""Name of the target, and connections."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. seconds  of one cell, after a second of warm-up"""

    connections: tuple[int, ...] = (1, 8, 32)
    rounds: int = 5
    seconds: int = 10

    @classmethod
    def quick(cls) -> "Plan":
        """Enough to see whether something broke; its figures are not to be quoted."""
        return cls(rounds=2, seconds=3)


@dataclass(frozen=True, slots=True)
class Measured:
    """All samples of a run: for each cell one a round."""

    samples: Mapping[Cell, Sequence[Sample]]

    def middle(self, cell: Cell, value: Callable[[Sample], float]) -> float:
        """The median of one value over all rounds."""
        return median(map(value, self.samples[cell]))

    def ratio(self, cell: Cell, to: Cell) -> float:
        """The median of the ratio of calls per second."""
        pairs = zip(self.samples[cell], self.samples[to], strict=True)
        return median(one.rate / other.rate for one, other in pairs)

    def added_ms(self, cell: Cell, to: Cell) -> float:
        """The median of how much longer the median call took."""
        pairs = zip(self.samples[cell], self.samples[to], strict=True)
        return median(one.p50_ms - other.p50_ms for one, other in pairs)

    @property
    def bad(self) -> int:
        """Answers that were not what they had to be; a run that has any is void."""
        return sum(sample.bad for row in self.samples.values() for sample in row)

    @property
    def complaint(self) -> str:
        """One of the bad answers."""
        found = (sample.complaint for row in self.samples.values() for sample in row)
        return next(filter(None, found), "")


def run(targets: Sequence[Target], plan: Plan, say: Callable[[str], None]) -> Measured:
    """Measure all targets. Raises LoadFailed."""
    numbers = Numbers()
    cells = [(target, count) for count in plan.connections for target in targets]
    samples: dict[Cell, list[Sample]] = {(target.name, count): [] for target, count in cells}
    for target in targets:
        target.server.pause()
    for number in range(plan.rounds):
        for target, count in cells if number % 2 == 0 else reversed(cells):
            sample = _alone(target, numbers, connections=count, seconds=plan.seconds)
            samples[target.name, count].append(sample)
            say(f"round {number + 1}: {target.name} at {count}: {sample.rate:,.0f}/s")
    return Measured(samples)


def _alone(target: Target, numbers: Numbers, *, connections: int, seconds: int) -> Sample:
    target.server.resume()
    try:
        return measure(target, numbers, connections=connections, seconds=seconds)
    finally:
        # A call that is halted on its way has waited too long when it is let go: it is refused.
        time.sleep(ENDED_S)
        target.server.pause()
