"""Attempts: a call as the gate sees it, resolved, checked and decided, before anything happens.

Steps 3 to 6 of the path of a call (ARCHITECTURE.md) are here, as one function without effects and
without waiting: what it reads, it reads once, from one world.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from functools import partial
from typing import Never

from audit import canonical
from audit.canonical import Json
from audit.value import value_type
from gateway.action import STEPPED, Action
from gateway.approval.request import Key, Request, arguments_digest
from gateway.catalogue.tools import Tool
from gateway.errors import ToolChanged
from gateway.flow import Flow
from gateway.idempotency import key_of
from gateway.principal import Principal
from gateway.session.limits import Limits
from gateway.session.past import recalled
from gateway.session.session import Session
from gateway.values.releases import NOTHING_LIFTED
from gateway.values.scale import Weighed
from gateway.world import MOST_SEEN, World
from policies.decision import ORIGINS, Decision, Facts
from policies.instant import end_of
from policies.kernel import decide, may_see
from policies.snapshot import ToolRule

_UNASKED: Mapping[str, Never] = {}
"""Of facts that no condition asks for."""
_NO_KINDS: frozenset[str] = frozenset()


@value_type
class Attempt:
    """A decided call that has had no effect yet."""

    id: str  # of the decision entry to come
    principal: Principal
    action: Action
    world: World
    epoch: int
    tool: Tool | None  # None: there is none that this caller may know of
    words: bytes  # the arguments: canonical, and exactly what would be forwarded
    facts: Facts
    decision: Decision
    emits: frozenset[str]  # labels this tool, and what the call names, put on the session
    falls: frozenset[str]  # those of them that are of what the call names
    lifted: frozenset[str]  # labels it is decided without: all that is in it was released
    released_by: frozenset[str]  # who has released what it rests on
    marks: tuple[str, ...]  # digests of what a write of a labelled session marks
    is_read: bool
    rests: bool  # on the user's words: as a write it uses them up
    digest_key: bytes
    began: int  # nanoseconds, monotonic
    _key: Key | None = field(default=None, init=False, compare=False, repr=False)

    def key(self) -> Key:
        """What an equal call has too; made when it is first asked for: most reads need none."""
        if self._key is None:
            object.__setattr__(self, "_key", self._made_key())
        assert self._key is not None
        return self._key

    def _made_key(self) -> Key:
        pin = "" if self.tool is None else self.tool.pin
        who, digest = self.principal, arguments_digest(self.words, self.digest_key)
        # Equal calls of two steps of a run are two calls, with an approval each.
        step = self.action.request_id if self.action.face in STEPPED else ""
        return Key(who.agent, who.user, who.chain, who.session, self.facts.tool, pin, digest, step)

    @property
    def write(self) -> str:
        """By what this call is known when it is made again."""
        return f"{self.facts.tool} {arguments_digest(self.words, self.digest_key)}"

    @property
    def sent_as(self) -> str | None:
        """The key by which the server knows this call again; None where it honours none."""
        if self.is_read:
            return None
        rule = self.world.snapshot.tools.get(self.facts.tool)
        if rule is None or rule.idempotency is None:
            return None
        return self.action.again or key_of(self.action.request_id)

    @property
    def us(self) -> int:
        """Microseconds since the call arrived at the gate."""
        return (time.monotonic_ns() - self.began) // 1000

    @property
    def subject(self) -> str:
        """Whose words the arguments and the result are."""
        return self.principal.user or self.principal.agent

    def denied(self, rule: str) -> "Attempt":
        """The same call, denied by something that stands outside the rules."""
        decision = replace(self.decision, effect="deny", rules=(rule,), obligations=())
        return replace(self, decision=decision)


@value_type
class Ground:
    """What an attempt stands on, taken at one moment.

    now         microseconds since the epoch, by the log's clock
    began       nanoseconds, monotonic: when the call arrived
    digest_key  keys the digest by which equal arguments are recognised
    """

    world: World
    epoch: int
    session: Session
    limits: Limits
    flow: Flow
    now: int
    began: int
    digest_key: bytes


def attempt(principal: Principal, action: Action, ground: Ground, *, call_id: str) -> Attempt:
    """Resolve, check and decide `action`.

    A tool that this caller may not use under any circumstances is not looked at further: what is
    wrong with its arguments would tell that it exists.

    Raises ToolChanged or ArgumentsInvalid.
    """
    world, name = ground.world, f"{action.server}.{action.tool}"
    tool = world.catalogue.lookup(action.server, action.tool)
    if tool is not None and not sees(world, principal, name, ground.now):
        tool = None
    if tool is not None:
        if not tool.callable:
            raise ToolChanged(f"{name} is not the definition that was accepted")
        tool.check(action.args)
    words = canonical.write(action.args)
    known = _known(principal, action, ground, name, words, exists=tool is not None)
    facts = known.facts
    decision = decide(world.snapshot, facts, seen=tool is not None)
    if tool is None and decision.effect != "deny":
        # The listing and the rules disagree: the arguments were not checked, so nothing passes.
        decision = replace(decision, effect="deny", rules=("engine-error",), obligations=())
    rule = world.snapshot.tools.get(name)
    emits, falls, marks = _labels(ground, action, None if tool is None else rule)
    is_read = rule is not None and rule.risk == "read"
    return Attempt(  # by position: CPython 3.11 takes four times as long with names
        call_id,
        principal,
        action,
        world,
        ground.epoch,
        tool,
        words,
        facts,
        decision,
        emits | falls,
        falls,
        known.lifted,
        known.released_by,
        marks,
        is_read,
        known.rests,
        ground.digest_key,
        ground.began,
    )


@value_type
class _Known:
    """What is known of a call before it is decided.

    rests   some value is the user's
    lifted  labels that it is decided without
    released_by  who has released what it rests on
    """

    facts: Facts
    rests: bool
    lifted: frozenset[str]
    released_by: frozenset[str]


def _known(
    principal: Principal, action: Action, ground: Ground, tool: str, words: bytes, *, exists: bool
) -> _Known:
    """The facts, as far as some condition asks for them."""
    snapshot, args, weighed = ground.world.snapshot, action.args, None
    if snapshot.engine.weighs and exists:
        weighed = _weighed(principal, ground, tool, args, words)
    facts = _facts(principal, ground.session, tool, args, ground.now, weighed)
    if snapshot.recalls:
        facts = recalled(snapshot, facts, ground.limits)
    if "secrets" in snapshot.engine.roots and exists:
        links = (principal.agent, *principal.chain)
        facts = replace(facts, secrets=ground.flow.secrets(snapshot, links, tool, args))
    lifted = NOTHING_LIFTED
    if exists and facts.labels:
        match = partial(arguments_digest, words, ground.digest_key)
        lifted = ground.flow.lifted(snapshot, facts, match)
        if lifted.labels:
            facts = replace(facts, labels=facts.labels - lifted.labels)
    rests = weighed is not None and weighed.rests
    by = lifted.by if weighed is None else lifted.by | weighed.vouched
    return _Known(facts, rests, lifted.labels, by)


def _labels(
    ground: Ground, action: Action, rule: ToolRule | None
) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    """Labels of the tool and of what the call names, and what the call marks with all of them."""
    if rule is None:
        return frozenset(), frozenset(), ()
    emits = frozenset[str]() if rule.parts else rule.emits
    falls = ground.flow.fall(action.server, action.args)
    labelled = ground.session.labels or emits or falls
    return emits, falls, ground.flow.marks(action.server, action.args, rule) if labelled else ()


def _weighed(
    principal: Principal, ground: Ground, tool: str, args: Mapping[str, Json], words: bytes
) -> Weighed | None:
    links, tree = (principal.agent, *principal.chain), ground.session.root
    return ground.flow.weigh(
        ground.world.snapshot,
        links,
        tree,
        tool,
        args,
        lambda: arguments_digest(words, ground.digest_key),
    )


ONE_HOP = frozenset({"agents.invoke", "agents.create"})
"""Tools by which work is handed on: not for who can hand it no further."""


def sees(world: World, principal: Principal, tool: str, now: int) -> bool:
    """Whether some call of this tool could pass for this caller; `tool` as `server.tool`.

    A world never changes, and neither does until when this is so in it.
    """
    who = principal
    if tool in ONE_HOP and who.hops < 1:
        return False
    proven = who.bound_to is not None
    asked = (who.agent, who.user, who.user_groups, who.chain, who.scopes, tool, proven)
    known = world.seen.get(asked)
    if known is None:
        known = _seen_until(world, principal) if may_see(world.snapshot, *asked) else 0
        if len(world.seen) >= MOST_SEEN:
            world.seen.clear()
        world.seen[asked] = known
    return now < known


def _seen_until(world: World, principal: Principal) -> float:
    """When the registration of the first link of the chain ends, in microseconds since 1970."""
    links = (principal.agent, *principal.chain)
    ends = (world.snapshot.agents[link].until for link in links)
    return min((end_of(day) for day in ends if day is not None), default=math.inf)


def outgrown(request: Request, call: Attempt) -> tuple[str, ...]:
    """What the call, decided anew, asks beyond what people were shown; empty: the answer fits."""
    return tuple(_differences(request, call))


def _differences(request: Request, call: Attempt) -> Iterator[str]:
    if not set(call.decision.obligations) <= set(request.obligations):
        yield "obligations"
    if not call.facts.labels <= request.labels:
        yield "labels"
    if _is_weaker(call.facts.provenance, dict(request.provenance)):
        yield "provenance"


def _is_weaker(now: Mapping[str, str], shown: Mapping[str, str]) -> bool:
    """Does a value come from somewhere worse than people were told?"""
    return any(
        _STRENGTH[origin] > _STRENGTH[shown.get(name, "none")] for name, origin in now.items()
    )


_STRENGTH: Mapping[str, int] = {origin: place for place, origin in enumerate(ORIGINS)}


def _facts(
    principal: Principal,
    session: Session,
    tool: str,
    args: Mapping[str, Json],
    now: int,
    weighed: Weighed | None,
) -> Facts:
    secrets, risk, sink = _NO_KINDS, "", ""  # found, and stated, where a condition asks
    return Facts(  # by position, as `Attempt`
        principal.agent,
        tool,
        args,
        principal.user,
        principal.user_groups,
        principal.chain,
        principal.scopes,
        session.labels,
        _UNASKED if weighed is None else weighed.provenance,
        _UNASKED if weighed is None else weighed.origin,
        secrets,
        session.purpose,
        session.tools,
        session.id,
        _UNASKED,
        _UNASKED,
        now,
        principal.bound_to is not None,
        risk,
        sink,
        session.root,
    )
