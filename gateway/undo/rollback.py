"""One rollback, as the log shows it: whose calls are taken back, by whose order, and how far it is.

Its own calls say in their id what they take back, `<rollback>/<call>`, by the id of that decision.
`<rollback>/<call>/again` is a call of which nobody knows what came of it, sent once more with its
key before it is taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast

from audit.canonical import Json

FACE = "undo"
"""How an action of a rollback says where it comes from."""

AGAIN = "again"

State = Literal["running", "stopped", "ended"]


@dataclass(frozen=True, slots=True)
class Rollback:
    """One rollback; times in seconds since 1970.

    session   the session that it was ordered for
    sessions  that one and all below it: the calls made in them are taken back
    run       the run whose session it is; None: it is no run's
    by        who ordered it: `operator:ana`
    state     a rollback that stopped waits for a person
    at, why   the call at which it stopped, and a sentence; None and "" while it goes on
    left      calls that a person has said are to be left as they are
    """

    id: str
    session: str
    sessions: tuple[str, ...]
    run: str | None
    by: str
    started: int
    state: State = "running"
    at: str | None = None
    why: str = ""
    left: frozenset[str] = frozenset()
    ended: int | None = None

    @classmethod
    def from_entry(cls, body: Mapping[str, Json]) -> Self:
        """The rollback that a `rollback.started` begins."""
        return cls(
            id=cast("str", body["rollback"]),
            session=cast("str", body["session"]),
            sessions=tuple(cast("list[str]", body["sessions"])),
            run=cast("str | None", body["run"]),
            by=cast("str", body["by"]),
            started=cast("int", body["ts"]) // 1_000_000,
        )


def again(call: str) -> str:
    """The place at which a call is sent once more."""
    return f"{call}/{AGAIN}"
