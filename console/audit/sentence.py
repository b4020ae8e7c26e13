"""Sentences: what an entry says, in a line for people, of parts that can be searched for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Look = Literal["text", "link", "state"]


@dataclass(frozen=True, slots=True)
class Part:
    """A few words of a sentence.

    query  what finds entries with the same value; "" for words of ours
    """

    text: str
    query: str = ""
    look: Look = "text"


def sentence(body: Mapping[str, Any]) -> tuple[Part, ...]:
    """What one entry says; every text of a stranger is a part of its own."""
    told = _TELLERS.get(body["kind"], _other)
    return tuple(part for part in told(body) if part.text)


def named(name: str, value: object, *, look: Look = "link") -> Part:
    """A value that can be searched for by a qualifier."""
    text = value if isinstance(value, str) else ""
    is_quotable = text and '"' not in text
    return Part(text, f'{name}:"{text}"' if is_quotable else "", look)


def _who(body: Mapping[str, Any]) -> Iterator[Part]:
    actor = body.get("actor")
    actor = actor if isinstance(actor, dict) else {}
    agent = actor.get("agent") or body.get("agent")
    yield named("agent", agent)
    if actor.get("sub"):
        yield Part(", for ")
        yield named("user", actor["sub"])


def _decision(body: Mapping[str, Any]) -> Iterator[Part]:
    decision = body["decision"]
    yield from _who(body)
    yield Part(": ")
    yield named("effect", decision["effect"], look="state")
    yield Part(" ")
    yield named("tool", body["tool"]["name"])
    rules = decision["rules"]
    yield Part(" - rule " if rules else " - no rule matched")
    for at, rule in enumerate(rules):
        yield Part(", " if at else "")
        yield named("rule", rule)
    if body.get("approval"):
        yield Part(", with the approval ")
        yield named("approval", body["approval"])


def _outcome(body: Mapping[str, Any]) -> Iterator[Part]:
    yield named("tool", body["tool"])
    yield Part(" ended: ")
    yield named("status", body["status"], look="state")
    yield Part(" ")
    yield named("code", body.get("code"))
    yield Part(f" after {body['us'] / 1000:.1f} ms")


def _asked(body: Mapping[str, Any]) -> Iterator[Part]:
    yield from _who(body)
    yield Part(" wants ")
    yield named("tool", body["tool"]["name"])
    yield Part("; people are asked in ")
    yield named("approval", body["approval"])


def _decided(body: Mapping[str, Any]) -> Iterator[Part]:
    yield named("by", body["by"])
    yield Part(" answered ")
    yield Part(body["verdict"], "", "state")
    yield Part(" to ")
    yield named("approval", body["approval"])
    yield Part("; it is ")
    yield Part(body["state"], "", "state")


def _other(body: Mapping[str, Any]) -> Iterator[Part]:
    yield named("kind", body["kind"])
    yield Part(" ")
    yield from _who(body)
    for name in ("user", "tool", "server", "operator", "status", "state", "code", "alarm"):
        value = body.get(name)
        if isinstance(value, str):
            yield Part(f" {name} ")
            yield named(name, value) if name in _SEARCHED else Part(value, look="link")
    if isinstance(body.get("by"), str):
        yield Part(" by ")
        yield named("by", body["by"])


_SEARCHED = frozenset({"user", "tool", "status", "code"})
_TELLERS = {
    "decision": _decision,
    "outcome": _outcome,
    "approval.asked": _asked,
    "approval.decided": _decided,
}
