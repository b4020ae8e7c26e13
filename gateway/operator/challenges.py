"""Challenges: what passkeys are asked to sign, so that no answer is good twice or elsewhere.

Each is random, good once, for two minutes, for one thing, and in the browser that asked for it.
"""

from collections.abc import Callable
from hashlib import sha256

from audit.assertion import CHALLENGE_BYTES
from gateway.operator.errors import OperatorRefused

LIFE_S = 120
MAX_PENDING = 1024


class Challenges:
    """The challenges that are under way.

    random  so many bytes that nobody can guess
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._pending: dict[bytes, tuple[bytes, int]] = {}  # oldest first

    def begin(self, purpose: str, browser: str, now_s: int) -> bytes:
        """A new challenge; an earlier one for the same is over.

        browser  a secret that this browser alone shows
        """
        for key, (_, until) in list(self._pending.items()):
            if until <= now_s or len(self._pending) >= MAX_PENDING:
                del self._pending[key]
        key = _key(purpose, browser)
        self._pending.pop(key, None)
        challenge = self._random(CHALLENGE_BYTES)
        self._pending[key] = challenge, now_s + LIFE_S
        return challenge

    def take(self, purpose: str, browser: str | None, now_s: int) -> bytes:
        """The challenge that this browser was given, used up whatever comes of it.

        Raises OperatorRefused (`operator.login`) when there is none, or its time is over.
        """
        found = None if browser is None else self._pending.pop(_key(purpose, browser), None)
        if found is None or now_s >= found[1]:
            raise OperatorRefused("operator.login", "this was not begun here, or has ended")
        return found[0]


def _key(purpose: str, browser: str) -> bytes:
    return sha256(f"{purpose}\0{browser}".encode("utf-8", "surrogatepass")).digest()
