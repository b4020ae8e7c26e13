"""Places: where in a run something is done, and what holds for it there."""

from dataclasses import dataclass
from typing import Self, cast

from gateway.runs.run import Json
from orchestration.lease import Lease
from orchestration.parts import Part
from orchestration.spec import Guard


@dataclass(frozen=True, slots=True)
class Place:
    """One place in a run.

    grant   the path of the grant in whose name is acted there
    lease   what may still be used; shared with the places below that are no tasks of their own
    depth   how deep agents and parts may still lie in each other
    guards  those whose checks every tool has to pass
    refers  bytes from which on what a step gives is kept and referred to; None: it never is
    opens   whether references are what they stand for, to whoever is asked there
    """

    path: str
    grant: str
    lease: Lease
    depth: int
    guards: tuple[Guard, ...] = ()
    refers: int | None = None
    opens: bool = True

    def to_json(self) -> dict[str, Json]:
        """The place as a task of its own is given it, but for its path."""
        return {
            "grant": self.grant,
            "lease": self.lease.to_json(),
            "depth": self.depth,
            "guards": [written(guard) for guard in self.guards],
            "refers": self.refers,
            "opens": self.opens,
        }

    @classmethod
    def from_json(cls, path: str, what: dict[str, Json]) -> Self:
        """The inverse of `to_json`."""
        return cls(
            path,
            str(what["grant"]),
            Lease.from_json(what["lease"]),
            cast("int", what["depth"]),
            tuple(map(Guard.model_validate, cast("list[Json]", what["guards"]))),
            cast("int | None", what.get("refers")),
            what.get("opens") is not False,
        )


def written(node: Part) -> Json:
    """A node as it is kept."""
    return cast("Json", node.model_dump(mode="json", by_alias=True))
