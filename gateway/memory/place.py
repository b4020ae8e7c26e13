"""Places: whose memory a call means, and how much fits there.

A place follows from the session, the agent and the user of the credential, and from what the policy
says of the space that the call names. Nothing an agent writes can name the owner.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast, get_args

from audit.canonical import Json
from audit.value import value_type
from gateway.links.link import Caller
from gateway.memory.definitions import MAX_VALUE
from policies.document import SESSION
from policies.register import Space
from policies.snapshot import Snapshot

Of = Literal["session", "agent", "team", "user"]
"""What a place belongs to."""

_OWN: Final = Space()
"""What holds for the memory of a session when the policy says nothing of it."""


@value_type
class Place:
    """One memory: that of a session, or of an agent, a team or a user in a space of the policy.

    owner  id of the session, or name of whom it belongs to
    """

    of: Of
    space: str
    owner: str

    @property
    def subject(self) -> str:
        """What its keys are kept under; no two places have the same."""
        return f"{self.of}:{self.space}/{self.owner}"

    def to_json(self) -> dict[str, Json]:
        """The place as it stands in entries and rows."""
        return {"of": self.of, "space": self.space, "owner": self.owner}

    @classmethod
    def from_json(cls, value: Json) -> "Place":
        """The inverse of `to_json`."""
        members = cast("Mapping[str, str]", value)
        assert members["of"] in get_args(Of)
        return cls(cast("Of", members["of"]), members["space"], members["owner"])


@value_type
class Reach:
    """A place that a call may use, and what fits there.

    keep_s   how long an entry lives at most; None: as long as its place
    entries  how many it holds at most; `bytes` of keys and values together
    longest  bytes of one of them
    """

    place: Place
    keep_s: int | None
    entries: int
    bytes: int
    longest: int = MAX_VALUE


def reach(snapshot: Snapshot, caller: Caller, session: str, space: str) -> Reach | None:
    """The place that this caller means by that space; None when there is none for it.

    A space that does not exist and one that is not for this caller are one and the same.
    """
    stated = snapshot.spaces.get(space)
    if space == SESSION:
        return _reach(Place("session", SESSION, session), stated or _OWN)
    if stated is None or not all(
        _admits(stated, snapshot, agent) for agent in (caller.agent, *caller.chain)
    ):
        return None
    place = _place(snapshot, caller, space, stated)
    return None if place is None else _reach(place, stated)


def _place(snapshot: Snapshot, caller: Caller, space: str, stated: Space) -> Place | None:
    match stated.of:
        case "agent":
            return Place("agent", space, caller.agent)
        case "team":
            team = snapshot.agents[caller.agent].owner
            return None if team is None else Place("team", space, team)
        case "user":
            return None if caller.user is None else Place("user", space, caller.user)
        case None:
            return None


def _admits(stated: Space, snapshot: Snapshot, agent: str) -> bool:
    registered = snapshot.agents.get(agent)
    if registered is None:
        return False
    return agent in stated.agents or not set(stated.roles).isdisjoint(registered.roles)


def _reach(place: Place, stated: Space) -> Reach:
    return Reach(place, stated.keep, stated.entries, stated.bytes)
