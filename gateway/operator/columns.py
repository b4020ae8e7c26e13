"""What of an entry can be searched for by a qualifier, as `agent:clerk effect:deny`.

The log knows nothing of agents and tools; this table tells its index where they stand.
"""

from collections.abc import Mapping
from typing import Any

from audit.query import Column


def _agent(body: dict[str, Any]) -> str | None:
    return _text((body.get("actor") or {}).get("agent")) or _text(body.get("agent"))


def _user(body: dict[str, Any]) -> str | None:
    return _text((body.get("actor") or {}).get("sub")) or _text(body.get("user"))


def _tool(body: dict[str, Any]) -> str | None:
    tool = body.get("tool")
    return _text(tool.get("name") if isinstance(tool, dict) else tool)


def _effect(body: dict[str, Any]) -> str | None:
    decision = body.get("decision")
    return _text(decision.get("effect")) if isinstance(decision, dict) else None


def _rule(body: dict[str, Any]) -> list[str] | None:
    """Every rule that decided, or asked."""
    decision = body.get("decision")
    holder = decision if isinstance(decision, dict) else body
    rules = holder.get("rules", [])
    return [rule for rule in rules if isinstance(rule, str)] or None


def _named(name: str) -> Column:
    return lambda body: _text(body.get(name))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


COLUMNS: Mapping[str, Column] = {
    "agent": _agent,
    "user": _user,
    "tool": _tool,
    "effect": _effect,
    "rule": _rule,
    "session": _named("session"),
    "approval": _named("approval"),
    "status": _named("status"),
    "code": _named("code"),
    "by": _named("by"),
}
