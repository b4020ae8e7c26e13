"""Circuits: a server that fails an agent again and again is left alone by it for a while.

An agent whose calls hang at a server would wait for each of them to time out, and take places that
others need. After some failures in a row its calls to that server are refused at once; when the
pause is over one call may try, and its success ends the matter. Other agents are not concerned:
what fails may be what this one asks for.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.guard.rules import Circuit

_US = 1_000_000
_MOST = 4096

Opened = Callable[[str, str, int, int], None]
"""Told of server, agent, failures in a row, and until when (microseconds) it is left alone."""


@dataclass(slots=True)
class _State:
    failures: int = 0
    until: int = 0  # microseconds; 0: it is closed


class Circuits:
    """Failures in a row, by server and agent; those without any take no room."""

    def __init__(self, rule: Circuit | None, opened: Opened) -> None:
        self._rule = rule
        self._opened = opened
        self._failing: dict[tuple[str, str], _State] = {}

    def admits(self, server: str, agent: str, now: int) -> bool:
        """Whether a call may be sent; after a pause it is for one call to find out."""
        if not self._failing:  # as mostly
            return True
        state = self._failing.get((server, agent))
        if state is None or not state.until or self._rule is None:
            return True
        if now < state.until:
            return False
        state.until = now + self._rule.pause * _US
        return True

    def succeeded(self, server: str, agent: str) -> None:
        """The server answered."""
        if self._failing:
            self._failing.pop((server, agent), None)

    def failed(self, server: str, agent: str, now: int) -> None:
        """A call was sent, and no answer could be had."""
        if self._rule is None:
            return
        if len(self._failing) >= _MOST:
            self._failing.clear()
        state = self._failing.setdefault((server, agent), _State())
        state.failures += 1
        if state.failures >= self._rule.failures:
            is_news = not state.until
            state.until = now + self._rule.pause * _US
            if is_news:
                self._opened(server, agent, state.failures, state.until)
