"""Purposes: what a person wants done, in their own words, and the tools that takes.

Stated when a session is opened, by whoever may speak for the person: a front end or an operator. A
front end may add what the person says later; which tools it takes is widened by people alone. An
agent can do neither, so nothing it says can be taken for the person's words.
"""

from dataclasses import dataclass
from typing import Self

from gateway.errors import PurposeInvalid
from gateway.identity import scopes
from gateway.identity.errors import ScopeInvalid

MAX_WORDS = 4000
"""Characters."""

MAX_SAID = 16
"""How often a user may say something in one session: all of it is looked through for each call."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Words and tools.

    tools  patterns as in scopes; None: the words say nothing about tools
    """

    words: str
    tools: tuple[str, ...] | None = None

    @classmethod
    def read(cls, words: str, tools: str | None) -> Self:
        """Check what was stated. Raises PurposeInvalid."""
        if not 0 < len(words) <= MAX_WORDS:
            raise PurposeInvalid(f"a purpose has 1 to {MAX_WORDS} characters")
        if not all(line.isprintable() for line in words.split("\n")) or not words.strip():
            raise PurposeInvalid("a purpose is text that shows")
        try:
            return cls(words, None if tools is None else scopes.parse(tools))
        except ScopeInvalid as error:
            raise PurposeInvalid(str(error)) from error
