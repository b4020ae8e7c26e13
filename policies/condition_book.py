"""The conditions of one set of policies: each text is read once, and checked once for each tool."""

from collections.abc import Callable, Collection, Mapping
from functools import cache

from policies.condition import Condition
from policies.condition_eval import Test, build
from policies.condition_parse import parse
from policies.condition_types import check
from policies.errors import ConditionInvalid
from policies.remark import Remark
from policies.shape import ANYTHING, Shape


class ConditionBook:
    """Reads, checks and builds conditions.

    args    the shape of a tool's arguments; None: without a catalogue, anything
    totals  names of the totals there are
    labels  labels that some tool emits
    tools   every tool of the policy
    """

    def __init__(
        self,
        args: Callable[[str], Shape] | None,
        *,
        totals: frozenset[str],
        labels: frozenset[str],
        tools: frozenset[str],
    ) -> None:
        self._args = args
        self._totals, self._labels, self._tools = totals, labels, tools
        self._read: dict[str, Condition | Remark] = {}
        self._remarks = cache(self._check)
        self._opening, self._closing = cache(_opening), cache(_closing)

    def read(self, text: str, tools: Collection[str]) -> tuple[Condition | None, list[Remark]]:
        """The condition, unless its text is outside the language, and what is to be said of it.

        tools  whose arguments it may speak of; none of them is any of them
        """
        known = self._read.get(text)
        if known is None:
            known = self._read[text] = _parsed(text)
        if isinstance(known, Remark):
            return None, [known]
        if self._args is None or not tools:
            return known, list(self._remarks(known, None))
        return known, _together({tool: self._remarks(known, tool) for tool in tools})

    def test(self, condition: Condition, *, refuses: bool) -> Test:
        """The condition at work; see `condition_eval.build`."""
        return self._closing(condition) if refuses else self._opening(condition)

    def _check(self, condition: Condition, tool: str | None) -> tuple[Remark, ...]:
        args = ANYTHING if self._args is None or tool is None else self._args(tool)
        return check(
            condition, args=args, totals=self._totals, labels=self._labels, tools=self._tools
        )


def _parsed(text: str) -> Condition | Remark:
    try:
        return parse(text)
    except ConditionInvalid as error:
        return Remark(error.code, error.message, error.offset, error.hint)


def _opening(condition: Condition) -> Test:
    return build(condition, refuses=False)


def _closing(condition: Condition) -> Test:
    return build(condition, refuses=True)


def _together(remarks: Mapping[str, tuple[Remark, ...]]) -> list[Remark]:
    """What is to be said of all tools together, each remark once, with the first tool it is of."""
    first: dict[Remark, str] = {}
    for tool, some in remarks.items():
        for remark in some:
            if remark.code != "condition.absent" or all(remark in of for of in remarks.values()):
                first.setdefault(remark, tool)
    return [remark.of(tool) for remark, tool in first.items()]
