"""Lint: what a policy set may say, and a careful reviewer would still ask about.

Loading refuses what is wrong; lint points at what is legal and probably not meant: an owner that
is missing, a rule that can never match, a bound on one side only. Each finding has a stable code,
a place, and the way to mend it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import chain

from policies.document import Guardrail, PolicyDocument, Rule
from policies.finding import Finding, Position
from policies.joined import Joined, Placed
from policies.lint_conditions import lint_condition
from policies.register import BYTES_IN, BYTES_OUT, Tool
from policies.terms import Budget

MOST_CANDIDATES = 20
"""Rules for one agent and tool above which a decision becomes noticeably slower."""

EXPIRY_NOTICE = timedelta(days=30)


def lint(documents: Sequence[PolicyDocument], *, today: date) -> tuple[Finding, ...]:
    """Everything worth a second look in a set that `load_policies` accepted, in file order."""
    joined = Joined(tuple(documents))
    findings = chain(
        chain.from_iterable(check(joined) for check in _CHECKS),
        chain.from_iterable(lint_condition(each, joined) for each in joined.statements),
        _ends(joined, today),
    )
    files = [document.source.file for document in documents]
    return tuple(sorted(findings, key=lambda f: (files.index(f.at.file), f.at, f.code)))


def _people(joined: Joined) -> Iterator[Finding]:
    stated = [document for document in joined.documents if document.policy.users is not None]
    if joined.agents and not stated:
        at = joined.position("agents", next(iter(joined.agents)))
        message = "no file says what may be done in the name of a person: nothing may"
        yield _warn("lint.users-unstated", message, at, "write users: {default: unrestricted}")
    for name, agent in joined.agents.items():
        if agent.owner is None:
            at = joined.position("agents", name)
            yield _warn("lint.no-owner", f"agent {name!r} has no owner", at, "add owner: TEAM")


def _approvals(joined: Joined) -> Iterator[Finding]:
    for name, approval in joined.approvals.items():
        members = joined.groups[approval.from_].members
        if members and approval.quorum > len(members):
            message = f"{approval.quorum} are asked of a group of {len(members)}: nobody ever can"
            at = joined.position("approvals", name, "quorum")
            yield Finding("lint.quorum", message, at, "lower the quorum or add members")
        alone = approval.break_glass
        if alone and alone.from_ == approval.from_:
            at = joined.position("approvals", name, "break_glass")
            message = "whoever is asked may break the glass as well, without anybody else"
            yield _warn("lint.break-glass", message, at, "name a group of its own")
        if approval.self_:
            at = joined.position("approvals", name, "self")
            message = "the person who asks may decide as well"
            yield _warn("lint.self-approval", message, at, "leave 'self' out")


def _unused(joined: Joined) -> Iterator[Finding]:
    named: dict[str, set[str]] = {"approvals": set(), "limits": set(), "budgets": set()}
    for each in joined.statements:
        if each.said.approval:
            named["approvals"].add(each.said.approval)
        if isinstance(each.said, Rule):
            named["limits"].update(each.said.limits)
            named["budgets"].update(each.said.budgets)
    named["groups"] = {group for each in joined.approvals.values() for group in each.groups}
    for block, used in named.items():
        for name in getattr(joined, block):
            if name not in used:
                at = joined.position(block, name)
                message = f"nothing refers to {name!r} of {block}"
                yield _warn("lint.unused", message, at, "remove it, or refer to it")


def _roles(joined: Joined) -> Iterator[Finding]:
    used = frozenset(role for each in joined.statements for role in each.said.roles)
    for name, agent in joined.agents.items():
        for role in agent.roles:
            if role not in used:
                at = joined.position("agents", name, "roles")
                yield _warn("lint.unused-role", f"no rule speaks of the role {role!r}", at)


def _irreversible(joined: Joined) -> Iterator[Finding]:
    asked = frozenset(
        pair
        for each in joined.statements
        if isinstance(each.said, Guardrail) and each.effect == "ask"
        for pair in joined.pairs(each.said)
    )
    for each in joined.grants:
        final = [
            tool
            for tool in sorted(joined.tools_reached(each.said))
            if joined.tools[tool].risk == "irreversible"
        ]
        if each.effect != "allow" or not final:
            continue
        if not each.said.when and not joined.pairs(each.said) <= asked:
            message = f"{final[0]} cannot be undone, and is allowed without a condition"
            yield _warn("lint.allow-irreversible", message, each.at("effect"), "ask, or add 'when'")
        if not each.said.why:
            message = f"{final[0]} cannot be undone, and the rule does not say why it is allowed"
            yield _warn("lint.no-why", message, each.at("id"), "add why: SENTENCE")


def _never_matching(joined: Joined) -> Iterator[Finding]:
    refused: dict[tuple[str, str], str] = {}
    for each in joined.statements:
        if each.effect == "deny" and not each.said.when and not _expires(each):
            refused.update(dict.fromkeys(joined.pairs(each.said), each.said.id))
    for each in joined.grants:
        pairs = joined.pairs(each.said)
        if not joined.tools_reached(each.said):
            message = "no tool of the register is of its class"
            yield _warn("lint.never-matches", message, each.at("risk"), "see the tools: block")
        elif not pairs:
            message = "no agent it concerns may take the risk of any of its tools"
            yield _warn("lint.never-matches", message, each.at("tools"), "see max_risk")
        elif pairs <= refused.keys():
            by = ", ".join(sorted({refused[pair] for pair in pairs}))
            message = f"whatever it grants is always denied by {by}"
            yield _warn("lint.shadowed", message, each.at("id"), "remove one of them")


def _repeated(joined: Joined) -> Iterator[Finding]:
    first: dict[object, str] = {}
    for each in joined.statements:
        said = each.said
        until = said.until if isinstance(said, Rule) else None
        meaning = (
            frozenset(said.subjects), bool(said.roles), frozenset(said.tools), frozenset(said.risk),
            said.effect, said.when, said.approval, until,
        )  # fmt: skip
        before = first.setdefault(meaning, said.id)
        if before != said.id:
            message = f"says the same as {before!r}"
            yield _warn("lint.repeated", message, each.at("id"), "remove one of them")


def _crowded(joined: Joined) -> Iterator[Finding]:
    candidates = Counter(pair for each in joined.statements for pair in joined.pairs(each.said))
    for (agent, tool), count in sorted(candidates.items()):
        if count > MOST_CANDIDATES:
            message = f"{count} rules concern {agent} and {tool}, more than {MOST_CANDIDATES}"
            at = joined.position("agents", agent)
            yield _warn("lint.crowded", message, at, "join rules that differ only in a value")


def _edges(joined: Joined) -> Iterator[Finding]:
    granted = frozenset(pair for each in joined.grants for pair in joined.pairs(each.said))
    for document in joined.documents:
        edges = document.policy.delegation.edges if document.policy.delegation else ()
        for index, edge in enumerate(edges):
            for place, pattern in enumerate(edge.tools):
                lent = {(edge.to, tool) for tool in joined.tools_of([pattern])}
                if lent and not lent & granted:
                    at = document.source.at("delegation", "edges", index, "tools", place)
                    message = f"{edge.to} has no rule for {pattern}: a chain may never use it"
                    yield _warn("lint.edge-without-right", message, at)


def _costs(joined: Joined) -> Iterator[Finding]:
    for each in joined.grants:
        assert isinstance(each.said, Rule)
        for place, name in enumerate(each.said.budgets):
            budget = joined.budgets[name]
            if budget.unknown_cost != "deny":
                continue
            for tool in sorted(joined.tools_reached(each.said)):
                yield from _unknown_cost(
                    joined.tools[tool], tool, budget, each.at("budgets", place)
                )


def _unknown_cost(tool: Tool, name: str, budget: Budget, at: Position) -> Iterator[Finding]:
    source = None if tool.cost is None else tool.cost.get(budget.unit)
    if budget.unit == BYTES_IN or str(source).startswith("result."):
        message = f"what {name} costs is known only afterwards: the budget denies each call"
        yield _warn("lint.no-cost", message, at, "reserve a sum with unknown_cost: NUMBER")
    elif source is None and budget.unit != BYTES_OUT:
        message = f"{name} states no cost in {budget.unit}: the budget denies each call"
        yield _warn(
            "lint.no-cost", message, at, f"add cost: {{{budget.unit}: args.NAME}} to the tool"
        )


def _spaces(joined: Joined) -> Iterator[Finding]:
    memory = joined.tools_of(["memory.*"])
    granted = frozenset(pair for each in joined.grants for pair in joined.pairs(each.said))
    for name, space in joined.spaces.items():
        users = joined.users_of(space) if space.of else frozenset(joined.agents)
        if not any((agent, tool) in granted for agent in users for tool in memory):
            at = joined.position("spaces", name)
            message = f"no rule lets an agent that may use the space {name!r} use memory"
            yield _warn("lint.unused", message, at, "add a rule for memory.*, or remove the space")


def _releases(joined: Joined) -> Iterator[Finding]:
    for said, at in joined.releases:
        if said.when is None:
            message = f"the agent chooses which call of {said.tool} the value is taken from"
            yield _warn("lint.release-any-call", message, at, "add 'when'")


def _triggers(joined: Joined) -> Iterator[Finding]:
    for name, trigger in joined.triggers.items():
        at = joined.position("triggers", name)
        if not any(
            agent == trigger.flow for each in joined.grants for agent, _ in joined.pairs(each.said)
        ):
            message = f"no rule lets {trigger.flow!r}, which {name!r} starts, do anything"
            yield _warn("lint.unused", message, at, "add a rule, or remove the trigger")
        if trigger.payload == "trusted":
            message = f"what {name!r} is sent counts as trusted, whoever signs it"
            yield _warn("lint.trusted-payload", message, at, "leave 'payload' out")


_CHECKS: tuple[Callable[[Joined], Iterator[Finding]], ...] = (
    _people,
    _approvals,
    _unused,
    _roles,
    _irreversible,
    _never_matching,
    _repeated,
    _crowded,
    _edges,
    _costs,
    _spaces,
    _releases,
    _triggers,
)


def _ends(joined: Joined, today: date) -> Iterator[Finding]:
    for each in joined.statements:
        if isinstance(each.said, Rule) and each.said.until is not None:
            yield from _end(each.said.until, today, each.at("until"), "it never matches")
    for name, agent in joined.agents.items():
        if agent.until is not None:
            at = joined.position("agents", name, "until")
            yield from _end(agent.until, today, at, f"every call of {name} is refused")


def _end(until: date, today: date, at: Position, effect: str) -> Iterator[Finding]:
    if until < today:
        yield _warn("lint.expired", f"ended on {until}: {effect}", at, "remove or renew it")
    elif until - today <= EXPIRY_NOTICE:
        message = f"ends in {(until - today).days} days, on {until}"
        yield _warn("lint.expires", message, at, "renew it, or let it end")


def _expires(each: Placed) -> bool:
    return isinstance(each.said, Rule) and each.said.until is not None


def _warn(code: str, message: str, at: Position, hint: str | None = None) -> Finding:
    return Finding(code, message, at, hint, "warning")
