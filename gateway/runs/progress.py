"""Progress: what runs say of how far they are, beside their steps; entries `run.progress`, folded.

Each saying has a name and a few small facts, for whoever watches. Data that belongs to it is sealed
in the log. Nothing follows from any of it, so it waits for no entry and is written with the next.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from audit.canonical import Json
from gateway.store.row import from_row, to_row

KIND = "run.progress"
MOST = 500
"""Sayings that are kept of one run; the steps tell the rest."""
MOST_DATA = 4096
"""Longest data, in bytes of JSON."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Saying(BaseModel):
    """What a run says at one place.

    path    the place; "": the run itself
    number  the how-manieth it is that is said there, from 1: the same one again is no other
    facts   small numbers, and names that the flow itself gives
    data    whatever belongs to it; None: nothing does
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    path: Annotated[str, Field(max_length=4096)]
    number: Annotated[int, Field(ge=1, le=100_000)]
    event: Name
    facts: Annotated[dict[Name, Count | Name], Field(max_length=8)] = Field(default_factory=dict)
    data: JsonValue = None

    def fields(self) -> dict[str, Json]:
        """What stands in the clear in its entry."""
        return {
            "path": self.path,
            "number": self.number,
            "event": self.event,
            "facts": {**self.facts},
        }


@dataclass(frozen=True, slots=True)
class Said:
    """A saying that is in the log.

    index  of its entry
    at     microseconds since 1970
    """

    path: str
    number: int
    event: str
    index: int
    at: int
    facts: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def from_entry(cls, body: Mapping[str, Json], index: int) -> Self:
        """What entry `index`, a `run.progress`, says."""
        return cls(
            path=cast("str", body["path"]),
            number=cast("int", body["number"]),
            event=cast("str", body["event"]),
            index=index,
            at=cast("int", body["ts"]),
            facts=cast("Mapping[str, Json]", body["facts"]),
        )

    def to_json(self) -> dict[str, Json]:
        """The saying as operators are told it."""
        return {
            "path": self.path,
            "number": self.number,
            "event": self.event,
            "facts": dict(self.facts),
            "index": self.index,
            "at": self.at,
        }


class Progress:
    """What was said, by run."""

    def __init__(self) -> None:
        self._by_run: dict[str, dict[tuple[str, int], Said]] = {}
        self._begun: dict[str, set[tuple[str, int]]] = {}  # said by this process

    def of(self, run: str) -> tuple[Said, ...]:
        """What a run has said, oldest first."""
        return tuple(self._by_run.get(run, {}).values())

    def begins(self, run: str, saying: Saying) -> bool:
        """Whether this is new and not one too many, so that it is to be written; asked once."""
        place, begun = (saying.path, saying.number), self._begun.setdefault(run, set())
        known = begun | self._by_run.get(run, {}).keys()
        if place in known or len(known) >= MOST:
            return False
        begun.add(place)
        return True

    def said(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `run.progress`; of one place and number the first counts."""
        said = Said.from_entry(body, index)
        self._by_run.setdefault(str(body["run"]), {}).setdefault((said.path, said.number), said)

    def drop(self, run: str) -> None:
        """Forget what a run has said."""
        self._by_run.pop(run, None)
        self._begun.pop(run, None)

    def stored(self, run: str) -> list[Json]:
        """What a run has said, for a row."""
        return [to_row(said) for said in self.of(run)]

    def restore(self, run: str, row: Json) -> None:
        """The inverse of `stored`."""
        every = [from_row(Said, each) for each in cast("list[Mapping[str, Json]]", row)]
        self._by_run[run] = {(said.path, said.number): said for said in every}
