"""`/api/triggers`: what starts flows by itself, and what has come of that."""

from audit.canonical import Json
from gateway.operator.api import Here, Routes, Viewer
from gateway.operator.services import Services
from policies.schedule import next_after
from policies.trigger import Trigger

router = Routes()


@router.get("")
async def list_triggers(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Every trigger of the policy in force, by name."""
    stated = services.worlds.current.snapshot.triggers
    return [_row(services, name, stated[name]) for name in sorted(stated)]


def _row(services: Services, name: str, trigger: Trigger) -> dict[str, Json]:
    """A trigger; moments in seconds since 1970."""
    now_s = services.recorder.now() // 1_000_000
    runs = [run for run in services.state.runs.all() if run.by == f"trigger:{name}"]
    place = services.state.triggered.get(name)
    return {
        "name": name,
        "flow": trigger.flow,
        "schedule": trigger.schedule,
        "entry": trigger.entry,
        "webhook": None if trigger.webhook is None else f"/v1/triggers/{name}",
        "next": None if trigger.schedule is None else next_after(trigger.schedule, now_s),
        "read": None if place is None else place.next,
        "is_running": services.triggers is not None,
        "runs": len(runs),
        "last": None if not runs else runs[-1].id,
    }
