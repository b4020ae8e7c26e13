"""Shown codes: how the one person of a development gateway says that it is them.

Whoever sits where the gateway was started sees a code there when a browser asks for one, and types
it into that browser. Each is good once, for half an hour, with five tries.
"""

from collections.abc import Callable

from gateway.identity.errors import AuthError
from gateway.operator.console_code import RANDOM_BYTES, ConsoleCode, make


class ShownCodes:
    """One code after the other.

    person  whom a code proves; None: there is nobody yet
    random  so many bytes that nobody can guess
    show    brings a code before the eyes of that person, and nobody else's
    """

    def __init__(
        self,
        person: Callable[[], str | None],
        random: Callable[[int], bytes],
        show: Callable[[str], None],
    ) -> None:
        self._person = person
        self._random = random
        self._show = show
        self._code: ConsoleCode | None = None

    def want(self, now_s: int) -> None:
        """Show a code, unless one that was shown is still good."""
        if self._code is not None and self._code.is_good(now_s):
            return
        code = make(self._random(RANDOM_BYTES))
        self._code = ConsoleCode(code, made_s=now_s)
        self._show(code)

    def redeem(self, typed: str, now_s: int) -> str:
        """Who typed a code that was shown. Raises AuthError (`expired`, `invalid`)."""
        person = self._person()
        if self._code is None or person is None:
            raise AuthError("invalid", "no code was shown to anybody")
        self._code.redeem(typed, now_s)
        return person
