"""Objects: what a labelled session wrote to keeps its labels, for whoever reads it.

A session could launder what it knows through a file: write it here, have it read there. So a write
of a labelled session marks what it names (the arguments that the tool's `target` names), and the
labels fall on every session whose call names the same thing, in whatever argument: with the entry
that authorises it, before anything is forwarded. They are never taken off.

A name is known by a keyed digest. Names are compared loosely, since a match only adds labels: case,
width, invisible letters and the spelling of a path do not count. What names a folder names all
that is in it. Names are of one server, but for absolute paths and links, which are of all.
"""

import hashlib
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import cast

from audit.canonical import Json
from gateway.values.result_values import Scalar, scalars
from policies.errors import ConditionFailed
from policies.text import compatible

MOST = 100_000
"""Marked names; after that each further mark falls on everything of its server."""

MOST_NAMES = 64
"""Names and folders that one call may mark; one with more marks everything of its server."""

_INSIDE = "\n"  # behind the name of a folder: what is in it
_LONGEST = 4096
_DEEPEST = 32


class Objects:
    """Labels by the digest of a name."""

    def __init__(self, *, most: int = MOST) -> None:
        self._labels: dict[str, frozenset[str]] = {}
        self._most = most
        self.changed: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._labels)

    def labels(self, names: Iterable[str]) -> frozenset[str]:
        """What falls on a call that names these things; digests."""
        found = (self._labels[name] for name in names if name in self._labels)
        return frozenset().union(*found)

    def marked(self, body: Mapping[str, Json]) -> None:
        """A decision entry that authorises a write of a labelled session."""
        facts = cast("Mapping[str, list[str]]", body["facts"])
        emits = cast("list[str]", body["emits"])
        labels = frozenset(facts["labels"]).union(facts.get("lifted", ()), emits)
        everything, *names = cast("list[str]", body["marks"])
        for name in names or [everything]:
            known = name in self._labels or len(self._labels) < self._most
            key = name if known else everything
            self._labels[key] = self._labels.get(key, frozenset()) | labels
            self.changed.add(key)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one name."""
        labels = self._labels.get(key)
        return None if labels is None else {"labels": list[Json](sorted(labels))}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._labels[key] = frozenset(cast("list[str]", row["labels"]))


def marks(
    server: str, args: Mapping[str, Json], targets: Collection[str], key: bytes
) -> tuple[str, ...]:
    """What a write marks: what its targets name, and the folders in which that is.

    The first digest stands for all of the server, and counts where nothing else can.
    """
    named = [name for target in targets if target in args for name in _names(args[target])]
    names = dict.fromkeys(each for name in named for each in (name, *_above(name)))
    if len(names) > MOST_NAMES:
        return (everything(server, key),)
    return (everything(server, key), *(_begun(server, name, key).hexdigest() for name in names))


def named(server: str, args: Mapping[str, Json], key: bytes) -> Iterator[str]:
    """Digests of everything that a call may name."""
    yield everything(server, key)
    for name in _names(dict(args)):
        digest = _begun(server, name, key)
        yield digest.hexdigest()
        digest.update(_INSIDE.encode())
        yield digest.hexdigest()


@lru_cache(maxsize=1024)
def everything(server: str, key: bytes) -> str:
    """The digest that stands for all of one server."""
    digest = _keyed(key).copy()
    digest.update(server.encode())
    return digest.hexdigest()


def _names(value: Json) -> Iterator[str]:
    return filter(None, map(_name, scalars(value)))


def _name(value: Scalar) -> str:
    if not isinstance(value, str):
        return str(value)
    try:
        text = compatible(value[:_LONGEST]).strip().lower()
    except ConditionFailed:
        return ""
    return posixpath.normpath(text.replace("\\", "/")) if text else ""


def _above(name: str) -> Iterator[str]:
    """The folders that a path is in: who reads one of them may read it."""
    for _ in range(_DEEPEST):
        above = posixpath.dirname(name)
        if above == name:
            return
        yield (above or ".") + _INSIDE
        name = above
        if not name:
            return


def _begun(server: str, name: str, key: bytes) -> "hashlib.blake2b":
    """The digest of a name, to which `_INSIDE` can be added."""
    is_absolute = name.startswith("/") or ":/" in name
    digest = _keyed(key).copy()
    digest.update(f"{'' if is_absolute else server}\0{name}".encode("utf-8", "surrogatepass"))
    return digest


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> "hashlib.blake2b":
    """Copied instead of made for each name, which takes twice as long."""
    return hashlib.blake2b(key=key, digest_size=16)
