"""Remarks: what is to be said of one condition, and where in its text it shows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a condition.

    code    stable, as in "condition.unknown-argument"
    offset  0-based character of the text where it shows
    """

    code: str
    message: str
    offset: int
    hint: str | None = None
    severity: Severity = "error"

    def of(self, tool: str) -> "Remark":
        """The same remark, naming the tool whose arguments it speaks of."""
        return replace(self, message=f"{self.message} ({tool})")


class Remarks:
    """The remarks on one condition, each once, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: dict[Remark, None] = {}

    def add(
        self,
        code: str,
        message: str,
        offset: int,
        hint: str | None = None,
        *,
        severity: Severity = "error",
    ) -> None:
        """Say something; `code` is what stands behind "condition."."""
        self._found[Remark(f"condition.{code}", message, offset, hint, severity)] = None

    def __iter__(self) -> Iterator[Remark]:
        return iter(self._found)
