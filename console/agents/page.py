"""`/agents`: everyone who may act here, and one of them."""

from typing import Any

from fastapi import Request, Response

from console import frame
from console.audit.sentence import sentence
from console.routes import Pages, see_again
from console.visitors import Administrator, Viewer
from gateway.operator import agents, evidence, sessions
from gateway.operator.api import Here

MOST_SHOWN = 100
MOST_SESSIONS = 50
MOST_CALLS = 10

router = Pages()


@router.get("/agents")
async def listed(services: Here, visitor: Viewer, request: Request, q: str = "") -> Response:
    """The agents of the policy in force whose name or owner has `q` in it."""
    rows: list[dict[str, Any]] = await agents.list_agents(services, visitor.operator)
    found = [row for row in rows if q.casefold() in f"{row['name']} {row['owner']}".casefold()]
    return frame.show(
        request,
        visitor,
        "agents/list.html",
        q=q,
        all=len(rows),
        agents=found[:MOST_SHOWN],
        more=max(0, len(found) - MOST_SHOWN),
    )


@router.get("/agents/{name}")
async def one(services: Here, visitor: Viewer, request: Request, name: str) -> Response:
    """One agent: who answers for it, what its calls can come to, its open sessions."""
    agent: Any = await agents.show_agent(services, visitor.operator, name)
    calls: Any = await evidence.search(services, visitor.operator, _calls(name), MOST_CALLS)
    now_s = services.recorder.now() // 1_000_000
    found = [
        each
        for each in reversed(services.state.sessions.all())
        if each.agent == name and not each.ended and each.ends > now_s
    ]
    return frame.show(
        request,
        visitor,
        "agents/agent.html",
        agent=agent,
        calls=[(each["index"], each["body"], sentence(each["body"])) for each in calls["entries"]],
        sessions=found[:MOST_SESSIONS],
        more=max(0, len(found) - MOST_SESSIONS),
    )


def _calls(name: str) -> str:
    """What finds the last things that an agent did or asked for."""
    return f'agent:"{name}" kind:decision kind:approval.asked after:7d'


@router.post("/sessions/{session_id}/end")
async def end(services: Here, visitor: Administrator, session_id: str) -> Response:
    """End a session: its tokens are refused from the next call on."""
    await sessions.end_session(services, visitor.operator, session_id)
    return see_again(visitor, "/agents")
