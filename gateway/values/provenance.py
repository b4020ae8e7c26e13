"""Provenance: where the values of a call come from.

One `Memory` for each tree of sessions, since nobody sees what agents of one tree tell each other.
It knows the user's words, and by keyed hashes what was read: values that may be relied upon, values
that may not, and ids that stand in one record with something the user named. A call's values are
compared with it as wholes, in the normal form of `gateway.values.normal_form`, without a model.

What may be relied upon counts only until the tree is tainted: a tainted agent chooses what it
reads, and could fetch what it wants to be trusted. After that a record still narrows down what the
user named, and nothing else does. A memory that does not reach back to the beginning of its tree
counts as tainted from there on. All of it is told in `docs/provenance.md`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice

from audit.canonical import Json
from audit.value import value_type
from gateway.values import normal_form
from gateway.values.normal_form import as_id
from gateway.values.result_values import Reading, Record, Scalar
from gateway.values.scale import (
    NONE,
    TRUSTED,
    UNTRUSTED,
    USER,
    Weighed,
    Weighing,
    owned,
    values,
    weigh,
)
from gateway.values.seen import Seen
from gateway.values.words import Words, is_id, kinds_of
from policies.decision import ORIGINS

MOST_PIECES = 20_000
"""Different words of one text that are remembered; further ones are as if never seen."""

SLICE = 2000
"""Values that are remembered at a stretch: a few milliseconds, after which others have a turn."""

_RECORDS = SLICE // 10
_MOST_LINES = 2000
_MOST_SOURCES = 1024
_LONGEST_NAME = 80
_LINKS = 2
"""A note on what may be relied upon is twice its source, and one more for an id that stands in one
record with something the user named."""


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
    key       16 random bytes or more, in hex: stands before each text that is hashed, so that
              nobody can prepare one that is taken for another
    """

    def __init__(self, key: str, *, complete: bool) -> None:
        self.tainted = not complete
        self._said: tuple[str, ...] = ()
        self.words = Words(())
        self._key = key
        self._relied, self._others = Seen(), Seen()
        self._vouched: Callable[[str], bool] | None = None
        self._sources: dict[int, Source] = {}
        self._reads = 0

    def hear(self, said: tuple[str, ...]) -> None:
        """Know the user's words: all that were said so far."""
        if said != self._said:
            self.words, self._said = Words(said), said

    def vouch(self, vouched: Callable[[str], bool] | None) -> None:
        """Know which values a person has vouched for, by their forms; None: none."""
        self._vouched = vouched

    def owned(self, call: Weighing) -> Iterator[tuple[Json, bool]]:
        """Everything that a call says, and whether it is the user's own."""
        return owned(call, self)

    def weigh(self, call: Weighing) -> Weighed:
        """Where the values of a call come from."""
        return weigh(call, self)

    def trace(self, call: Weighing) -> Iterator[Traced]:
        """Each value of a call, with where it was read."""
        for path, found in values(call, self):
            read = found.form is not None and found.rank in {TRUSTED, UNTRUSTED}
            source = self._source(found.form or "", found.rank) if read else None
            yield Traced(f"args.{path}", ORIGINS[found.rank], found.span, source)

    def remember(self, reading: Reading, call: Weighing, source: Source) -> Iterator[None]:
        """Know what a result said, in slices: others may have their turn after each, and what was
        read is known after the last. What the call itself had put into it is no news.
        """
        self._reads += 1
        read = self._reads
        self._sources[read] = source
        self._sources.pop(read - _MOST_SOURCES, None)
        echo: frozenset[str | None] | None = None
        if reading.relied and not self.tainted:  # as it was when the result came
            found = (found for _, found in values(call, self) if found.rank > TRUSTED)
            echo = frozenset(each.form for each in found)
        yield from self._add(self._others, _forms(reading.others), read)
        yield from self._add(self._others, _forms(reading.relied), read)
        if echo is not None:
            wholes = _wholes(reading, echo), _ids(reading.records, call.tool, echo)
            yield from self._add(self._relied, chain(*wholes), read * _LINKS)
        if self.words and reading.records:
            yield from self._link(reading.records, call.tool, read * _LINKS)

    # -- what is known of one value -----------------------------------------------------------

    def ranks(self, forms: Iterable[str], spent: int) -> list[int]:
        """Where values come from; indices into ORIGINS."""
        vouched, key = self._vouched, self._key
        alone, in_a_row = self.words.forms.get, self.words.mentions
        # Many are asked for: a look-up is a third of what calling `get` takes.
        relied, relied_before = self._relied.late, self._relied.early
        others, others_before = self._others.late, self._others.early
        ranks: list[int] = []
        for form in forms:
            said = in_a_row(form) if " " in form else alone(form)
            if said:
                rank = USER if said > spent else NONE  # used up: not even a copy of it counts
            elif vouched is not None and vouched(form):
                rank = TRUSTED
            elif (value := hash(key + form)) in relied or value in relied_before:  # 64 bits
                rank = self._relied_upon(self._relied.get(value), spent)
            else:
                rank = UNTRUSTED if value in others or value in others_before else NONE
            ranks.append(rank)
        return ranks

    def rank_id(self, form: str, kinds: Collection[str], spent: int) -> int:
        """Where a short id comes from: known as the id of such an object, or not at all."""
        said = self.words.mentions_id(form, kinds)
        if said:
            return USER if said > spent else NONE
        notes = [self._relied.get(hash(self._key + as_id(kind, form))) for kind in kinds]
        known = [note for note in notes if note is not None]
        if known:
            return self._relied_upon(max(known, key=_is_linked), spent)
        return NONE if self._others.get(hash(self._key + form)) is None else UNTRUSTED

    def _relied_upon(self, note: int | None, spent: int) -> int:
        if note is None or not _is_linked(note):
            return TRUSTED
        return NONE if spent else USER

    def _source(self, form: str, rank: int) -> Source | None:
        note = (self._relied if rank == TRUSTED else self._others).get(hash(self._key + form))
        if note is None:
            return None
        return self._sources.get(note // _LINKS if rank == TRUSTED else note)

    def _hashes(self, forms: Iterable[str]) -> Iterator[int]:
        return (hash(self._key + form) for form in forms)

    def _add(self, seen: Seen, forms: Iterable[str], note: int) -> Iterator[None]:
        hashes = self._hashes(forms)
        while True:
            some = list(islice(hashes, SLICE))
            seen.add(some, note)
            if len(some) < SLICE:
                return
            yield

    # -- records ------------------------------------------------------------------------------

    def _link(self, records: list[Record], tool: str, stands: int) -> Iterator[None]:
        """Ids, and the one account or address, of a record that holds what the user named.

        A name must tell it from most of the others, and a sum of money from all of them.
        """
        named: list[tuple[Record, frozenset[str]]] = []
        counts: Counter[str] = Counter()
        for at, record in enumerate(records, 1):
            forms = frozenset(self._named(record))
            if forms:
                named.append((record, forms))
                counts.update(forms)
            if at % _RECORDS == 0:
                yield
        most = max(1, len(records) // 2)
        for at, (record, forms) in enumerate(named, 1):
            if any(counts[form] <= (1 if form[0] == "#" else most) for form in forms):
                members = filter(None, (_of_scalar(value) for _, value in record))
                self._relied.add(self._hashes(members), stands)
                for value in self._hashes(chain(_ids([record], tool), _reached(record))):
                    self._relied.put(value, stands + 1)
            if at % _RECORDS == 0:
                yield

    def _named(self, record: Record) -> Iterator[str]:
        """What of a record the user has named, beyond accident."""
        names = {f"w{name.lower()}" for name, _ in record}
        for name, value in record:
            if not is_id(name) and (not isinstance(value, str) or len(value) <= _LONGEST_NAME):
                for form in _forms([value]):
                    if form not in names and self._is_named(form):
                        yield form

    def _is_named(self, form: str) -> bool:
        if form[0] == "#":
            return self.words.names_amount(form)
        return normal_form.names_something(form) and self.words.mentions(form) > 0


def _is_linked(note: int) -> bool:
    return note % _LINKS == 1


def _reached(record: Record) -> Iterator[str]:
    """The account or mail address of a record; of several, which one was meant is not known."""
    forms = {form for _, value in record if (form := _of_scalar(value)) and form[0] in "@="}
    return iter(forms if len(forms) == 1 else ())


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
                yield as_id(kind, form)


def _wholes(reading: Reading, echo: Collection[str | None]) -> Iterator[str]:
    """What may be relied upon: whole values, and nothing that somebody put into one.

    A trusted listing holds names that strangers chose; what such a name says is theirs.
    """
    members = (value for record in reading.records for _, value in record)
    for value in (*reading.relied, *members):
        lines = value.split("\n") if isinstance(value, str) else ()
        for each in (value, *islice(lines, _MOST_LINES)):
            form = _of_scalar(each.removeprefix("- ") if isinstance(each, str) else each)
            if form is not None and form not in echo:
                yield form


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
        yield from normal_form.of_piece(piece)
    yield from normal_form.spaced(text)
    for line in islice(text.split("\n"), _MOST_LINES):
        whole = normal_form.of_value(line)
        if whole is not None and " " in whole:
            yield whole
