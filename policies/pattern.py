"""Patterns in conditions: RE2, which answers in linear time whatever the text and the pattern."""

from collections.abc import Callable

import re2

from policies.errors import ConditionFailed

MAX_LENGTH = 500
MAX_TEXT = 1 << 16  # code points; linear, and yet slow where RE2 runs out of memory for its states
# Bytes for the compiled program and its automata; RE2 refuses a pattern that needs more.
_MAX_MEMORY = 1 << 20


def searcher(pattern: str) -> Callable[[str], bool]:
    """A function that finds the pattern anywhere in a text, case and line ends as RE2 has them.

    Raises ConditionFailed when the pattern is too long, too costly, or none of RE2's.
    """
    if len(pattern) > MAX_LENGTH:
        raise ConditionFailed(f"a pattern has at most {MAX_LENGTH} characters")
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        raise ConditionFailed(f"no RE2 pattern: {error}") from None

    def found(text: str) -> bool:
        if len(text) > MAX_TEXT:
            raise ConditionFailed(f"a text in which a pattern is looked for has at most {MAX_TEXT}")
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            raise ConditionFailed("text holds half a character") from None

    return found
