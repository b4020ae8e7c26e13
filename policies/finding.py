"""Findings: what is wrong or doubtful in a policy file, and exactly where.

Loading, checking and linting all speak in findings, so that one run reports everything at once
and each of them can be shown, counted, and looked up by its stable code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change, or to look at.

    code      stable, as in "policy.unknown-role"
    message   what was found and what was expected, one line
    at        where it stands
    hint      how to mend it, when that is known ("did you mean 'owner'?")
    severity  an error keeps the whole set from being used; a warning does not
    """

    code: str
    message: str
    at: Position
    hint: str | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        fix = f" ({self.hint})" if self.hint else ""
        return f"{self.at}: {self.severity}[{self.code}]: {self.message}{fix}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The hint for a name that is not among `names`: the one it was probably meant to be."""
    close = get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None
