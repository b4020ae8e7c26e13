"""A session: one task of one principal, as a value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self, cast

from audit.canonical import Json

_NOT_STORED = frozenset({"purpose"})


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
    purpose: str | None = None
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

    def to_row(self) -> dict[str, Json]:
        """The session for the stored view, but for words that are kept sealed."""
        row = {name: value for name, value in asdict(self).items() if name not in _NOT_STORED}
        tools = None if self.tools is None else list[Json](self.tools)
        labels, said = list[Json](sorted(self.labels)), list[Json](self.purpose_at)
        return {**row, "labels": labels, "tools": tools, "purpose_at": said}

    @classmethod
    def from_row(cls, row: Mapping[str, Json]) -> Self:
        """The inverse of `to_row`."""
        return cls(
            id=cast("str", row["id"]),
            agent=cast("str", row["agent"]),
            user=cast("str | None", row["user"]),
            opened=cast("int", row["opened"]),
            ends=cast("int", row["ends"]),
            labels=frozenset(cast("list[str]", row["labels"])),
            touched=cast("int", row["touched"]),
            purpose_at=tuple(cast("list[int]", row["purpose_at"])),
            tools=_read_tools(row["tools"]),
            own=cast("bool", row["own"]),
            ended=cast("bool", row["ended"]),
            parent=cast("str | None", row["parent"]),
            root=cast("str", row["root"]),
            granted_by=cast("str | None", row["granted_by"]),
            by=cast("str", row["by"]),
        )


def _read_tools(tools: Json) -> tuple[str, ...] | None:
    return None if tools is None else tuple(cast("list[str]", tools))
