"""Interrupt: how a command that goes on by itself ends when its user presses Ctrl-C."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Stopping:
    """Whether the user has asked for the end."""

    asked: bool = False
    _cut: Callable[[], None] = lambda: None

    def cuts(self, cut: Callable[[], None]) -> None:
        """Have this called, too: it ends what the program waits for. At once, if it is too late."""
        self._cut = cut
        if self.asked:
            cut()

    def ask(self) -> None:
        """The user wants the end."""
        self.asked = True
        self._cut()


@contextmanager
def until_stopped() -> Iterator[Stopping]:
    """Let Ctrl-C say that it is enough, instead of raising wherever the program happens to be.

    Python drops an exception that a signal raises inside a finaliser or a callback, and a command
    that relied on it would go on for ever.
    """
    stopping = Stopping()

    def ask(_number: int, _frame: object) -> None:
        stopping.ask()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)
