"""References: every name that a set of policy files uses is defined in it, once.

A role, agent, tool or approval that nothing defines is a spelling mistake, and in a guardrail it
would be a refusal that never happens. So the set is refused as a whole, with the nearest name.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from policies.document import Policy, PolicyDocument, Statement
from policies.finding import Finding, Position, nearest
from policies.notation import ANY, tool_matches
from policies.source import Path


@dataclass(frozen=True, slots=True)
class _Use:
    """One place that names something: `kind` is "role", "agent", "tool", ..."""

    kind: str
    name: str
    path: Path


_BLOCKS = {
    "agent": "agents",
    "group": "groups",
    "tool": "tools",
    "approval": "approvals",
    "limit": "limits",
    "budget": "budgets",
    "space": "spaces",
    "front end": "front_ends",
    "trigger": "triggers",
}


def check_references(documents: Sequence[PolicyDocument]) -> list[Finding]:
    """Every name that is stated twice, and every name that is used and nowhere stated."""
    return [*_stated_twice(documents), *_undefined(documents), *_both(documents), *_idle(documents)]


def _stated_twice(documents: Sequence[PolicyDocument]) -> Iterator[Finding]:
    first: dict[tuple[str, str], Position] = {}
    for document in documents:
        for kind, name, path in _statements(document.policy):
            at = document.source.at_key(*path)
            before = first.setdefault((kind, name), at)
            if before is not at:
                yield Finding(
                    "policy.duplicate", f"{kind} {name!r} is already stated at {before}", at
                )


def _statements(policy: Policy) -> Iterator[tuple[str, str, Path]]:
    for kind, block in _BLOCKS.items():
        for name in getattr(policy, block):
            yield kind, name, (block, name)
    for block in ("guardrails", "rules", "releases", "invariants"):
        for index, item in enumerate(getattr(policy, block)):
            yield "id", item.id, (block, index, "id")
    if policy.delegation is not None:
        yield "block", "delegation", ("delegation",)
        for index, edge in enumerate(policy.delegation.edges):
            yield "id", edge.id, ("delegation", "edges", index, "id")
    if policy.users is not None:
        yield "block", "users", ("users",)


def _undefined(documents: Sequence[PolicyDocument]) -> Iterator[Finding]:
    known = _definitions([document.policy for document in documents])
    for document in documents:
        for use in _uses(document.policy):
            if not _is_known(use, known[use.kind]):
                yield Finding(
                    f"policy.unknown-{use.kind}",
                    f"{use.kind} {use.name!r} is not defined in any file of the set",
                    document.source.at(*use.path),
                    nearest(use.name, known[use.kind]),
                )


def _both(documents: Sequence[PolicyDocument]) -> Iterator[Finding]:
    """A front end that is an agent could speak to itself in the words of any of its users."""
    known = _definitions([document.policy for document in documents])
    for document in documents:
        for name in document.policy.front_ends:
            if name in known["agent"]:
                yield Finding(
                    "policy.front-end",
                    f"{name!r} is an agent too: a front end is a client of its own",
                    document.source.at_key("front_ends", name),
                )
        for name in document.policy.budgets:
            if name in known["limit"]:
                yield Finding(
                    "policy.duplicate",
                    f"{name!r} is a limit too: totals could not tell them apart",
                    document.source.at_key("budgets", name),
                )


def _idle(documents: Sequence[PolicyDocument]) -> Iterator[Finding]:
    """A release from a label that the tool does not put on would take off another tool's."""
    tools = {name: tool for each in documents for name, tool in each.policy.tools.items()}
    for document in documents:
        for index, release in enumerate(document.policy.releases):
            if release.tool not in tools:
                continue
            for label in sorted(set(release.from_) - tools[release.tool].labels):
                yield Finding(
                    "policy.release",
                    f"the tool {release.tool!r} does not put on the label {label!r}",
                    document.source.at("releases", index, "from"),
                    nearest(label, tools[release.tool].labels),
                )


def _is_known(use: _Use, known: frozenset[str]) -> bool:
    if use.kind == "tool" and use.name.endswith("*"):
        return any(tool_matches(use.name, tool) for tool in known)
    return use.name in known


def _definitions(policies: Sequence[Policy]) -> dict[str, frozenset[str]]:
    known = {
        kind: frozenset(chain.from_iterable(getattr(policy, block) for policy in policies))
        for kind, block in _BLOCKS.items()
    }
    agents = [agent for policy in policies for agent in policy.agents.values()]
    known["role"] = frozenset(role for agent in agents for role in agent.roles)
    known["rule"] = frozenset(rule.id for policy in policies for rule in policy.rules)
    return known


def _uses(policy: Policy) -> Iterator[_Use]:
    """Every name used, in the order of the blocks."""
    return chain.from_iterable(uses(policy) for uses in _USES)


def _of_users(policy: Policy) -> Iterator[_Use]:
    if policy.users is None:
        return
    if policy.users.default != "unrestricted":
        yield from _each("tool", policy.users.default, ("users", "default"))
    for name, people in policy.users.lists.items():
        yield from _each("tool", people.tools, ("users", name, "tools"))


def _of_tools(policy: Policy) -> Iterator[_Use]:
    for name, tool in policy.tools.items():
        if tool.undo is not None:
            yield _Use("tool", tool.undo.tool, ("tools", name, "undo", "tool"))


def _of_approvals(policy: Policy) -> Iterator[_Use]:
    for name, approval in policy.approvals.items():
        yield _Use("group", approval.from_, ("approvals", name, "from"))
        if approval.escalate is not None:
            yield _Use("group", approval.escalate.to, ("approvals", name, "escalate", "to"))
        if approval.break_glass is not None:
            yield _Use(
                "group", approval.break_glass.from_, ("approvals", name, "break_glass", "from")
            )


def _of_spaces(policy: Policy) -> Iterator[_Use]:
    for name, space in policy.spaces.items():
        yield from _each("role", space.roles, ("spaces", name, "roles"))
        yield from _each("agent", space.agents, ("spaces", name, "agents"))


def _of_guardrails(policy: Policy) -> Iterator[_Use]:
    for index, guardrail in enumerate(policy.guardrails):
        yield from _of_statement(guardrail, ("guardrails", index))


def _of_rules(policy: Policy) -> Iterator[_Use]:
    for index, rule in enumerate(policy.rules):
        path = ("rules", index)
        yield from _of_statement(rule, path)
        yield from _each("limit", rule.limits, (*path, "limits"))
        yield from _each("budget", rule.budgets, (*path, "budgets"))


def _of_releases(policy: Policy) -> Iterator[_Use]:
    for index, release in enumerate(policy.releases):
        yield _Use("tool", release.tool, ("releases", index, "tool"))


def _of_triggers(policy: Policy) -> Iterator[_Use]:
    for name, trigger in policy.triggers.items():
        yield _Use("agent", trigger.flow, ("triggers", name, "flow"))


def _of_statement(statement: Statement, path: Path) -> Iterator[_Use]:
    yield from _each("role", statement.roles, (*path, "roles"))
    yield from _each("agent", statement.agents, (*path, "agents"))
    yield from _each("tool", statement.tools, (*path, "tools"))
    if statement.approval is not None:
        yield _Use("approval", statement.approval, (*path, "approval"))


def _of_delegation(policy: Policy) -> Iterator[_Use]:
    edges = policy.delegation.edges if policy.delegation else ()
    for index, edge in enumerate(edges):
        path = ("delegation", "edges", index)
        yield _Use("agent", edge.from_, (*path, "from"))
        yield _Use("agent", edge.to, (*path, "to"))
        yield from _each("tool", edge.tools, (*path, "tools"))


def _of_front_ends(policy: Policy) -> Iterator[_Use]:
    for name, front_end in policy.front_ends.items():
        path = ("front_ends", name)
        yield from _each("group", front_end.groups, (*path, "groups"))
        yield from _each("agent", front_end.agents, (*path, "agents"))


def _of_invariants(policy: Policy) -> Iterator[_Use]:
    for index, invariant in enumerate(policy.invariants):
        path: Path = ("invariants", index, "never")
        yield from _each("role", invariant.never.roles, (*path, "roles"))
        yield from _each("agent", invariant.never.agents, (*path, "agents"))
        yield from _each("tool", invariant.never.tools, (*path, "tools"))
        yield from _each("rule", invariant.except_, ("invariants", index, "except"))


_USES: tuple[Callable[[Policy], Iterator[_Use]], ...] = (
    _of_users,
    _of_tools,
    _of_approvals,
    _of_spaces,
    _of_guardrails,
    _of_rules,
    _of_releases,
    _of_triggers,
    _of_delegation,
    _of_front_ends,
    _of_invariants,
)


def _each(kind: str, names: Sequence[str], path: Path) -> Iterator[_Use]:
    for index, name in enumerate(names):
        if name != ANY:
            yield _Use(kind, name, (*path, index))
