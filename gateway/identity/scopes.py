"""Scopes: which tools a credential may be used for, as patterns.

A scope text is a list of patterns separated by single spaces (RFC 6749, section 3.3). A pattern
is `*` (every tool), `git.*` (every tool of one server) or `ledger.pay` (one tool). There is no
other wildcard, so that what two scopes have in common is again such a list.
"""

import re
from collections.abc import Iterable

from gateway.identity.errors import ScopeInvalid

Scopes = tuple[str, ...]
"""Patterns without repetition, none within another, in code-point order. Empty: no tool."""

ALL: Scopes = ("*",)

MAX_TEXT = 4096
"""Longest accepted scope text, in characters."""

_PATTERN = re.compile(r"\*|[a-z][a-z0-9-]{0,19}\.(?:\*|[A-Za-z0-9_./-]{1,128})")


def parse(text: str) -> Scopes:
    """Parse a scope text.

    Raises ScopeInvalid when it is empty, too long, or holds anything that is not a pattern.
    """
    if not 0 < len(text) <= MAX_TEXT:
        raise ScopeInvalid(f"a scope has 1 to {MAX_TEXT} characters")
    patterns = text.split(" ")
    if not all(_PATTERN.fullmatch(pattern) for pattern in patterns):
        raise ScopeInvalid("a scope is `*`, `server.*` or `server.tool`, separated by one space")
    return _reduced(patterns)


def write(scopes: Scopes) -> str:
    """The text of `scopes`, as `parse` takes it."""
    return " ".join(scopes)


def allows(scopes: Scopes, server: str, tool: str) -> bool:
    """Tell whether `scopes` cover a tool, named as its server names it."""
    return "*" in scopes or f"{server}.*" in scopes or f"{server}.{tool}" in scopes


def intersect(left: Scopes, right: Scopes) -> Scopes:
    """What both allow: never wider than either; empty when they have nothing in common."""
    in_left, in_right = frozenset(left), frozenset(right)
    return _reduced(
        [each for each in left if _within(each, in_right)]
        + [each for each in right if _within(each, in_left)]
    )


def _reduced(patterns: Iterable[str]) -> Scopes:
    distinct = frozenset(patterns)
    return tuple(sorted(each for each in distinct if distinct.isdisjoint(_wider(each))))


def _within(pattern: str, scopes: frozenset[str]) -> bool:
    return pattern in scopes or not scopes.isdisjoint(_wider(pattern))


def _wider(pattern: str) -> Scopes:
    """Every pattern that covers more than this one."""
    if pattern == "*":
        return ()
    server, _, tool = pattern.partition(".")
    return ("*",) if tool == "*" else ("*", f"{server}.*")
