"""A session: one task of one principal, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

from audit.canonical import Json
from gateway.store.row import UNSTORED


@dataclass(frozen=True, slots=True)
class Session:
    """One task of one principal; times in seconds since the epoch.

    own         the agent asked for it by itself
    parent      the session that it was handed on from; None: nobody's
    root        the session with which its tree began; "": itself
    granted_by  id of the token that it was handed on with
    purpose     the user's words, a line or more for each time they said something
    purpose_at  the entries that hold these words, which are in memory alone
    tools       what the purpose needs; None: not stated
    by          who opened it: `front-end:portal`, `operator:ana`, `agent:clerk`
    touched     when it last did something
    """

    id: str
    agent: str
    user: str | None
    opened: int
    ends: int
    labels: frozenset[str] = frozenset()
    touched: int = 0
    purpose: str | None = field(default=None, metadata=UNSTORED)
    purpose_at: tuple[int, ...] = ()
    tools: tuple[str, ...] | None = None
    own: bool = False
    ended: bool = False
    parent: str | None = None
    root: str = ""
    granted_by: str | None = None
    by: str = ""

    def __post_init__(self) -> None:
        if not self.root:
            object.__setattr__(self, "root", self.id)

    @classmethod
    def from_entry(cls, body: Mapping[str, Json], index: int) -> Self:
        """The session that entry `index`, a `session.open`, begins."""
        actor = cast("Mapping[str, str | None]", body["actor"])
        opened = cast("int", body["opened"])
        said_here = (index,) if "purpose" in body else ()
        return cls(
            id=cast("str", body["session"]),
            agent=cast("str", actor["agent"]),
            user=actor["sub"],
            opened=opened,
            ends=cast("int", body["ends"]),
            labels=frozenset(cast("list[str]", body["labels"])),
            touched=opened,
            purpose_at=tuple(cast("list[int]", body.get("purpose_at", said_here))),
            tools=_read_tools(body.get("purpose_tools")),
            own=cast("bool", body["own"]),
            parent=cast("str | None", body.get("parent")),
            root=cast("str", body.get("root", "")),
            granted_by=cast("str | None", body.get("granted_by")),
            by=cast("str", body["by"]),
        )


def _read_tools(tools: Json) -> tuple[str, ...] | None:
    return None if tools is None else tuple(cast("list[str]", tools))
