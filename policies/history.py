"""Histories: what conditions may ask about calls that were made before.

    before('server.tool')        was it ever called?
    since('server.tool')         how long ago was it last called? no value when it never was
    count('server.tool', '1h')   how often was it called within that time?

They speak of one agent and whom it acts for, in all sessions together. Tool and time are written
in the condition, so that only what some condition asks about has to be counted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from audit.value import value_type
from policies.condition import Call, Node, Value, walk
from policies.errors import ConditionFailed
from policies.instant import duration

FUNCTIONS = frozenset({"before", "since", "count"})
PREFIX = "history."
KEPT = 30 * 86_400 * 1_000_000
"""How long a call is remembered, in microseconds."""

_SECOND = 1_000_000


@value_type
class Question:
    """What is asked of the history of one tool.

    window  in microseconds; None: when it was last called
    """

    tool: str
    window: int | None

    @property
    def key(self) -> str:
        """Its name among the facts: "desk.pay", or "desk.pay@3600" with seconds."""
        return self.tool if self.window is None else f"{self.tool}@{self.window // _SECOND}"

    def __str__(self) -> str:
        if self.window is None:
            return f"last {self.tool}"
        return f"{self.tool} in {self.window // _SECOND} s"

    @property
    def path(self) -> str:
        """Its name among what a condition reads."""
        return PREFIX + self.key

    @classmethod
    def read(cls, path: str) -> "Question":
        """The inverse of `path`."""
        tool, _, window_s = path.removeprefix(PREFIX).partition("@")
        return cls(tool, int(window_s) * _SECOND if window_s else None)


def question(call: Call) -> Question:
    """What a call of one of the functions asks.

    Raises ConditionFailed when tool or time are not written there as they have to be.
    """
    written = [node.value if isinstance(node, Value) else None for node in call.args]
    tool = written[0]
    if not isinstance(tool, str):
        raise ConditionFailed(f"{call.function}() takes the name of a tool, written here")
    if call.function != "count":
        return Question(tool, None)
    return Question(tool, _window(written[1]))


def questions(root: Node) -> Iterator[Question]:
    """Everything a condition asks that can be understood."""
    for node in walk(root):
        if isinstance(node, Call) and node.function in FUNCTIONS:
            try:
                yield question(node)
            except ConditionFailed:
                continue


def windows(reads: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """How long calls of which tools have to be remembered, in microseconds, by tool.

    reads  everything that some condition reads
    """
    asked: dict[str, set[int]] = {}
    for path in reads:
        if path.startswith(PREFIX):
            each = Question.read(path)
            asked.setdefault(each.tool, set()).add(each.window or KEPT)
    return {tool: tuple(sorted(several)) for tool, several in asked.items()}


def answers(reads: Iterable[str], calls: Mapping[str, Iterable[int]]) -> dict[str, int | None]:
    """The history that a test states, as the gateway would put it into the facts.

    calls  by tool, how long ago each call of it was, in microseconds
    """
    asked = (Question.read(path) for path in reads if path.startswith(PREFIX))
    return {each.key: _answer(each.window, tuple(calls.get(each.tool, ()))) for each in asked}


def _answer(window: int | None, ago: Collection[int]) -> int | None:
    if window is None:
        return min(ago, default=None)
    return sum(one < window for one in ago)


def _window(written: object) -> int:
    if not isinstance(written, str):
        raise ConditionFailed("count() takes a time such as '1h', written here")
    window = duration(written)
    if window < _SECOND or window > KEPT or window % _SECOND:
        raise ConditionFailed("count() looks back over whole seconds, from '1s' to '720h'")
    return window
