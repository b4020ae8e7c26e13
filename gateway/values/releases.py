"""Releases: values that a person, or a rule of the policy, has taken a label off, one by one.

Labels of a session never come off. What can be released is a value: somebody says that it, and
nothing else, is free of a label in this tree of sessions: a person who has looked at it, or a rule
that names the place in a result where it stands (`gateway.values.freed`). A call whose values are
all the user's own or released from a label is decided without that label; and a released value may
be relied upon as if a trusted tool had said it. Both are in the log before they count.
"""

import hashlib
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple, cast

from audit.canonical import Json
from gateway.values import normal_form
from gateway.values.result_values import Scalar
from gateway.values.scale import form_of

Released = Mapping[str, Mapping[str, str]]
"""By the digest of a value: each label that was taken off, with who did; "rule:ID" is a rule."""

_NONE: Released = {}


class Lifted(NamedTuple):
    """Labels that a call is decided without, and who released what is in it."""

    labels: frozenset[str]
    by: frozenset[str]


NOTHING_LIFTED = Lifted(frozenset(), frozenset())


class Releases:
    """What was released, by tree."""

    def __init__(self) -> None:
        self._by_root: dict[str, dict[str, dict[str, str]]] = {}
        self.changed: set[str] = set()

    def of(self, root: str) -> Released:
        """What was released in a tree."""
        return self._by_root.get(root, _NONE)

    def released(self, root: str, body: Mapping[str, Json]) -> None:
        """Entry `label.released`."""
        values = self._by_root.setdefault(root, {})
        for value in cast("list[str]", body["match"]):
            known = values.setdefault(value, {})
            for label in cast("list[str]", body["labels"]):
                known.setdefault(label, cast("str", body["by"]))
        self.changed.add(root)

    def forget(self, known: Container[str]) -> None:
        """Drop what was released in all trees but these."""
        for root in [root for root in self._by_root if root not in known]:
            del self._by_root[root]
            self.changed.add(root)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one tree."""
        values = self._by_root.get(key)
        if values is None:
            return None
        return {value: dict[str, Json](labels) for value, labels in values.items()}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._by_root[key] = {
            value: dict(cast("Mapping[str, str]", labels)) for value, labels in row.items()
        }


def digests_of(value: Scalar, key: bytes) -> tuple[str, ...]:
    """By what a released value is recognised: as it is, and in the form that origins go by."""
    form = form_of(value)
    exact = _digest_of(value, key)
    return (exact,) if form is None else (exact, digest_of_form(form, key))


def _digest_of(value: Scalar, key: bytes) -> str:
    """Of the very text: what its signs and capitals could tell was not looked at."""
    text = value if isinstance(value, str) else normal_form.of_number(value)[1:]
    return digest_of_form(f"x{text}", key)


def digest_of_form(form: str, key: bytes) -> str:
    """The same of a value whose form is known."""
    text = form.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest()


def lifted(
    labels: frozenset[str], said: Iterable[tuple[Json, bool]], released: Released, key: bytes
) -> Lifted:
    """Labels that a call is decided without.

    said  everything in it, and whether it is the user's own
    """
    left, used = labels, list[Mapping[str, str]]()
    for value, is_the_users in said:
        if is_the_users:
            continue
        if value is None or isinstance(value, bool | list | dict):
            return NOTHING_LIFTED  # nobody has looked at it
        used.append(released.get(_digest_of(value, key), {}))
        left &= used[-1].keys()
    if not used or not left:
        return NOTHING_LIFTED
    return Lifted(left, frozenset(each[label] for each in used for label in left))


def is_releasable(value: str) -> bool:
    """Is this a value, and what it seems to be?"""
    return bool(value.strip()) and normal_form.is_level(value)
