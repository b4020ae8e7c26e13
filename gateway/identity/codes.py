"""Codes: what a browser carries from a person who agreed to the application that asked.

A code means nothing by itself; what it stands for is kept here, in memory, for a minute, and is
used up by whoever presents it, whatever comes of it. One that comes twice has been copied on the
way: then what it gave is taken back (RFC 6749, section 4.1.2).
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.identity.authorization_request import AuthorizationRequest
from gateway.identity.errors import CodeReused, OAuthError
from gateway.identity.log_ins import Person
from gateway.links.tickets import secret

LIFE_S = 60
REMEMBERED_S = 600
"""How long it is known that a code was used."""

MOST = 4096


@dataclass(frozen=True, slots=True)
class Agreed:
    """A person agreed to what an application asked.

    consent  id of what they agreed to, as it is recorded
    """

    request: AuthorizationRequest
    person: Person
    consent: str


@dataclass(slots=True)
class _Code:
    agreed: Agreed
    issued: int
    session: str | None = None
    taken: bool = False
    came_again: bool = False


class Codes:
    """The codes of the last minutes.

    random  so many bytes that nobody can guess
    now_s   seconds since 1970, by the log's clock
    """

    def __init__(self, random: Callable[[int], bytes], now_s: Callable[[], int]) -> None:
        self._random = random
        self._now_s = now_s
        self._codes: dict[str, _Code] = {}  # by digest, oldest first

    def issue(self, agreed: Agreed) -> str:
        """A code that stands for `agreed`."""
        now = self._now_s()
        for digest, each in list(self._codes.items()):
            if each.issued + REMEMBERED_S > now and len(self._codes) < MOST:
                break
            del self._codes[digest]
        code = secret(self._random)
        self._codes[_digest(code)] = _Code(agreed, now)
        return code

    def take(self, code: str) -> Agreed:
        """What the code stands for, once.

        Raises CodeReused, and OAuthError (`invalid_grant`) when it is unknown or too old.
        """
        found = self._codes.get(_digest(code))
        if found is None:
            raise OAuthError("invalid_grant", "there is no such code")
        if found.taken:
            found.came_again = True
            raise CodeReused(found.session)
        found.taken = True
        if found.issued + LIFE_S <= self._now_s():
            raise OAuthError("invalid_grant", "this code is too old")
        return found.agreed

    def gave(self, code: str, session: str) -> bool:
        """Remember what a code was exchanged for; False when it came again meanwhile."""
        found = self._codes.get(_digest(code))
        if found is None:  # so many came after it that nobody can say
            return False
        found.session = session
        return not found.came_again


def _digest(code: str) -> str:
    return sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
