"""Tickets: what is handed to a browser and must come back once, soon, and in the same browser.

The state of an authorization request, and the secret of a form. A ticket means nothing by itself:
what it stands for is kept here, in memory, and is used up whatever comes of it.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Generic, TypeVar

from gateway.errors import ConnectRefused

LIFETIME_S = 600
MOST = 1024
_BYTES = 32

About = TypeVar("About")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[About]):
    about: About
    browser: str  # digest
    until: int


class Tickets(Generic[About]):
    """Tickets that stand for values of one kind.

    random  so many bytes that nobody can guess
    now_s   seconds since 1970, by the log's clock
    """

    def __init__(self, random: Callable[[int], bytes], now_s: Callable[[], int]) -> None:
        self._random = random
        self._now_s = now_s
        self._kept: dict[str, _Kept[About]] = {}  # by digest, oldest first

    def issue(self, about: About, browser: str) -> str:
        """A ticket for the browser that holds the secret `browser` in a cookie."""
        now = self._now_s()
        for digest, kept in list(self._kept.items()):
            if kept.until <= now or len(self._kept) >= MOST:
                del self._kept[digest]
        ticket = secret(self._random)
        self._kept[_digest(ticket)] = _Kept(about, _digest(browser), now + LIFETIME_S)
        return ticket

    def take(self, ticket: str, browser: str | None) -> About:
        """What the ticket stands for, once. Raises ConnectRefused."""
        kept = self._kept.pop(_digest(ticket), None)
        if kept is None or kept.until <= self._now_s():
            raise ConnectRefused("this was not begun here, was done already, or took too long")
        if browser is None or not compare_digest(_digest(browser), kept.browser):
            raise ConnectRefused("this was begun in another browser")
        return kept.about


def secret(random: Callable[[int], bytes]) -> str:
    """A text that nobody can guess, as it can stand in a URL or a cookie."""
    return urlsafe_b64encode(random(_BYTES)).rstrip(b"=").decode()


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
