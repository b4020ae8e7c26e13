"""Paging: a long list in parts, by how many lines of it are left out at the beginning."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

PAGE = 200


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """One part of a list.

    lines  with their numbers, from 1 on
    next   how many lines are left out before the part behind this one; None: there is none
    """

    lines: list[tuple[int, T]]
    next: int | None


def part_of(everything: Iterable[T], first: int) -> Part[T]:
    """The part behind so many lines; fewer than none are none."""
    numbered = list(enumerate(everything, start=1))
    first = max(0, first)
    behind = first + PAGE
    return Part(numbered[first:behind], behind if behind < len(numbered) else None)
