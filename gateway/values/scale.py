"""The scale: every value of one call, weighed by what is known of values.

An argument is as strong as the weakest value in it: lists count by member, objects by leaf. Truth
values, null and empty texts are no values. A text is one value, and whatever it carries (addresses,
links, accounts, identifiers) is weighed beside it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from audit.canonical import Json
from audit.value import value_type
from gateway.values import carried, normal_form
from gateway.values.normal_form import LONGEST_VALUE
from gateway.values.result_values import Scalar
from gateway.values.words import Words, is_id, kinds_of
from policies.decision import NOTHING_CARRIED, ORIGINS

USER, TRUSTED, UNTRUSTED, NONE = range(len(ORIGINS))
_NO_VALUE = -1
assert ORIGINS[_NO_VALUE] == "none", "of what holds no value nothing can be said"


class Known(Protocol):
    """What is known of values; the answers are indices into ORIGINS."""

    @property
    def words(self) -> Words:
        """The user's words."""

    def ranks(self, forms: Iterable[str], spent: int) -> list[int]:
        """Where values come from, when the user's words were used up `spent` times."""

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
    scale.read(call.args.items())
    return scale.weighed()


def values(call: Weighing, known: Known) -> Iterator[tuple[str, Found]]:
    """Every value of a call with its path, as "copies[1].to"; what a text carries after it."""
    for name, value in call.args.items():
        for path, member, leaf in _leaves(value, name, name):
            rank = _rank(call, known, name, member, leaf)
            if rank != _NO_VALUE:
                yield path, Found(form_of(leaf), None, rank)
            if isinstance(leaf, str):
                for each in _carried_by(leaf, known, call.spent):
                    yield path, each


def owned(call: Weighing, known: Known) -> Iterator[tuple[Json, bool]]:
    """Everything that a call says, and whether it is the user's own: names of inner members and
    truth values too, since they can tell something as well.
    """
    for name, value in call.args.items():
        for member, each in _everything(value, name):
            yield each, _rank(call, known, name, member, each) == USER


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
    """The values of a call: all are read, and then weighed at once, since there may be many."""

    __slots__ = ("_call", "_forms", "_known", "_leading", "_owners", "_rests", "_texts", "_worst")

    def __init__(self, call: Weighing, known: Known) -> None:
        self._call, self._known = call, known
        self._forms: list[str] = []
        self._owners: list[str] = []  # the argument that each form is of
        self._leading: list[int] = []  # places of forms that are carried as they are
        self._texts: list[str] = []  # to be searched for what they carry
        self._worst = dict.fromkeys(call.args, _NO_VALUE)
        self._rests = False

    def read(self, members: Iterable[tuple[str, Json]], within: str | None = None) -> None:
        """Put values on it, by the names they stand under; `within`: parts of one argument."""
        targets, forms, owners = self._call.targets, self._forms, self._owners
        for name, value in members:
            argument = name if within is None else within
            form: str | None
            if isinstance(value, str):
                plain = len(value) <= LONGEST_VALUE and value.isascii()
                if plain and value.replace(" ", "").isalpha():  # as `_are_words` says it
                    form = "w" + " ".join(value.split()).lower()
                else:
                    form = self._form_of_text(argument, value)
            elif type(value) is int:
                form = f"#{value}"
            else:
                form = self._form_of_other(argument, name, value)
            if form is None:
                continue
            if " " not in form and (argument in targets or is_id(name)):
                self._put_name(argument, name, value, form)
            else:
                owners.append(argument)
                forms.append(form)

    def weighed(self) -> Weighed:
        """Where everything comes from."""
        found = carried.forms_carried(self._texts, self._known.words.pieces)
        legible = [form for form in found if form is not None]
        ranks = self._known.ranks(self._forms + legible, self._call.spent)
        led = ranks[len(self._forms) :] + [ranks[at] for at in self._leading]
        if len(legible) < len(found):
            led.append(NONE)
        worst = self._worst
        for argument, rank in zip(self._owners, ranks, strict=False):  # what is carried follows
            if rank > worst[argument]:  # noqa: PLR1730 - as `max` says it, in a third of the time
                worst[argument] = rank
        target = max([worst.get(name, _NO_VALUE) for name in self._call.targets] or [_NO_VALUE])
        origin = {
            "target": ORIGINS[target],
            "carried": ORIGINS[max(led)] if led else NOTHING_CARRIED,
        }
        provenance = {name: ORIGINS[rank] for name, rank in worst.items()}
        return Weighed(provenance, origin, self._rests or USER in ranks)

    def rank(self, argument: str) -> int:
        """Where the weakest value of an argument comes from; -1: there is none."""
        return max([self._worst[argument], *self._known.ranks(self._forms, self._call.spent)])

    def _form_of_text(self, argument: str, text: str) -> str | None:
        form = self._form_of_value(text) if len(text) <= LONGEST_VALUE else None
        if form is None:
            self._texts.append(text)
            if text.strip():
                self._worst[argument] = NONE
        elif form[0] != "w":
            if carried.is_carrier(form):
                self._leading.append(len(self._forms))
        elif not _are_words(form) and not self._is_bare_target(argument, form):
            self._texts.append(text)
        return form

    def _is_bare_target(self, argument: str, form: str) -> bool:
        """Of it `origin.target` speaks; it leads nowhere by itself."""
        return argument in self._call.targets and carried.is_name(form)

    def _form_of_value(self, text: str) -> str | None:
        known = self._known.words.values
        return known[text] if text in known else normal_form.of_value(text)

    def _form_of_other(self, argument: str, name: str, value: Json) -> str | None:
        """The form of a number; of a list or an object the parts are read."""
        if isinstance(value, list):
            self.read([(name, each) for each in value], argument)
        elif isinstance(value, dict):
            self._texts += value  # of an open object the names are the caller's words too
            self.read(value.items(), argument)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return normal_form.of_number(value)
        return None

    def _put_name(self, argument: str, name: str, value: Json, form: str) -> None:
        """A value whose name says that it identifies something."""
        call = self._call
        if normal_form.is_short(form):
            rank = self._known.rank_id(form, kinds_of(name, call.tool), call.spent)
            self._worst[argument] = max(rank, self._worst[argument])
            self._rests = self._rests or rank == USER
            return
        # Any other number is an amount.
        if not isinstance(value, str) and is_id(name) and carried.is_carrier(form):
            self._leading.append(len(self._forms))
        self._owners.append(argument)
        self._forms.append(form)


def _are_words(text: str) -> bool:
    """Words without any signs carry nothing."""
    return text.replace(" ", "").isalpha()


def _rank(call: Weighing, known: Known, argument: str, name: str, value: Json) -> int:
    """Where one value comes from; -1: it is none."""
    scale = _Scale(call, known)
    scale.read([(name, value)], argument)
    return scale.rank(argument)


def _carried_by(text: str, known: Known, spent: int) -> Iterator[Found]:
    """What a text carries, but for itself."""
    for each in carried.carried_by(text):
        if each.end - each.start < len(text) or each.form is None:
            rank = NONE if each.form is None else known.ranks((each.form,), spent)[0]
            yield Found(each.form, (each.start, each.end), rank)


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
