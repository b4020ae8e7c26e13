"""Login codes: how somebody who holds an operator's key gets into a browser with it.

A key is never typed into a page. Whoever holds one asks for a code with it, and types that: it is
good once, for half an hour, with five tries (`gateway.operator.console_code`). In development one
is out from the start, for the first administrator.
"""

from collections.abc import Callable
from contextlib import suppress

from gateway.identity.errors import AuthError
from gateway.operator.console_code import RANDOM_BYTES, ConsoleCode, make


class LoginCodes:
    """The codes that are out, one for each operator.

    random  so many bytes that nobody can guess
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._codes: dict[str, ConsoleCode] = {}

    def give(self, operator: str, now_s: int) -> str:
        """A code for an operator, seen here alone; an earlier one of theirs is over."""
        code = make(self._random(RANDOM_BYTES))
        self.put_out(operator, code, now_s)
        return code

    def put_out(self, operator: str, code: str, now_s: int) -> None:
        """Let a code be good for an operator from now on."""
        self._codes[operator] = ConsoleCode(code, made_s=now_s)

    def take_back(self, operator: str) -> None:
        """End the code of an operator; nothing when there is none."""
        self._codes.pop(operator, None)

    def is_any_good(self, now_s: int) -> bool:
        """Whether somebody can log in with a code now."""
        return any(code.is_good(now_s) for code in self._codes.values())

    def redeem(self, typed: str, now_s: int) -> str:
        """Whose code this is; it is used up.

        A wrong one is a try with each code that is out: who guesses has five in all. Raises
        AuthError: `expired` when none is out, `invalid` when it is none of them.
        """
        for operator, code in list(self._codes.items()):
            if not code.is_good(now_s):
                del self._codes[operator]
        if not self._codes:
            raise AuthError("expired", "no code is out")
        fitting = [operator for operator, code in self._codes.items() if code.fits(typed)]
        if fitting:
            self._codes.pop(fitting[0]).redeem(typed, now_s)
            return fitting[0]
        for code in self._codes.values():
            with suppress(AuthError):
                code.redeem(typed, now_s)
        raise AuthError("invalid", "this is not a code that is out")
