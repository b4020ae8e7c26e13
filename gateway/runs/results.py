"""Results: what steps gave that is too large to be handed about, kept once and by reference.

A result lies in the memory of the session that its run is in, under a place that no memory tool
leads to: sealed with the keys of that session, with the labels of who got it, gone for good with
its end. Neither checkpoints nor whoever carries the run hold it.
"""

from hashlib import blake2b
from typing import cast

from audit.canonical import Json
from audit.entry import Receipt
from gateway.action import Outcome
from gateway.errors import MemoryRefused
from gateway.links.jsonrpc import read
from gateway.memory.memory import Memory, Writer
from gateway.memory.place import Place, Reach
from gateway.principal import Principal
from gateway.runs.errors import RunRefused
from gateway.runs.given import with_value
from gateway.runs.reference import id_of, reference, references, told_in
from gateway.runs.run import Run, request_id
from gateway.session.sessions import Sessions

LONGEST = 4 << 20
"""Longest result that is kept, in bytes of JSON; also what one call can be given by references."""
MOST_BYTES = 64 << 20
MOST_RESULTS = 1_000
"""How much is kept for one run."""

_ABSENT = "There is no such result in this run."


class Results:
    """Keeps the large results of all runs.

    digest_key  keys the ids of results: nobody guesses one
    """

    def __init__(self, memory: Memory, sessions: Sessions, digest_key: bytes) -> None:
        self._memory = memory
        self._sessions = sessions
        self._key = digest_key

    async def keep(
        self, run: Run, made: str, who: Principal, decision: Receipt, value: Json
    ) -> Outcome:
        """Keep what a step gave; its outcome then, with a reference in the place of that.

        made      the id of the step where it was made; what a fork takes over keeps that id
        decision  the entry that authorised it

        Raises MemoryRefused where it is too large or the run has kept too much, AuditError and
        OSError.
        """
        words, named = told_in(value), self.named(made)
        found = await self._memory.get(_place(run), named)
        if found is None or found.text.encode() != words:
            actor: dict[str, Json] = {
                "agent": who.agent,
                "chain": list[Json](who.chain),
                "sub": who.user,
            }
            writer = Writer(actor, who.session, decision)
            await self._memory.put(_place(run), writer, named, words.decode())
        return with_value(reference(named, words, value))

    async def kept(self, run: Run, path: str) -> Outcome | None:
        """The outcome of a step whose result is kept; None where it is not."""
        named = self.named(request_id(run.id, path))
        try:
            found = await self._memory.get(_place(run), named)
        except MemoryRefused:
            return None
        if found is None:
            return None
        words = found.text.encode()
        return with_value(reference(named, words, read(words, max_bytes=LONGEST)))

    async def opened(self, run: Run, session: str, value: Json) -> Json:
        """A value with what its references stand for, for who acts in that session.

        What a reference leads to is not looked at for further ones: others wrote that.

        Raises RunRefused where one leads nowhere, or to more than one call can be given.
        """
        found: dict[str, bytes] = {}
        left = LONGEST
        for each in references(value):
            named = cast("str", id_of(each))
            if named not in found:
                found[named] = await self._words(run, session, named)
            left -= len(found[named])  # each time that it is named: it then stands there as often
            if left < 0:
                raise RunRefused("run.reference", "The results are too large for one call.")
            stated = reference(named, found[named], None)
            if any(each.get(name, stated[name]) != stated[name] for name in ("bytes", "sha256")):
                raise RunRefused("run.reference", _ABSENT)
        if not found:
            return value
        return _filled(value, {name: read(text, max_bytes=LONGEST) for name, text in found.items()})

    async def _words(self, run: Run, session: str, named: str) -> bytes:
        try:
            found = await self._memory.get(_place(run), named)
        except MemoryRefused:
            raise RunRefused("run.reference", _ABSENT) from None
        reader = self._sessions.get(session)
        if found is None or reader is None or not found.item.labels <= reader.labels:
            raise RunRefused("run.reference", _ABSENT)  # the sessions of a run share their labels
        return found.text.encode()

    def named(self, made: str) -> str:
        """The id of the result of the step that was made under that id."""
        hashed = blake2b(made.encode(), key=self._key, digest_size=16, person=b"run.result")
        return hashed.hexdigest()


def _place(run: Run) -> Reach:
    place = Place("session", "results", run.session)
    return Reach(place, None, MOST_RESULTS, MOST_BYTES, LONGEST)


def _filled(value: Json, found: dict[str, Json]) -> Json:
    named = id_of(value)
    if named is not None:
        return found[named]
    if isinstance(value, dict):
        return {name: _filled(each, found) for name, each in value.items()}
    return [_filled(each, found) for each in value] if isinstance(value, list) else value
