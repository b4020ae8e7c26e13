"""Steps: what came of calls that the gateway itself makes at known places, as a fold of the log.

A call of a run, or of a rollback, says in its id whose it is and at which place it is made. A
place is looked up here before anything is made there: what was authorised and has no outcome may
have acted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self, cast

from audit.canonical import Json
from gateway.runs.run import place_of
from gateway.store.row import from_row, to_row

Status = Literal["under way", "waiting", "denied", "done", "error", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a step so far.

    agent         in whose name it was made
    call          id of its last decision
    index         of that decision's entry
    at            when that was, in microseconds since 1970
    outcome       index of the entry that says what came of it; None: there is none yet
    us            how long it took until then, in microseconds; None likewise
    asked         people were asked, and their answer is what authorised it
    tokens, cost  what a model used for it; cost in millionths of the prices' unit
    keyed         when it was first sent with its idempotency key, seconds since 1970; None: without
    """

    tool: str
    agent: str
    call: str
    index: int
    at: int
    status: Status
    outcome: int | None = None
    us: int | None = None
    asked: bool = False
    keyed: int | None = None
    tokens: int = 0
    cost: int = 0

    @property
    def may_have_acted(self) -> bool:
        """Whether it was sent to anybody, or may have been."""
        return self.status not in {"waiting", "denied", "refused"}

    def settled(self, body: Mapping[str, Json], index: int) -> Self:
        """The same with what its outcome, entry `index`, says."""
        used = cast("Mapping[str, int]", body.get("used", {}))
        return replace(
            self,
            status=cast("Status", body["status"]),
            outcome=index,
            us=cast("int", body["us"]),
            tokens=used.get("tokens", 0),
            cost=used.get("cost", 0),
        )

    def to_json(self) -> dict[str, Json]:
        """The step as rows and pages hold it."""
        return {
            "tool": self.tool,
            "agent": self.agent,
            "call": self.call,
            "index": self.index,
            "at": self.at,
            "status": self.status,
            "outcome": self.outcome,
            "us": self.us,
            "asked": self.asked,
            "keyed": self.keyed,
            "tokens": self.tokens,
            "cost": self.cost,
        }


class Steps:
    """What was made at which place, by whose it is."""

    def __init__(self) -> None:
        self._by_owner: dict[str, dict[str, Taken]] = {}
        self._calls: dict[str, tuple[str, str]] = {}  # call under way -> owner and path

    def of(self, owner: str) -> Mapping[str, Taken]:
        """What was made, by path, in the order in which it was first made."""
        return self._by_owner.get(owner, {})

    def drop(self, owner: str) -> None:
        """Forget all of somebody's."""
        self._by_owner.pop(owner, None)

    def take_over(self, owner: str, made: Mapping[str, Taken]) -> None:
        """Let somebody have what was made for another."""
        self._by_owner[owner] = dict(made)

    # -- the fold ---------------------------------------------------------------------------

    def decided(self, body: Mapping[str, Json], index: int, *, authorised: bool) -> None:
        """The decision entry of a step."""
        owner, path = place_of(cast("str", cast("Mapping[str, Json]", body["req"])["id"]))
        effect = cast("Mapping[str, Json]", body["decision"])["effect"]
        status: Status = "denied" if effect == "deny" else "waiting"
        if authorised:
            status = "under way"
            self._calls[cast("str", body["id"])] = owner, path
        taken = Taken(
            tool=cast("str", cast("Mapping[str, Json]", body["tool"])["name"]),
            agent=cast("str", cast("Mapping[str, Json]", body["actor"])["agent"]),
            call=cast("str", body["id"]),
            index=index,
            at=cast("int", body["ts"]),
            status=status,
            asked=authorised and body["approval"] is not None,
            keyed=self._keyed(owner, path, body),
        )
        self._by_owner.setdefault(owner, {})[path] = taken

    def settled(self, call_id: str, body: Mapping[str, Json], index: int) -> str | None:
        """The outcome entry of a call: whose step it was, if it was one."""
        place = self._calls.pop(call_id, None)
        if place is None:
            return None
        owner, path = place
        before = self._by_owner.get(owner, {}).get(path)
        if before is None or before.call != call_id:
            return None
        self._by_owner[owner][path] = before.settled(body, index)
        return owner

    def _keyed(self, owner: str, path: str, body: Mapping[str, Json]) -> int | None:
        """When a step was first sent with its key: from then on its server remembers it."""
        before = self._by_owner.get(owner, {}).get(path)
        if before is not None and before.keyed is not None:
            return before.keyed
        return cast("int", body["ts"]) // 1_000_000 if "key" in body else None

    # -- the stored view --------------------------------------------------------------------

    def stored(self, owner: str) -> dict[str, Json]:
        """What was made, for a row."""
        return {path: to_row(taken) for path, taken in self.of(owner).items()}

    def restore(self, owner: str, row: Json) -> None:
        """The inverse of `stored`."""
        rows = cast("Mapping[str, Mapping[str, Json]]", row)
        taken = {path: from_row(Taken, step) for path, step in rows.items()}
        self._by_owner[owner] = taken
        self._calls |= {
            step.call: (owner, path) for path, step in taken.items() if step.status == "under way"
        }
