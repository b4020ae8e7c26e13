"""Magentic: a manager with a plan and a record of progress, who says who does what next.

A turn without progress, or one given to somebody who is not in the team, is a stall; turns with
progress take stalls back. Too many of them, and the manager plans anew with an empty history.
"""

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.spec import Magentic


async def magentic(here: Context, node: Magentic, value: Json) -> Json:
    """The manager's final answer. Raises Stopped."""
    team: list[Json] = list(node.team)
    plan = await _planned(here, node, {"do": "plan", "task": value, "team": team})
    history: list[Json] = []
    stalls = resets = 0
    for number in range(1, node.max_rounds + 1):
        await here.emit("round", round=number, of=node.max_rounds, stalls=stalls, plan=resets + 1)
        known: dict[str, Json] = {"task": value, "team": team, "plan": plan, "history": [*history]}
        turn = await _turn(here, node, known)
        if turn.get("done") is True:
            return await here.call(node.manager, {"do": "final", **known}, "final", opens=False)
        to = turn.get("next")
        stuck = turn.get("stuck") is True or not isinstance(to, str) or to not in node.team
        stalls = stalls + 1 if stuck else max(0, stalls - 1)
        if stalls > node.max_stalls:
            if resets == node.max_resets:
                raise here.exhausted("resets", f"no progress after {resets + 1} plans")
            stalls, resets, history = 0, resets + 1, []
            plan = await _planned(here, node, {"do": "replan", **known})
        elif isinstance(to, str) and to in node.team:
            given = turn.get("input", value)
            said = await here.call(node.team[to], given, to)
            history.append({"who": to, "input": given, "said": said})
    raise here.exhausted("rounds", f"no answer after {node.max_rounds} rounds")


async def _planned(here: Context, node: Magentic, asked: Json) -> Json:
    plan = await here.call(node.manager, asked, "plan", opens=False)
    if node.review is not None and not await here.human(node.review, "Follow this plan?", plan):
        raise here.tripped("plan", "a person refused the plan")
    return plan


async def _turn(here: Context, node: Magentic, known: dict[str, Json]) -> dict[str, Json]:
    """What the manager says of the progress; what makes no sense counts as no progress."""
    said = await here.call(node.manager, {"do": "progress", **known}, "progress", opens=False)
    return said if isinstance(said, dict) else {"stuck": True}
