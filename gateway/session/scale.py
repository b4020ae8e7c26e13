"""The scale: every value of one call, weighed by what is known of values.

An argument is as strong as the weakest value in it: lists count by member, objects by leaf. Truth
values, null and empty texts are no values. A text is one value, and whatever it carries (addresses,
links, accounts, identifiers) is weighed beside it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, Protocol

from audit.canonical import Json
from audit.value import value_type
from gateway.session import normal_form
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

    rests  something in it is the user's: the call uses up what they said
    """

    provenance: Mapping[str, str]
    target: str
    carried: str
    rests: bool


class Found(NamedTuple):
    """One value of a call.

    form     None: it cannot be compared
    span     where in a text it stands, in code points; None: it is all of it
    rank     index into ORIGINS
    kinds    of an id that may be met by accident: what it may be an id of
    """

    form: str | None
    span: tuple[int, int] | None
    rank: int
    kinds: Collection[str] = ()


class _Leaf(NamedTuple):
    argument: str
    path: str
    member: str
    value: Scalar
    is_key: bool = False


def weigh(call: Weighing, known: Known) -> Weighed:
    """Where the values of a call come from."""
    ranks = dict.fromkeys(call.args, _NO_VALUE)
    carried, rests = _NO_VALUE, False
    for leaf in _leaves(call.args):
        whole, parts = _look(leaf, call, known)
        if whole is not None:
            ranks[leaf.argument] = max(ranks[leaf.argument], whole.rank)
            rests = rests or whole.rank == USER
        for part in parts:
            carried = max(carried, part.rank)
            rests = rests or part.rank == USER
    return Weighed(
        provenance={name: ORIGINS[rank] for name, rank in ranks.items()},
        target=ORIGINS[max((ranks.get(name, _NO_VALUE) for name in call.targets), default=NONE)],
        carried=NOTHING_CARRIED if carried == _NO_VALUE else ORIGINS[carried],
        rests=rests,
    )


def values(call: Weighing, known: Known) -> Iterator[tuple[str, Found]]:
    """Every value of a call with its path, as "copies[1].to"; what a text carries after it."""
    for leaf in _leaves(call.args):
        whole, parts = _look(leaf, call, known)
        if whole is not None:
            yield leaf.path, whole
        for part in parts:
            if whole is None or part.span is not None:
                yield leaf.path, part


def _leaves(args: Mapping[str, Json]) -> Iterator[_Leaf]:
    for name, value in args.items():
        if isinstance(value, str):
            yield _Leaf(name, name, name, value)
        else:
            yield from _below(value, name, name, name)


def _below(value: Json, argument: str, path: str, member: str) -> Iterator[_Leaf]:
    match value:
        case bool() | None:
            return
        case list():
            for at, each in enumerate(value):
                yield from _below(each, argument, f"{path}[{at}]", member)
        case dict():
            for name, each in value.items():
                yield _Leaf(argument, f"{path}.{name}", name, name, is_key=True)
                yield from _below(each, argument, f"{path}.{name}", name)
        case _:
            yield _Leaf(argument, path, member, value)


def _look(leaf: _Leaf, call: Weighing, known: Known) -> tuple[Found | None, tuple[Found, ...]]:
    """The value of a leaf, where it has one, and what it carries."""
    value = leaf.value
    if not isinstance(value, str):
        return _number(normal_form.of_number(value), leaf, call, known)
    if leaf.is_key:
        return None, _carried(value, call, known)
    form = normal_form.of_value(value)
    if form is None:
        whole = Found(None, None, NONE) if value.strip() else None
        return whole, _carried(value, call, known)
    whole = _weighed(form, leaf, call, known)
    if form[0] in "@/=" or (form[0] == "#" and normal_form.is_carrier(form)):
        return whole, (whole,)
    if form[0] == "#" or form[1:].isalpha():
        return whole, ()
    return whole, _carried(value, call, known)


def _number(
    form: str, leaf: _Leaf, call: Weighing, known: Known
) -> tuple[Found, tuple[Found, ...]]:
    """A JSON number is an amount, unless its name says that it identifies something."""
    whole = _weighed(form, leaf, call, known)
    is_carried = is_id(leaf.member) and normal_form.is_carrier(form)
    return whole, (whole,) if is_carried else ()


def _weighed(form: str, leaf: _Leaf, call: Weighing, known: Known) -> Found:
    if normal_form.is_short(form) and (leaf.argument in call.targets or is_id(leaf.member)):
        kinds = kinds_of(leaf.member, call.tool)
        return Found(form, None, known.rank_id(form, kinds, call.spent), kinds)
    return Found(form, None, known.rank(form, call.spent))


def _carried(text: str, call: Weighing, known: Known) -> tuple[Found, ...]:
    return tuple(
        Found(each.form, (each.start, each.end), NONE)
        if each.form is None
        else Found(each.form, (each.start, each.end), known.rank(each.form, call.spent))
        for each in normal_form.carried_by(text)
    )
