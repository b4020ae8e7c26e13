"""`/api/agents`: the agents of the policy in force, and what each of them may do."""

from dataclasses import asdict

from audit.canonical import Json
from gateway.operator.api import Here, Routes, Viewer
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services
from gateway.operator.usage import usage
from policies.matrix import marks

router = Routes()


@router.get("")
async def list_agents(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Every agent, by name."""
    return [_row(services, name) for name in sorted(services.worlds.current.snapshot.agents)]


@router.get("/{name}")
async def show_agent(services: Here, _: Viewer, name: str, user: str | None = None) -> Json:
    """One agent, its open sessions, and what its calls of each tool can come to.

    user  on whose behalf it would call
    """
    snapshot = services.worlds.current.snapshot
    if name not in snapshot.agents:
        raise OperatorRefused("operator.unknown", "no policy in force names this agent")
    now = services.recorder.now()
    tools: dict[str, Json] = {
        tool: " ".join(map(str, marks(snapshot, name, tool, user=user, now=now))) or None
        for tool in sorted(snapshot.tools)
    }
    agent = snapshot.agents[name]
    return {
        **_row(services, name),
        "max_risk": agent.max_risk,
        "on_behalf_of": agent.on_behalf_of,
        "trust": agent.trust,
        "tools": {tool: mark for tool, mark in tools.items() if mark is not None},
        "limits": [asdict(each) for each in usage(services, name)],
    }


def _row(services: Services, name: str) -> dict[str, Json]:
    agent = services.worlds.current.snapshot.agents[name]
    identity = services.settings.identity
    now_s = services.recorder.now() // 1_000_000
    sessions = [
        session
        for session in services.state.sessions.all()
        if session.agent == name and not session.ended and session.ends > now_s
    ]
    return {
        "name": name,
        "owner": agent.owner,
        "purpose": agent.purpose,
        "until": None if agent.until is None else agent.until.isoformat(),
        "expired": agent.has_ended(services.recorder.now()),
        "roles": list[Json](sorted(agent.roles)),
        "suspended": services.state.revocations.suspended("agent", name),
        "client": name in identity.clients or name in identity.workload_agents,
        "sessions": len(sessions),
    }
