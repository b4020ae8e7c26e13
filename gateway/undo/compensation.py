"""Compensation: by which call another one is taken back, and with which arguments.

What takes a call of a tool back is stated in the policy, and so is where the arguments come from:
those of the call, and what it gave back. Both are read from the log, where they are sealed.
"""

from collections.abc import Mapping
from typing import cast

from audit.canonical import Json
from audit.errors import SealBroken, SubjectErased
from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import read
from gateway.recorder import Recorder
from gateway.undo.deeds import Deed
from policies.register import Undo


def arguments(undo: Undo, deed: Deed, settled: int, recorder: Recorder) -> dict[str, Json] | None:
    """The arguments of the call that takes a deed back; None when one of them cannot be told.

    settled  index of the outcome that holds what the deed gave back
    """
    values = {
        "args": sealed(recorder, deed.decided, "args"),
        "result": _members(sealed(recorder, settled, "result")),
    }
    made: dict[str, Json] = {}
    for name, path in undo.args.items():
        found, value = _followed(path, cast("Json", values))
        if not found:
            return None
        made[name] = value
    return made


def sealed(recorder: Recorder, index: int, name: str) -> Json:
    """A JSON value that an entry holds sealed; None where it is not kept, or was erased."""
    try:
        words = recorder.words(index, name)
        return None if words is None else read(words, max_bytes=max(1, len(words)))
    except (SealBroken, SubjectErased, NotUnderstood):
        return None


def _members(result: Json) -> Json:
    """Of a tool's result what its output schema describes, where it has that; else all of it."""
    return result.get("structuredContent", result) if isinstance(result, dict) else None


def _followed(path: str, value: Json) -> tuple[bool, Json]:
    """Whether a path leads somewhere, and to what."""
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return False, None
        value = value[name]
    return True, value
