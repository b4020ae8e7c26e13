"""Grants: the rule that lets calls like one that was made pass without asking anybody.

It is text for a reviewer, never a decision: as narrow as conditions can say it, with an end. What
no condition can pin is named, so that nobody takes the rule for narrower than it is. An allow does
not lift an ask, so rules that ask step aside for exactly what is granted; a guardrail and a denial
do not, since no rule lifts them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from audit.canonical import Json
from policies import amend
from policies.clause import Clause
from policies.decision import Decision, Facts
from policies.kernel import decide
from policies.snapshot import Snapshot
from policies.text import is_plain

_PLAIN_NAME = re.compile(r"(?!(?:true|false|null|in)\Z)[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

LONGEST = 200
"""Characters of a text that a condition compares; of a longer one its length is bounded.

So it is of a text that is not what it seems to be, or has characters that no policy file may hold.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How far a grant is to reach.

    up_to     numbers may be smaller, down to 0 without it; else exactly as they were
    any_user  on whoever's behalf; else on behalf of the same user alone
    until     the last day
    """

    up_to: bool
    any_user: bool
    until: date


@dataclass(frozen=True, slots=True)
class Grant:
    """What would have to stand in the file.

    rule       the lines to add
    aside      rules that would ask all the same, each with its new condition
    unpinned   arguments that may hold something else than then
    obstacles  why it would not pass all the same; not empty: the grant is worth nothing
    """

    file: str
    rule: amend.Lines
    aside: tuple[tuple[str, str], ...]
    unpinned: tuple[str, ...]
    obstacles: tuple[str, ...]

    def amended(self, text: str) -> str:
        """The text of the file with it. Raises NotAmendable when that is no policy."""
        for rule, condition in self.aside:
            text = amend.with_condition(text, rule, condition)
        return amend.with_rule(text, self.rule)

    def __str__(self) -> str:
        return amend.written(self.rule)


def grant(
    snapshot: Snapshot, facts: Facts, schema: Mapping[str, Json], wanted: Wanted, *, entry: int
) -> Grant:
    """The grant for calls like that.

    schema  of the tool's arguments, as it is pinned
    entry   where the call stands in the log
    """
    decision = decide(snapshot, facts)
    asking = [snapshot.clauses[name] for name in decision.rules if name in snapshot.clauses]
    condition = _Condition(facts, schema, wanted)
    text = " && ".join(condition.parts)
    file = asking[0].at.file if asking else next(iter(snapshot.clauses.values())).at.file
    movable = [each for each in asking if each.effect == "ask" and not each.is_guardrail]
    return Grant(
        file=file,
        rule=(*_rule(snapshot, facts, text, wanted, entry), *_counted(decision)),
        aside=tuple((each.id, _without(each, text)) for each in movable if each.at.file == file),
        unpinned=tuple(condition.unpinned),
        obstacles=tuple(_obstacles(decision, asking, file)),
    )


def _rule(
    snapshot: Snapshot, facts: Facts, condition: str, wanted: Wanted, entry: int
) -> Iterator[tuple[str, str]]:
    name = f"grant-{entry}"
    while name in snapshot.clauses:
        name += "-again"
    yield "id", name
    yield "why", json.dumps(f"Asked for in entry {entry} of the log.")
    yield "agents", f"[{facts.agent}]"
    yield "tools", f"[{facts.tool}]"
    yield "effect", "allow"
    yield "when", json.dumps(condition, ensure_ascii=False)
    yield "until", wanted.until.isoformat()


def _counted(decision: Decision) -> Iterator[tuple[str, str]]:
    """What the call was counted against where it was asked about: a grant is no way around it."""
    for key, names in (("limits", decision.limits), ("budgets", decision.budgets)):
        if names:
            yield key, f"[{', '.join(names)}]"


def _without(clause: Clause, granted: str) -> str:
    """The condition of a rule that asks, but for what is granted."""
    others = f"!({granted})"
    return others if clause.condition is None else f"({clause.condition.text}) && {others}"


def _obstacles(decision: Decision, clauses: list[Clause], file: str) -> Iterator[str]:
    if decision.effect == "allow":
        yield "it is allowed already"
    if decision.effect == "deny" and decision.rules:
        yield f"{', '.join(decision.rules)} denies it, and no rule lifts a denial"
    for each in clauses:
        if each.is_guardrail and decision.effect == "ask":
            yield f"the guardrail {each.id} asks, and no rule lifts a guardrail"
        elif each.effect == "ask" and each.at.file != file:
            yield f"{each.id} asks in another file, {each.at.file}"


class _Condition:
    """The parts that must all hold, and what none of them holds to."""

    def __init__(self, facts: Facts, schema: Mapping[str, Json], wanted: Wanted) -> None:
        self.unpinned: list[str] = []
        self._up_to = wanted.up_to
        self._schema = schema
        self.parts = [
            *([] if wanted.any_user else [f"user == {_literal(facts.user)}"]),
            *([f"chain == {_literal(list(facts.chain))}"] if facts.chain else []),
            *_labels(facts.labels),
            *self._members("args", facts.args, schema),
            *self._origins(facts),
        ]

    def _origins(self, facts: Facts) -> Iterator[str]:
        for name, origin in sorted(facts.provenance.items()):
            if origin in {"user", "trusted"} and name in facts.args:
                yield f"{_path('provenance', name)} == {_literal(origin)}"

    def _members(
        self, path: str, value: Mapping[str, Json], schema: Mapping[str, Json]
    ) -> Iterator[str]:
        known, required = schema.get("properties"), schema.get("required")
        properties = known if isinstance(known, dict) else {}
        for name, each in sorted(value.items()):
            if not isinstance(required, list) or name not in required:
                yield f"has({_path(path, name)})"
            below = properties.get(name)
            yield from self._value(
                _path(path, name), each, below if isinstance(below, dict) else {}
            )
        for name in sorted(properties.keys() - value.keys()):
            yield f"!has({_path(path, name)})"

    def _value(self, path: str, value: Json, schema: Mapping[str, Json]) -> Iterator[str]:
        if isinstance(value, dict):
            yield f"size({path}) == {len(value)}"
            yield from self._members(path, value, schema)
        elif isinstance(value, list):
            yield from self._list(path, value)
        elif isinstance(value, str):
            yield from self._text(path, value)
        elif self._up_to and isinstance(value, int | float) and value is not True and value > 0:
            yield f"{path} > 0"
            yield f"{path} <= {_literal(value)}"
        else:
            yield f"{path} == {_literal(value)}"

    def _list(self, path: str, value: list[Json]) -> Iterator[str]:
        plain = [each for each in value if not isinstance(each, dict | list)]
        short = all(not isinstance(each, str) or _is_short(each) for each in plain)
        if len(plain) == len(value) and short:
            yield f"{path} == {_literal(value)}"
            return
        self.unpinned.append(path)
        yield f"size({path}) <= {len(value)}"

    def _text(self, path: str, value: str) -> Iterator[str]:
        if _is_short(value):
            yield f"{path} == {_literal(value)}"
            return
        self.unpinned.append(path)
        yield f"size({path}) <= {len(value)}"


def _labels(labels: frozenset[str]) -> Iterator[str]:
    yield f"size(labels) == {len(labels)}"
    for label in sorted(labels):
        yield f"{_literal(label)} in labels"


def _is_short(text: str) -> bool:
    return len(text) <= LONGEST and is_plain(text) and text.isprintable()


def _path(path: str, name: str) -> str:
    return f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else f"{path}[{_literal(name)}]"


def _literal(value: Json) -> str:
    """As conditions write it."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value)
