"""Conditions of routers: the policy's language, over the value at hand.

`args` is that value. There is no other language, and nothing is ever evaluated that is not this.
"""

from functools import lru_cache

from gateway.runs.run import Json
from policies import condition_types as types
from policies.condition_eval import Test, build
from policies.condition_parse import parse
from policies.decision import Facts
from policies.errors import ConditionFailed, ConditionInvalid
from policies.shape import ANYTHING


def check(text: str) -> str | None:
    """What is wrong with a condition; None: nothing."""
    try:
        condition = parse(text)
    except ConditionInvalid as error:
        return str(error)
    if foreign := [name for name in condition.reads if name.split(".")[0] != "args"]:
        return f"this knows nothing but args, and it reads {', '.join(foreign)}"
    remarks = types.check(condition, args=ANYTHING)
    return remarks[0].message if remarks else None


def holds(text: str, value: Json) -> bool:
    """Whether a condition that `check` accepts holds; one without a value does not."""
    args = value if isinstance(value, dict) else {"value": value}
    try:
        return _test(text)(Facts(agent="", tool="", args=args))
    except ConditionFailed:
        return False


@lru_cache(maxsize=1024)
def _test(text: str) -> Test:
    return build(parse(text), refuses=False)
