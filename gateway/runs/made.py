"""Made agents: a model with instructions and tools, which an agent makes for itself for a while.

One is no principal and no policy names it: what it does is done as the agent that made it, with no
tool but those it was made with, decided each time by the rights that its maker has then. So it can
never do more than its maker, its labels are its maker's, and it is gone when the session is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import ValidationError

from audit.canonical import Json
from audit.errors import SealBroken, SubjectErased
from gateway.catalogue.agents import PromptSpec
from gateway.gate import Gate
from gateway.identity import scopes
from gateway.links.jsonrpc import dump
from gateway.principal import Principal, actor
from gateway.recorder import Recorder
from gateway.rooms import Rooms
from gateway.runs.errors import RunRefused
from gateway.store.row import from_row, to_row

CREATED = "agent.created"

PREFIX = "made."
"""How the names of made agents begin; no name of a flow or an agent of a deployment holds a dot."""

MOST = 16
"""How many made agents one session may have."""

_FORBIDDEN = frozenset({"agents", "approvals"})
"""Servers of which a made agent gets nothing: it reaches no agent and asks nobody by itself."""


@dataclass(frozen=True, slots=True)
class Made:
    """One made agent.

    name     `made.` and an id
    session  in which it was made; it is for that session alone
    scopes   the tools that it has, its model among them
    ends     when it is gone, seconds since 1970
    at       the entry that holds what it was made of
    """

    name: str
    session: str
    scopes: scopes.Scopes
    ends: int
    at: int


class MadeAgents:
    """A room of the state, filled from entries `agent.created`."""

    def __init__(self) -> None:
        self._by_name: dict[str, Made] = {}
        self.changed: set[str] = set()

    def find(self, name: str, session: str, now_s: int) -> Made | None:
        """The made agent of that name, for that session."""
        made = self._by_name.get(name)
        return made if made is not None and made.session == session and now_s < made.ends else None

    def of(self, session: str, now_s: int) -> tuple[Made, ...]:
        """The made agents of a session, oldest first."""
        every = self._by_name.values()
        return tuple(made for made in every if made.session == session and now_s < made.ends)

    def at(self, name: str) -> int | None:
        """The entry that holds what the made agent of that name is made of."""
        made = self._by_name.get(name)
        return None if made is None else made.at

    def created(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `agent.created`."""
        name = cast("str", body["agent"])
        self._by_name[name] = Made(
            name=name,
            session=cast("str", body["session"]),
            scopes=scopes.parse(cast("str", body["scope"])),
            ends=cast("int", body["ends"]),
            at=index,
        )
        self.changed.add(name)

    def forget(self, now_s: int) -> None:
        """Drop those whose time is over."""
        for name in [made.name for made in self._by_name.values() if made.ends <= now_s]:
            del self._by_name[name]
            self.changed.add(name)

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one made agent; None when it is gone."""
        made = self._by_name.get(key)
        return None if made is None else to_row(made)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._by_name[key] = from_row(Made, row)


class Making:
    """Makes agents."""

    def __init__(self, rooms: Rooms, made: MadeAgents) -> None:
        self._rooms = rooms
        self._gate = Gate(rooms)
        self._made = made
        self._under_way: dict[str, int] = {}

    async def make(self, principal: Principal, members: Mapping[str, Json], keep_s: int) -> Made:
        """Make an agent, in the log first.

        members  of a `PromptSpec`; tools by the names that agents know them by, or `server.tool`
        keep_s   for how many seconds; it is gone with the session at the latest

        Raises RunRefused, SessionEnded, AuditUnavailable.
        """
        recorder, session = self._rooms.recorder, principal.session
        now_s = recorder.now() // 1_000_000
        spec = self._within(principal, members)
        live = self._rooms.sessions.live(principal, now_s)
        under_way = self._under_way.get(session, 0)
        if len(self._made.of(session, now_s)) + under_way >= MOST:
            raise RunRefused("agent.too-many", f"a session has {MOST} made agents at a time")
        name = f"{PREFIX}{recorder.new_id()}"
        fields: dict[str, Json] = {
            "agent": name,
            "actor": actor(principal),
            "session": session,
            "scope": scopes.write(scopes.parse(" ".join([*spec.tools, f"model.{spec.model}"]))),
            "ends": min(now_s + keep_s, live.ends),
        }
        self._under_way[session] = under_way + 1  # no await lies between the count and this
        try:
            await recorder.write_sealed(
                CREATED,
                fields,
                subject=principal.user or principal.agent,
                name="spec",
                words=dump(spec.model_dump(mode="json")),
            )
        finally:
            self._under_way[session] -= 1
            if not self._under_way[session]:
                del self._under_way[session]
        found = self._made.find(name, session, now_s)
        assert found is not None, "what is durable is folded"
        return found

    def _within(self, principal: Principal, members: Mapping[str, Json]) -> PromptSpec:
        """What is asked for, if all that is in it is something that its maker may use now."""
        listing = self._gate.listing(principal)
        known = {name: tool for tool in listing for name in (tool.published, tool.qualified)}
        wanted = [str(each) for each in cast("list[Json]", members.get("tools", []))]
        for name in (*wanted, f"model.{members['model']}"):
            if name not in known or known[name].server in _FORBIDDEN:
                raise RunRefused("agent.tools", f"you have no {name[:200]} to give to it")
        tools = sorted({known[name].qualified for name in wanted})
        try:
            return PromptSpec.model_validate({**members, "tools": tools})
        except ValidationError as error:
            place = ".".join(str(each) for each in error.errors(include_input=False)[0]["loc"])
            raise RunRefused("agent.invalid", f"no agent can be made of this {place}") from None


def spec_of(recorder: Recorder, at: int) -> PromptSpec | None:
    """What a made agent is made of, by the entry that says so; None when it was erased."""
    try:
        words = recorder.words(at, "spec")
    except (SealBroken, SubjectErased):
        return None
    return None if words is None else PromptSpec.model_validate_json(words)
