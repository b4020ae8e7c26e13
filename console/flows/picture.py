"""Pictures of flows: what each kind of node looks like, as blocks that can be drawn."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from console.drawing import Block, Chain, Frame, Leaf
from orchestration.parts import Agent, Approve, Emit, Part, Tool, Wait
from orchestration.spec import (
    Contract,
    Fan,
    GroupChat,
    Guard,
    Handoff,
    Magentic,
    MakerChecker,
    Map,
    Parallel,
    Router,
    Sequential,
    Supervisor,
)


def picture(node: Part) -> Block:
    """What a node looks like, with all that is in it."""
    return _LOOKS[type(node)](node)


def _agent(node: Agent) -> Block:
    return Leaf(node.name, "agent")


def _tool(node: Tool) -> Block:
    return Leaf(node.name, "tool")


def _approve(node: Approve) -> Block:
    goes_on = ", a no goes on" if node.otherwise == "go-on" else ""
    return Leaf(node.question, f"asks {node.by}{goes_on}", "ask")


def _wait(node: Wait) -> Block:
    return Leaf(f"wait {node.duration}")


def _emit(node: Emit) -> Block:
    return Leaf(f"tell {node.event}")


def _sequential(node: Sequential) -> Block:
    return Chain(tuple(map(picture, node.steps)))


def _parallel(node: Parallel) -> Block:
    merged = ", merged" if node.merge else ""
    note = f"{node.max_parallel} at a time{merged}{_ends(node)}"
    return Frame("parallel", note, parts=_unnamed(node.branches))


def _map(node: Map) -> Block:
    over = node.over or "the value"
    note = f"over {over}, up to {node.max_items}{_ends(node)}"
    return Frame("map", note, parts=(("", picture(node.each)),))


def _router(node: Router) -> Block:
    head = None if node.classifier is None else picture(node.classifier)
    ways = [*node.routes.items(), *((route.when, route.to) for route in node.conditions)]
    if node.otherwise is not None:
        ways.append(("otherwise", node.otherwise))
    return Frame("router", "one of", head, _named(ways))


def _handoff(node: Handoff) -> Block:
    back = ", and back" if node.back else ""
    parts = []
    for name, agent in node.agents.items():
        onwards = ", ".join(node.edges.get(name, ())) or "nobody"
        begins = "begins; " if name == node.start else ""
        parts.append((f"{name}: {begins}to {onwards}", picture(agent)))
    note = f"up to {node.max_handoffs} times{back}"
    return Frame("handoff", note, parts=tuple(parts))


def _supervisor(node: Supervisor) -> Block:
    note = f"up to {node.max_rounds} rounds"
    return Frame("supervisor", note, picture(node.manager), _named(node.workers.items()))


def _maker_checker(node: MakerChecker) -> Block:
    takes = ", then the last draft" if node.otherwise == "last" else ""
    inside = Chain((picture(node.maker), picture(node.checker)))
    return Frame("maker_checker", f"up to {node.max_rounds} rounds{takes}", inside)


def _magentic(node: Magentic) -> Block:
    review = f", plans reviewed by {node.review}" if node.review else ""
    note = f"up to {node.max_rounds} rounds{review}"
    return Frame("magentic", note, picture(node.manager), _named(node.team.items()))


def _group_chat(node: GroupChat) -> Block:
    head = None if node.moderator is None else picture(node.moderator)
    agreed = f", ends when {node.consensus:.0%} agree" if node.consensus is not None else ""
    note = f"up to {node.max_rounds} rounds{agreed}"
    return Frame("group_chat", note, head, _named(node.members.items()))


def _guard(node: Guard) -> Block:
    note = f"a stop overridden by {node.override}" if node.override else "a stop is final"
    checks = [
        (name, check) for name in ("input", "output", "tools") for check in getattr(node, name)
    ]
    parts = tuple((f"checks {name}", picture(check)) for name, check in checks)
    return Frame("guard", note, picture(node.of), parts)


def _contract(node: Contract) -> Block:
    """What it is bound to; the checks stand beside the work."""
    terms = [f"up to {getattr(node, name)} {name}" for name in ("calls", "tokens", "cost")]
    bounds = [text for text, most in zip(terms, _most(node), strict=True) if most is not None]
    if node.wall is not None:
        bounds.append(f"within {node.wall}")
    if node.tools is not None:
        bounds.append(f"with {', '.join(node.tools) or 'no tool'}")
    if node.result is not None or node.accept is not None:
        bounds.append("result looked at")
    parts = tuple(("checks", picture(check)) for check in node.checks)
    return Frame("contract", ", ".join(bounds), picture(node.of), parts)


def _most(node: Contract) -> tuple[int | None, ...]:
    return node.calls, node.tokens, node.cost


def _ends(node: Fan) -> str:
    if node.until == "all":
        return "" if node.on_error == "fail" else f", {node.on_error} what stops"
    count = 1 if node.until == "first" else node.until
    accepted = "" if node.accept is None else f" with {node.accept}"
    return f", until {count} succeed{'s' if count == 1 else ''}{accepted}"


def _named(parts: Iterable[tuple[str, Part]]) -> tuple[tuple[str, Block], ...]:
    """Parts with their names, where these are not what stands in them anyway."""
    return tuple(
        ("" if getattr(part, "name", None) == name else name, picture(part)) for name, part in parts
    )


def _unnamed(parts: Iterable[Part]) -> tuple[tuple[str, Block], ...]:
    return tuple(("", picture(part)) for part in parts)


# Each takes its own kind of node, which the key beside it is.
_LOOKS: Mapping[type[Part], Callable[[Any], Block]] = {
    Agent: _agent,
    Tool: _tool,
    Approve: _approve,
    Wait: _wait,
    Emit: _emit,
    Sequential: _sequential,
    Parallel: _parallel,
    Map: _map,
    Router: _router,
    Handoff: _handoff,
    Supervisor: _supervisor,
    MakerChecker: _maker_checker,
    Magentic: _magentic,
    GroupChat: _group_chat,
    Guard: _guard,
    Contract: _contract,
}
