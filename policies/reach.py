"""Reach: which of the registered tools a statement concerns.

A statement names tools, or a class of them by the risk that the `tools:` block states, or both:
then a tool has to be of the class and named. A class never reaches beyond that block: a tool that
nobody has looked at is in none.
"""

from collections.abc import Collection, Mapping

from policies.notation import ANY, tool_matches
from policies.register import Risk


def reached(
    patterns: Collection[str], classes: Collection[Risk], registered: Mapping[str, Risk]
) -> tuple[str, ...]:
    """The tools that patterns and classes cover together, in the order of the register.

    patterns    exact names, `server.*`, `server.prefix*` or `*`; empty: every name
    classes     empty: every class
    registered  the stated risk of each tool
    """
    named = _named(patterns, registered) if patterns else registered
    return tuple(tool for tool in named if not classes or registered[tool] in classes)


def _named(patterns: Collection[str], registered: Mapping[str, Risk]) -> dict[str, None]:
    """Exact names are looked up: a set of rules for each of many tools stays quick to read."""
    found = dict.fromkeys(pattern for pattern in patterns if pattern in registered)
    wide = [pattern for pattern in patterns if pattern.endswith(ANY)]
    found.update((tool, None) for each in wide for tool in registered if tool_matches(each, tool))
    return found
