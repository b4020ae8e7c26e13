"""Tripwires: checks that say stop, and the people who may let a run go on all the same.

A check that does not say clearly that nothing is wrong counts as one that says stop. Who may
override it is asked like any question of a flow: the policy says who they are, and their answer,
with what they were shown, stands in the log.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.runs.run import Json
from orchestration.parts import Part
from orchestration.spec import Guard

if TYPE_CHECKING:
    from orchestration.context import Context

QUESTION = "A check of the flow says stop. Is the run to go on all the same?"

_MOST_REASON = 500


async def checked(
    here: "Context", guard: Guard, checks: Sequence[Part], about: dict[str, Json]
) -> None:
    """Go on where every check lets it pass, or people do. Raises Stopped."""
    for check in checks:
        reason = _objection(await here.checking().call(check, {**about}))
        if reason is None:
            continue
        shown: Json = {**about, "reason": reason}
        if guard.override is None or not await here.human(guard.override, QUESTION, shown):
            raise here.tripped("guard", reason)


def _objection(said: Json) -> str | None:
    """What a check has against it; None: nothing."""
    tripped = said.get("tripped") if isinstance(said, dict) else None
    if tripped is False:
        return None
    if tripped is not True or not isinstance(said, dict):
        return "a check did not say whether it trips"
    reason = said.get("reason")
    return reason[:_MOST_REASON] if isinstance(reason, str) and reason else "a check says stop"
