"""The one-time code: how the one person of a development gateway first logs in with a browser.

It is shown where the gateway was started, typed into a form, and good once, for half an hour, with
five tries. It stands in no address and no log. Ten letters of 32 hold 50 bits.
"""

from hmac import compare_digest

from gateway.identity.errors import AuthError

LIFE_S = 1800
TRIES = 5
RANDOM_BYTES = 10

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: nothing that reads like another
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def make(random: bytes) -> str:
    """A code of `RANDOM_BYTES` random bytes, as it is shown: `7G4KQ-0ZW3M`."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a code is made of {RANDOM_BYTES} random bytes")
    letters = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in random)
    return f"{letters[:5]}-{letters[5:]}"


class ConsoleCode:
    """One code; `made_s` is the second from which it is good."""

    def __init__(self, code: str, *, made_s: int) -> None:
        self._code = _letters(code)
        self._ends = made_s + LIFE_S
        self._left = TRIES

    def is_good(self, now_s: int) -> bool:
        """Whether it can still be used."""
        return self._left > 0 and now_s < self._ends

    def fits(self, typed: str) -> bool:
        """Whether this is it, good or not: no try is counted."""
        letters = _letters(typed).encode("utf-8", "surrogatepass")
        return compare_digest(letters, self._code.encode())

    def redeem(self, typed: str, now_s: int) -> None:
        """Use it up.

        Raises AuthError: `expired` when it was used, mistyped too often or made too long ago,
        `invalid` when this is not it.
        """
        if not self.is_good(now_s):
            raise AuthError("expired", "this code has ended: start the gateway again for another")
        self._left -= 1  # before it is compared: many at once are counted too
        if not self.fits(typed):
            raise AuthError("invalid", "this is not the code")
        self._left = 0


def _letters(code: str) -> str:
    return code.strip().upper().translate(_READ_AS)
