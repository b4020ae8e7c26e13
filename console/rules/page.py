"""`/policies`: files in force and proposed, what would change, and the matrix."""

from difflib import unified_diff
from typing import Any

from fastapi import Request, Response

from console import frame
from console.routes import Pages, see
from console.visitors import Administrator, Viewer
from gateway.activation import read_stable
from gateway.operator import drafts, policy
from gateway.operator.api import Here, validated
from gateway.operator.policy import Named
from gateway.operator.services import Services
from policies.matrix import marks

MOST_AGENTS = 40

router = Pages()


@router.get("/policies")
async def files(services: Here, visitor: Viewer, request: Request) -> Response:
    """What is in force, and how the files differ from it by now."""
    told: Any = await policy.in_force(services, visitor.operator)
    is_other = told["proposed"] not in {None, told["snapshot"]}
    contents = read_stable(services.activation.paths) if is_other else ()
    proposed = await drafts.drafted(services, contents) if is_other else None
    return frame.show(
        request,
        visitor,
        "rules/files.html",
        told=told,
        word=(told["proposed"] or "")[:8],
        changed=None if proposed is None else await drafts.difference(services, proposed),
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
