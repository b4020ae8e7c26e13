"""Contract: work that is bound to terms, and counts only when it has kept them."""

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.parts import Tool
from orchestration.spec import Contract
from orchestration.terms import Bound, guarding, needed

_MOST_SAID = 500


async def contract(here: Context, node: Contract, value: Json) -> Json:
    """What comes of the work, where it fits; given back once where it does not. Raises Stopped."""
    bound = Bound.of(node)
    lease = bound.lease(here.place.lease)
    try:
        within = await here.bounded(lease, bound.wall_s, bound.refer_above)
        return await _done(within, await _lent(within, bound), bound, value)
    finally:
        here.place.lease.give_back(lease)


async def _lent(within: Context, bound: Bound) -> Context:
    """Where the work is done: in a name that is good for nothing but what it may use."""
    if bound.tools is None:
        return within
    inside = within.around.inside
    most = bound.tools | needed(bound.work, inside) | guarding(within.place.guards, inside)
    return await within.lent(sorted(most))


async def _done(within: Context, lent: Context, bound: Bound, value: Json) -> Json:
    given: dict[str, Json] = {"contract": bound.to_json(), "input": value}
    result, against = await _tried(within, lent, bound, given)
    if against is not None and not isinstance(bound.work, Tool):  # a second call is no correction
        await within.emit("given-back")
        again = {**given, "objection": against, "before": result}
        result, against = await _tried(within, lent, bound, again)
    if against is not None:
        raise within.failed("contract", f"what came of it does not keep the contract: {against}")
    return result


async def _tried(
    within: Context, lent: Context, bound: Bound, given: dict[str, Json]
) -> tuple[Json, str | None]:
    """What came of the work, and what is against it; None: nothing."""
    given_back = await lent.call(bound.work, given)
    whole = await within.whole(given_back)
    said, against = bound.fitting(whole)
    result = said if whole is given_back else given_back  # what is large stays a reference
    shown: Json = {"contract": given["contract"], "input": given["input"], "result": result}
    for check in bound.checks if against is None else ():
        against = _against(within, await within.call(check, shown, "check"))
        if against is not None:
            break
    return result, against


def _against(within: Context, verdict: Json) -> str | None:
    approved = verdict.get("approved") if isinstance(verdict, dict) else None
    if not isinstance(verdict, dict) or not isinstance(approved, bool):
        raise within.failed("check", "a check did not say whether it approves")
    feedback = verdict.get("feedback")
    said = (
        feedback[:_MOST_SAID] if isinstance(feedback, str) and feedback else "it was not approved"
    )
    return None if approved else said
