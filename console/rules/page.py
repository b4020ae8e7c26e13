"""`/policies`: files in force and proposed, the matrix, and the playground."""

from difflib import unified_diff
from typing import Any

from fastapi import Request, Response

from audit import canonical
from audit.errors import NotStrict
from console import frame
from console.routes import Pages, see
from console.visitors import Administrator, Viewer
from gateway.activation import read_stable
from gateway.errors import GatewayError
from gateway.operator import policy
from gateway.operator.api import Here, validated
from gateway.operator.errors import OperatorRefused
from gateway.operator.policy import Named, Supposed
from gateway.operator.services import Services
from policies.matrix import marks

MOST_AGENTS = 40
MAX_ARGS = 32_000

router = Pages()


@router.get("/policies")
async def files(services: Here, visitor: Viewer, request: Request) -> Response:
    """What is in force, and how the files differ from it by now."""
    told: Any = await policy.in_force(services, visitor.operator)
    is_other = told["proposed"] not in {None, told["snapshot"]}
    return frame.show(
        request,
        visitor,
        "rules/files.html",
        told=told,
        word=(told["proposed"] or "")[:8],
        difference=_difference(services) if is_other else [],
        is_other=is_other,
    )


@router.post("/policies/apply")
async def apply(services: Here, visitor: Administrator) -> Response:
    """Put what was shown into force, if it is still what the files amount to."""
    digest = visitor.field("digest")
    visitor.confirm(digest[:8])
    named = validated(Named, {"digest": digest})
    await services.activation.activate(named.digest, by=visitor.operator.name)
    return see("/policies")


@router.get("/policies/matrix")
async def matrix(
    services: Here, visitor: Viewer, request: Request, q: str = "", user: str = ""
) -> Response:
    """What each agent's calls of each tool can come to.

    q     what the names of agents have in them
    user  on whose behalf the calls would be made
    """
    snapshot, now = services.worlds.current.snapshot, services.recorder.now()
    names = [name for name in sorted(snapshot.agents) if q.casefold() in name.casefold()]
    tools = sorted(snapshot.tools)
    rows = [
        (name, [_marks(marks(snapshot, name, each, user=user or None, now=now)) for each in tools])
        for name in names[:MOST_AGENTS]
    ]
    return frame.show(
        request,
        visitor,
        "rules/matrix.html",
        q=q,
        user=user,
        tools=[(tool, snapshot.tools[tool].risk) for tool in tools],
        rows=rows,
        more=max(0, len(names) - MOST_AGENTS),
    )


@router.get("/policies/try")
async def playground(  # noqa: PLR0913, PLR0917 - the fields of a form
    services: Here,
    visitor: Viewer,
    request: Request,
    agent: str = "",
    tool: str = "",
    args: str = "{}",
    user: str = "",
    chain: str = "",
    labels: str = "",
) -> Response:
    """Decide a call that nobody makes, by what is in force, and say why."""
    snapshot = services.worlds.current.snapshot
    view: dict[str, Any] = {
        "given": {
            "agent": agent,
            "tool": tool,
            "args": args,
            "user": user,
            "chain": chain,
            "labels": labels,
        },
        "agents": sorted(snapshot.agents)[:500],
        "tools": sorted(snapshot.tools),
        "told": None,
        "wrong": "",
    }
    if agent and tool:
        try:
            view["told"] = policy.explained(services, _supposed(view["given"]))
        except GatewayError as error:
            view["wrong"] = str(error)
    status = 400 if view["wrong"] else 200
    return frame.show(request, visitor, "rules/try.html", status=status, **view)


def _supposed(given: dict[str, str]) -> Supposed:
    """The call that a form describes. Raises OperatorRefused."""
    try:
        args = canonical.read(given["args"].encode(), max_bytes=MAX_ARGS)
    except (NotStrict, UnicodeEncodeError) as error:
        raise OperatorRefused("operator.body", f"arguments: {error}") from error
    return validated(
        Supposed,
        {
            "agent": given["agent"],
            "tool": given["tool"],
            "args": args,
            "user": given["user"] or None,
            "chain": given["chain"].split(),
            "labels": given["labels"].split(),
        },
    )


def _marks(found: Any) -> list[str]:  # noqa: ANN401 - marks of a cell
    return [str(mark) for mark in found]


def _difference(services: Services) -> list[str]:
    """What the files say otherwise than what is in force, line by line."""
    before = dict(services.worlds.current.contents)
    after = dict(read_stable(services.activation.paths))
    lines: list[str] = []
    for name in sorted({*before, *after}):
        old, new = (each.get(name, b"").decode().splitlines() for each in (before, after))
        lines += unified_diff(old, new, f"in force: {name}", f"proposed: {name}", lineterm="")
    return lines
