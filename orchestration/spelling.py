"""Spelling: how nodes may be written, and what that is in the form of the models."""

from collections.abc import Mapping


def spelled(value: object) -> object:
    """A node as it is written, in the form of the models."""
    if isinstance(value, str):
        return {"kind": "tool" if "." in value else "agent", "name": value}
    if not isinstance(value, Mapping) or "kind" in value or len(value) != 1:
        return value
    ((kind, members),) = value.items()
    if kind in {"agent", "tool"} and isinstance(members, str):
        return {"kind": kind, "name": members}
    if kind == "sequential" and isinstance(members, list | tuple):
        return {"kind": kind, "steps": members}
    if kind == "parallel" and isinstance(members, list | tuple):
        return {"kind": kind, "branches": members}
    if kind == "emit" and isinstance(members, str):
        return {"kind": kind, "event": members}
    if kind == "wait" and isinstance(members, str):
        return {"kind": kind, "for": members}
    return {**members, "kind": kind} if isinstance(members, Mapping) else value


def kind_of(value: object) -> str | None:
    """The kind of a node in the form of the models, or of a model; None: it has none."""
    found = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return found if isinstance(found, str) else None
