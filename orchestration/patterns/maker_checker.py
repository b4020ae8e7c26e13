"""Maker-checker: one makes, another checks, until it is approved."""

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.spec import MakerChecker


async def maker_checker(here: Context, node: MakerChecker, value: Json) -> Json:
    """The draft that was approved, or the last one where that is enough. Raises Stopped."""
    feedback: Json = None
    draft: Json = None
    for number in range(1, node.max_rounds + 1):
        await here.emit("round", round=number, of=node.max_rounds)
        draft = await here.call(node.maker, {"task": value, "feedback": feedback}, "maker")
        verdict = await here.call(node.checker, {"task": value, "draft": draft}, "checker")
        if not isinstance(verdict, dict) or not isinstance(verdict.get("approved"), bool):
            raise here.failed("checker", "the checker did not say whether it approves")
        if verdict["approved"]:
            return draft
        feedback = verdict.get("feedback")
    if node.otherwise == "last":
        return draft
    raise here.exhausted("rounds", f"not approved after {node.max_rounds} rounds")
