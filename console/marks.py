"""Marks: how values look in every page. Strangers' text comes through `shown` and stays text.

All of them escape what they are given; what they return is HTML of ours around it.
"""

from datetime import UTC, datetime
from json import dumps

from jinja2 import Environment
from markupsafe import Markup, escape

from policies.inert import pieces

_CLASSES = {"hidden": "hid", "alike": "alike"}
_SHORT = 8
_STATES = {
    "allow": "allow", "done": "allow", "executed": "allow", "approved": "allow", "ok": "allow",
    "up": "allow", "callable": "allow", "undone": "allow",
    "ask": "ask", "asked": "ask", "claimed": "ask", "pending": "ask", "unknown": "ask",
    "withdrawn": "ask", "expired": "ask", "degraded": "ask", "warning": "ask",
    "waiting": "ask", "under way": "ask", "running": "ask", "paused": "ask", "stopping": "ask",
    "cancelled": "ask", "left": "ask",
    "deny": "deny", "denied": "deny", "failed": "deny", "error": "deny", "suspended": "deny",
    "stopped": "deny", "down": "deny", "refused": "deny", "read_only": "deny", "blocked": "deny",
    "exhausted": "deny", "tripped": "deny", "unavailable": "deny",
}  # fmt: skip
_SYMBOLS = {"allow": "\u2713", "ask": "?", "deny": "\u2715", "": "\u2013"}


def install(environment: Environment) -> None:
    """Give the templates of an environment these filters."""
    environment.filters.update(
        shown=shown, lines=lines, json=json, state=state, moment=moment, digest=digest
    )


def shown(text: object) -> Markup:
    """Text of a stranger: what does not show is an escape, a letter that imitates is marked."""
    return Markup("").join(_piece(each.text, each.kind, each.note) for each in pieces(str(text)))


def lines(text: str) -> Markup:
    """As `shown`, of text that has lines: each ends where it ended, behind a visible sign."""
    return Markup("\n").join(shown(line) for line in text.split("\n"))


def json(value: object) -> Markup:
    """A JSON value on several lines."""
    return lines(dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def state(word: object) -> Markup:
    """A state or effect: the word, a shape and a colour."""
    kind = kind_of(word)
    symbol = _SYMBOLS[kind]
    return Markup('<span class="is {}"><span aria-hidden="true">{}</span>&nbsp;{}</span>').format(
        kind, symbol, shown(word)
    )


def kind_of(word: object) -> str:
    """What a state or effect is shown as: `allow`, `ask`, `deny` or ""."""
    return _STATES.get(str(word), "")


def moment(seconds: float) -> Markup:
    """A time in UTC; the reader's own shows when they point at it."""
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M:%S} UTC"
    )


def digest(text: str) -> Markup:
    """The beginning of a digest; all of it when pointed at, and to be copied."""
    whole = text.partition(":")[2] or text
    return Markup(
        '<code title="{0}">{1}</code> <button type="button" class="quiet" data-copy="{0}"'
        ' aria-label="Copy the whole digest">copy</button>'
    ).format(text, whole[:_SHORT])


def _piece(text: str, kind: str, note: str) -> Markup:
    if kind == "plain":
        return escape(text)
    said = f"looks like another letter, is {note}" if kind == "alike" else note
    return Markup('<span class="{}" title="{}">{}</span>').format(_CLASSES[kind], said, text)
