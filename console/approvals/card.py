"""The approval card: everything that a person has to see before they decide, in one value.

What is shown is what is digested: the request's own members and the canonical arguments that would
be forwarded. What the policy says of tool, rules and groups stands beside it, as it is now.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from audit.canonical import Json
from console.values import rows
from gateway.approval.rates import Rate, Rates
from gateway.approval.request import Request
from policies.decision import Obligation
from policies.inert import is_marked
from policies.snapshot import Snapshot, ToolRule

LONG = 2000
"""Characters from which a value is said to be long; it is shown whole all the same."""

_RISKS: Mapping[str, str] = {
    "read": "It reads; nothing is changed.",
    "write": "It changes something.",
    "irreversible": "It cannot be undone.",
}


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the arguments.

    change  `new`, `changed`, `same`, or "" when there is no earlier call to compare with
    before  what stood there in the last approved call, when it has changed
    origin  where it comes from; "" when that is not known
    source  what it was read from: (tool, entry)
    carried origins of what stands within a text: (what, origin)
    """

    path: str
    text: str
    is_text: bool
    change: str
    before: str
    origin: str
    source: tuple[str, int] | None
    carried: tuple[tuple[str, str], ...]
    is_marked: bool

    @property
    def is_long(self) -> bool:
        """Whether somebody might stop reading before its end."""
        return len(self.text) > LONG


@dataclass(frozen=True, slots=True)
class Demand:
    """One obligation, and how far it is met.

    escalate_to  who is asked too from the second `escalates` on; "": nobody
    """

    approval: str
    group: str
    quorum: int
    approved: tuple[str, ...]
    listed: tuple[str, ...]
    passkey: bool
    reason: bool
    self_allowed: bool
    escalate_to: str
    escalates: int
    is_escalated: bool


@dataclass(frozen=True, slots=True)
class Why:
    """One rule that asks."""

    rule: str
    at: str
    why: str
    rate: Rate


def values(
    arguments: Mapping[str, Json], before: Mapping[str, Json] | None, request: Request
) -> tuple[Value, ...]:
    """Every value of the arguments, whole.

    before  the arguments of the last approved call like this; None: there is none
    """
    earlier = (
        None if before is None else {each.path: each.text for each in rows(dict(before), "args")}
    )
    return tuple(
        _value(row.path, row.text, row.is_text, earlier, request.evidence)
        for row in rows(dict(arguments), "args")
    )


def gone(
    arguments: Mapping[str, Json], before: Mapping[str, Json] | None
) -> tuple[tuple[str, str], ...]:
    """What the last approved call had and this one has not, as (path, text)."""
    if before is None:
        return ()
    here = {row.path for row in rows(dict(arguments), "args")}
    return tuple((row.path, row.text) for row in rows(dict(before), "args") if row.path not in here)


def effects(rule: ToolRule | None, labels: Iterable[str]) -> tuple[str, ...]:
    """What happens on a yes, a sentence each."""
    if rule is None:
        return ("The policy in force does not know this tool; the call would be refused.",)
    said = [_RISKS[rule.risk]]
    if rule.sink is not None:
        said.append(f"What is sent leaves to a place that is {rule.sink}.")
        touched = sorted(labels)
        if touched:
            said.append(f"The session has been in contact with: {', '.join(touched)}.")
    said += [f"It costs {cost} {unit}." for unit, cost in sorted(rule.cost.items())]
    if rule.undo is not None:
        said.append("The policy names a call that undoes it.")
    return tuple(said)


def whys(rules: Sequence[str], snapshot: Snapshot, rates: Rates) -> tuple[Why, ...]:
    """The rules that asked, with their place and reason in the policy in force, and their past."""
    return tuple(_why(name, snapshot, rates.of(name)) for name in rules)


def demands(request: Request, snapshot: Snapshot) -> tuple[Demand, ...]:
    """How many people are asked, who has agreed and who else may."""
    return tuple(_demand(each, request, snapshot) for each in request.obligations)


def _value(
    path: str,
    text: str,
    is_text: bool,  # noqa: FBT001 - a member of a row
    earlier: Mapping[str, str] | None,
    evidence: Sequence[Mapping[str, Json]],
) -> Value:
    change, before = "", ""
    if earlier is not None:
        before = earlier.get(path, "")
        change = "new" if path not in earlier else "same" if before == text else "changed"
    told = [each for each in evidence if each["path"] == path]
    whole = next((each for each in told if "span" not in each), {})
    return Value(
        path=path,
        text=text,
        is_text=is_text,
        change=change,
        before=before if change == "changed" else "",
        origin=cast("str", whole.get("origin", "")),
        source=_source(whole),
        carried=tuple(_carried(each, text) for each in told if "span" in each),
        is_marked=is_marked(text),
    )


def _source(told: Mapping[str, Json]) -> tuple[str, int] | None:
    found = cast("Mapping[str, Json] | None", told.get("from"))
    return None if found is None else (cast("str", found["tool"]), cast("int", found["entry"]))


def _carried(told: Mapping[str, Json], text: str) -> tuple[str, str]:
    begin, end = cast("list[int]", told["span"])
    return text[begin:end], cast("str", told["origin"])


def _why(name: str, snapshot: Snapshot, rate: Rate) -> Why:
    clause = snapshot.clauses.get(name)
    if clause is None:
        return Why(name, "", "", rate)
    return Why(name, str(clause.at), clause.why or "", rate)


def _demand(obligation: Obligation, request: Request, snapshot: Snapshot) -> Demand:
    approved = (
        vote.operator
        for vote in request.votes
        if vote.verdict == "approve" and request.asks(obligation).intersection(vote.groups)
    )
    return Demand(
        approval=obligation.approval,
        group=obligation.from_group,
        quorum=obligation.quorum,
        approved=tuple(approved),
        listed=tuple(sorted(snapshot.members(obligation.from_group))),
        passkey=obligation.passkey,
        reason=obligation.reason_required,
        self_allowed=obligation.self_allowed,
        escalate_to=obligation.escalate_to,
        escalates=request.asked + obligation.escalate_s,
        is_escalated=obligation.approval in request.escalated,
    )
