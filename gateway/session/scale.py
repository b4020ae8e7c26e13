"""The scale: every value of one call, weighed by what is known of values.

An argument is as strong as the weakest value in it: lists count by member, objects by leaf. Truth
values, null and empty texts are no values. A text is one value, and whatever it carries (addresses,
links, accounts, identifiers) is weighed beside it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, Protocol

from audit.canonical import Json
from audit.value import value_type
from gateway.session import carried, normal_form
from gateway.session.result_values import Scalar
from gateway.session.words import is_id, kinds_of
from policies.decision import NOTHING_CARRIED, ORIGINS

USER, TRUSTED, UNTRUSTED, NONE = range(len(ORIGINS))
_NO_VALUE = -1
assert ORIGINS[_NO_VALUE] == "none", "of what holds no value nothing can be said"


class Known(Protocol):
    """What is known of values; the answers are indices into ORIGINS."""

    def rank(self, form: str, spent: int) -> int:
        """Where a value comes from, when the user's words were used up `spent` times."""

    def rank_id(self, form: str, kinds: Collection[str], spent: int) -> int:
        """Where a short id of one of these kinds of object comes from."""


@value_type
class Weighing:
    """A call whose values are to be weighed.

    tool     its own name, which tells what an argument named `id` identifies
    targets  arguments that name what is acted upon
    spent    how often this very write has used up what the user said
    """

    tool: str
    args: Mapping[str, Json]
    targets: Collection[str]
    spent: int = 0


@value_type
class Weighed:
    """Where the values of one call come from; see `policies.decision.Facts`.

    rests    something in it is the user's: the call uses up what they said
    vouched  who has released values in it that may be relied upon for that
    """

    provenance: Mapping[str, str]
    origin: Mapping[str, str]
    rests: bool
    vouched: frozenset[str] = frozenset()


class Found(NamedTuple):
    """One value of a call.

    form  None: it cannot be compared
    span  where in a text it stands, in code points; None: it is all of it
    rank  index into ORIGINS
    """

    form: str | None
    span: tuple[int, int] | None
    rank: int


def weigh(call: Weighing, known: Known) -> Weighed:
    """Where the values of a call come from."""
    scale = _Scale(call, known)
    provenance: dict[str, str] = {}
    for name, value in call.args.items():
        rank = scale.weigh(name, name, value)
        provenance[name] = ORIGINS[rank]
        if rank > scale.target and name in call.targets:
            scale.target = rank
    carried = NOTHING_CARRIED if scale.carried == _NO_VALUE else ORIGINS[scale.carried]
    origin = {"target": ORIGINS[scale.target], "carried": carried}
    return Weighed(provenance, origin, scale.rests)


def values(call: Weighing, known: Known) -> Iterator[tuple[str, Found]]:
    """Every value of a call with its path, as "copies[1].to"; what a text carries after it."""
    for name, value in call.args.items():
        scale = _Scale(call, known)
        for path, member, leaf in _leaves(value, name, name):
            rank = scale.weigh(name, member, leaf)
            if rank != _NO_VALUE:
                yield path, Found(form_of(leaf), None, rank)
            if isinstance(leaf, str):
                for each in scale.carried_by(leaf):
                    yield path, each


def owned(call: Weighing, known: Known) -> Iterator[tuple[Json, bool]]:
    """Everything that a call says, and whether it is the user's own: names of inner members and
    truth values too, since they can tell something as well.
    """
    for name, value in call.args.items():
        scale = _Scale(call, known)
        for member, each in _everything(value, name):
            yield each, scale.weigh(name, member, each) == USER


def _everything(value: Json, member: str) -> Iterator[tuple[str, Json]]:
    match value:
        case list():
            for each in value:
                yield from _everything(each, member)
        case dict():
            for name, each in value.items():
                yield "", name
                yield from _everything(each, name)
        case _:
            yield member, value


def form_of(value: Scalar) -> str | None:
    """The form of a value of a call; None when it cannot be compared."""
    if isinstance(value, str):
        return normal_form.of_value(value)
    return normal_form.of_number(value)


class _Scale:
    """What the values weighed so far amount to."""

    __slots__ = ("_call", "_known", "_spent", "_targets", "carried", "rests", "target")

    def __init__(self, call: Weighing, known: Known) -> None:
        self._call, self._known = call, known
        self._targets, self._spent = call.targets, call.spent
        self.carried = self.target = _NO_VALUE
        self.rests = False

    def weigh(self, argument: str, member: str, value: Json) -> int:
        """The weakest origin over the values of an argument or of a part of one; -1 without any."""
        if isinstance(value, str):
            form = normal_form.of_plain_words(value)
            if form is not None:
                return self._rank(argument, member, form)
            return self._text(argument, member, value)
        if isinstance(value, list):
            ranks = [self.weigh(argument, member, each) for each in value]
            return max(ranks, default=_NO_VALUE)
        if isinstance(value, dict):
            for name in value:  # of an open object they are the caller's words too
                self._carry(name)
            ranks = [self.weigh(argument, name, each) for name, each in value.items()]
            return max(ranks, default=_NO_VALUE)
        if value is None or isinstance(value, bool):
            return _NO_VALUE
        return self._number(argument, member, value)

    def _number(self, argument: str, member: str, value: float) -> int:
        """An amount, unless its name says that it identifies something."""
        form = normal_form.of_number(value)
        rank = self._rank(argument, member, form)
        if rank > self.carried and is_id(member) and carried.is_carrier(form):
            self.carried = rank
        return rank

    def _text(self, argument: str, member: str, value: str) -> int:
        form = normal_form.of_value(value)
        if form is None:
            self._carry(value)
            return NONE if value.strip() else _NO_VALUE
        rank = self._rank(argument, member, form)
        if form[0] == "w":
            plain = form.isalpha() or form.replace(" ", "").isalpha()
            # Of a bare name that is the target `origin.target` speaks; it leads nowhere by itself.
            if not plain and not (argument in self._targets and carried.is_name(form)):
                self._carry(value)
        elif rank > self.carried and carried.is_carrier(form):
            self.carried = rank
        return rank

    def carried_by(self, text: str) -> Iterator[Found]:
        """What a text carries, but for itself."""
        for each in carried.carried_by(text):
            if each.end - each.start < len(text) or each.form is None:
                rank = NONE if each.form is None else self._known.rank(each.form, self._spent)
                yield Found(each.form, (each.start, each.end), rank)

    def _carry(self, text: str) -> None:
        for each in carried.carried_by(text):
            rank = NONE if each.form is None else self._known.rank(each.form, self._spent)
            self.carried = max(self.carried, rank)
            self.rests = self.rests or rank == USER

    def _rank(self, argument: str, member: str, form: str) -> int:
        if (argument in self._targets or is_id(member)) and normal_form.is_short(form):
            kinds = kinds_of(member, self._call.tool)
            rank = self._known.rank_id(form, kinds, self._spent)
        else:
            rank = self._known.rank(form, self._spent)
        if rank == USER:
            self.rests = True
        return rank


def _leaves(value: Json, path: str, member: str) -> Iterator[tuple[str, str, Scalar]]:
    """Path, name and value of each leaf."""
    match value:
        case None:
            return
        case list():
            for at, each in enumerate(value):
                yield from _leaves(each, f"{path}[{at}]", member)
        case dict():
            for name, each in value.items():
                yield from _leaves(each, f"{path}.{name}", name)
        case _:
            yield path, member, value
