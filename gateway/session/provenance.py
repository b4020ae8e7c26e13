"""Provenance: where the values of a call come from.

One `Memory` for each tree of sessions, since nobody sees what agents of one tree tell each other.
It knows the user's words, and by keyed hashes what was read: values that may be relied upon, values
that may not, and ids that stand in one record with something the user named. A call's values are
compared with it as wholes, in the normal form of `gateway.session.normal_form`, without a model.

What may be relied upon counts only until the tree is tainted: a tainted agent chooses what it
reads, and could fetch what it wants to be trusted. After that a record still narrows down what the
user named, and nothing else does. A memory that does not reach back to the beginning of its tree
counts as tainted from there on. All of it is told in `docs/provenance.md`.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from audit.canonical import Json
from audit.value import value_type
from gateway.session import normal_form
from gateway.session.result_values import Reading, Record, Scalar
from gateway.session.scale import (
    NONE,
    TRUSTED,
    UNTRUSTED,
    USER,
    Found,
    Weighed,
    Weighing,
    values,
    weigh,
)
from gateway.session.seen import Seen
from gateway.session.words import Words, is_id, kinds_of
from policies.decision import ORIGINS

MOST_PIECES = 20_000
"""Different words of one text that are remembered; further ones are as if never seen."""

_MOST_LINES = 2000
_MOST_SOURCES = 1024
_LONGEST_NAME = 80


@value_type
class Source:
    """Where values were read.

    tool   `server.tool`
    entry  index of the entry that authorised the call
    """

    tool: str
    entry: int


@value_type
class Traced:
    """One value of a call, for people who decide about it.

    path    "args.copies[1].to"
    span    where in the text it stands, in code points; None: all of it
    source  where it was read first; None: not read, or not known any more
    """

    path: str
    origin: str
    span: tuple[int, int] | None
    source: Source | None

    def to_json(self) -> dict[str, Json]:
        """As it stands in the entry that asks; the value itself stands in the sealed arguments."""
        told: dict[str, Json] = {"path": self.path, "origin": self.origin}
        if self.span is not None:
            told["span"] = list(self.span)
        if self.source is not None:
            told["from"] = {"tool": self.source.tool, "entry": self.source.entry}
        return told


class Memory:
    """What one tree of sessions has been told and has read.

    complete  it knows the tree from its beginning
    key       secret, for `Seen`
    """

    def __init__(self, key: str, *, complete: bool) -> None:
        self.tainted = not complete
        self._said: tuple[str, ...] = ()
        self._words = Words(())
        self._relied, self._others, self._linked = Seen(key), Seen(key), Seen(key)
        self._sources: dict[int, Source] = {}
        self._reads = 0

    def hear(self, said: tuple[str, ...]) -> None:
        """Know the user's words: all that were said so far."""
        if said != self._said:
            self._words, self._said = Words(said), said

    def weigh(self, call: Weighing) -> Weighed:
        """Where the values of a call come from."""
        return weigh(call, self)

    def trace(self, call: Weighing) -> Iterator[Traced]:
        """Each value of a call, with where it was read."""
        for path, found in values(call, self):
            source = self._source(found) if found.rank in {TRUSTED, UNTRUSTED} else None
            yield Traced(f"args.{path}", ORIGINS[found.rank], found.span, source)

    def remember(self, reading: Reading, call: Weighing, source: Source) -> None:
        """Know what a result said. What the call itself had put into it is no news."""
        self._reads += 1
        self._sources[self._reads] = source
        self._sources.pop(self._reads - _MOST_SOURCES, None)
        self._others.add(_forms(reading.others), self._reads)
        if self.tainted:
            self._others.add(_forms(reading.relied), self._reads)
        elif reading.relied:
            echo = {found.form for _, found in values(call, self) if found.rank > TRUSTED}
            news = (form for form in _forms(reading.relied) if form not in echo)
            self._relied.add(news, self._reads)
            self._relied.add(_ids(reading.records, call.tool, echo), self._reads)
        if self._words and reading.records:
            self._link(reading.records, call.tool)

    # -- what is known of one value -----------------------------------------------------------

    def rank(self, form: str, spent: int) -> int:
        """Where a value comes from; an index into ORIGINS."""
        said = self._words.mentions(form)
        if not said and self._linked.source(form) is not None:
            said = 1
        return self._rank(form, said, spent)

    def rank_id(self, form: str, kinds: Collection[str], spent: int) -> int:
        """Where a short id comes from: known as the id of such an object, or not at all."""
        typed = [normal_form.as_id(kind, form) for kind in kinds]
        said = self._words.mentions_id(form, kinds)
        if not said and any(self._linked.source(each) is not None for each in typed):
            said = 1
        if said or not any(self._relied.source(each) is not None for each in typed):
            return self._rank(form, said, spent, may_be_relied_upon=False)
        return TRUSTED

    def _rank(self, form: str, said: int, spent: int, *, may_be_relied_upon: bool = True) -> int:
        if said:
            return USER if said > spent else NONE  # used up: not even a copy of it counts
        if may_be_relied_upon and self._relied.source(form) is not None:
            return TRUSTED
        return UNTRUSTED if self._others.source(form) is not None else NONE

    def _source(self, found: Found) -> Source | None:
        assert found.form is not None
        forms = [*(normal_form.as_id(kind, found.form) for kind in found.kinds), found.form]
        read = self._relied if found.rank == TRUSTED else self._others
        numbers = [number for form in forms if (number := read.source(form)) is not None]
        return self._sources.get(numbers[0]) if numbers else None

    # -- records ------------------------------------------------------------------------------

    def _link(self, records: list[Record], tool: str) -> None:
        """Ids that stand beside what the user named, where that tells them from the others."""
        named = [frozenset(self._named(record)) for record in records]
        counts: dict[str, int] = {}
        for forms in named:
            for form in forms:
                counts[form] = counts.get(form, 0) + 1
        most = max(1, len(records) // 2)
        for record, forms in zip(records, named, strict=True):
            if any(counts[form] <= most for form in forms):
                self._linked.add(_ids([record], tool), self._reads)
                self._relied.add(_forms([value for _, value in record]), self._reads)
                self._relied.add(_ids([record], tool), self._reads)

    def _named(self, record: Record) -> Iterator[str]:
        """What of a record the user has named, beyond accident."""
        names = {f"w{name.lower()}" for name, _ in record}
        for name, value in record:
            if isinstance(value, str) and not is_id(name) and len(value) <= _LONGEST_NAME:
                for form in _forms([value]):
                    if form not in names and self._is_named(form):
                        yield form

    def _is_named(self, form: str) -> bool:
        return normal_form.names_something(form) and self._words.mentions(form) > 0


def _ids(records: Iterable[Record], tool: str, echo: Collection[str | None] = ()) -> Iterator[str]:
    """What records identify, by itself where that cannot be met by accident, and by kind."""
    for record in records:
        for name, value in record:
            form = _of_scalar(value) if is_id(name) else None
            if form is None or form in echo:
                continue
            if not normal_form.is_short(form):
                yield form
            for kind in kinds_of(name, tool):
                yield normal_form.as_id(kind, form)


def _of_scalar(value: Scalar) -> str | None:
    if isinstance(value, str):
        return normal_form.of_value(normal_form.levelled(value))
    return normal_form.of_number(value)


def _forms(scalars: Iterable[Scalar]) -> Iterator[str]:
    """Everything that values of a result may be recognised by."""
    for value in scalars:
        if isinstance(value, str):
            yield from _forms_of_text(normal_form.levelled(value))
        else:
            yield normal_form.of_number(value)


def _forms_of_text(text: str) -> Iterator[str]:
    for piece in islice(dict.fromkeys(text.split()), MOST_PIECES):
        yield from normal_form.of_remembered(piece)
    yield from normal_form.spaced(text)
    for line in islice(text.split("\n"), _MOST_LINES):
        whole = normal_form.of_value(line)
        if whole is not None and " " in whole:
            yield whole
