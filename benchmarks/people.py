"""People who answer the agent's questions, from the best there could be to one who is tired."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol

from benchmarks.traces import Step

Verdict = Literal["approve", "deny"]

CARELESS = 0.1
"""The share of bad calls that a careless person says yes to."""


class Person(Protocol):
    """Somebody who is asked."""

    def answer(self, step: Step) -> Verdict | None:
        """What they say to a call; None: nothing at all."""

    def sees(self, step: Step) -> None:
        """A call was made, asked about or not."""


class Ideal:
    """Says yes to exactly the calls that the task takes, each as often as it takes them."""

    def __init__(self, steps: Iterable[Step], play: str = "") -> None:
        del play
        self._due = Counter(step.call for step in steps)

    def answer(self, step: Step) -> Verdict | None:
        """Yes, while such a call is still due."""
        return "approve" if self._due[step.call] > 0 else "deny"

    def sees(self, step: Step) -> None:
        """It is due once less."""
        self._due[step.call] -= 1


class Nobody:
    """Is never there."""

    def __init__(self, steps: Iterable[Step], play: str = "") -> None:
        del steps, play

    def answer(self, step: Step) -> Verdict | None:
        """Nothing."""
        del step
        return None

    def sees(self, step: Step) -> None:
        """Nothing comes of it."""


class Careless(Ideal):
    """Says yes to the calls that the task takes, and to one in ten of all others."""

    def __init__(self, steps: Iterable[Step], play: str = "") -> None:
        super().__init__(steps)
        self._chance = random.Random(play)  # noqa: S311 - the same in every run

    def answer(self, step: Step) -> Verdict | None:
        """Yes where the ideal person says it, and sometimes otherwise."""
        if super().answer(step) == "deny" and self._chance.random() >= CARELESS:
            return "deny"
        return "approve"


PEOPLE: Mapping[str, Callable[[Iterable[Step], str], Person]] = {
    "ideal": Ideal,
    "nobody": Nobody,
    "careless": Careless,
}
"""By name; each is told which calls the task takes, and which play this is."""
