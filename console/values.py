"""Values: a JSON value taken apart into rows, each with its path, so that all of it is shown.

Paths are written as in the evidence of a request: `args.copies[1].to`. A name that could be taken
for something else stands in quotation marks, so that no two values have one path.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from json import dumps

from audit.canonical import Json

_PLAIN = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One leaf.

    text      as it is sent; of a text without quotation marks
    is_text   else a number, a truth value, null, or an empty list or object
    """

    path: str
    text: str
    is_text: bool


def rows(value: Json, path: str) -> Iterator[Row]:
    """Every leaf, in order; nothing is cut off."""
    if isinstance(value, dict) and value:
        for name, each in value.items():
            plain = _PLAIN.fullmatch(name) is not None
            yield from rows(each, f"{path}.{name}" if plain else f"{path}[{dumps(name)}]")
    elif isinstance(value, list) and value:
        for at, each in enumerate(value):
            yield from rows(each, f"{path}[{at}]")
    elif isinstance(value, str):
        yield Row(path, value, is_text=True)
    else:
        yield Row(path, dumps(value), is_text=False)
