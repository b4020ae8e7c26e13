"""Triggers: what starts a run of a flow without a person: clock, message, or entry of the log.

A run that is started so acts as the flow's own agent, which the policy names like any other: what
it may do is what the rules let that agent do. A trigger grants nothing.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from audit.errors import QueryInvalid
from audit.query import Query
from policies.notation import JsonObject, Name, Spelling, refuse
from policies.register import Part
from policies.schedule import is_schedule

QUALIFIERS = frozenset(
    {
        "kind",
        "id",
        "boot",
        "agent",
        "user",
        "tool",
        "effect",
        "rule",
        "session",
        "approval",
        "status",
        "code",
        "by",
    }
)
"""What entries can be told by, as in a search of the log."""


def _read_schedule(text: str) -> str:
    if not is_schedule(text):
        raise refuse(
            "policy.schedule", f"found {text[:80]!r}, expected five fields of cron, as '0 3 * * *'"
        )
    return text


def _read_entry(text: str) -> str:
    try:
        query = Query.parse(text, names=QUALIFIERS, now=0)
    except QueryInvalid as error:
        raise refuse("policy.entry", str(error)) from None
    if query.words or query.after is not None or query.before is not None:
        raise refuse("policy.entry", "words and times tell no entry: use qualifiers, as 'kind:'")
    if not any(term.name == "kind" and not term.is_prefix for term in query.terms):
        raise refuse(
            "policy.entry", "expected 'kind:' with the kind of the entry, as 'kind:outcome'"
        )
    return text


Schedule = Annotated[str, Field(max_length=200), AfterValidator(_read_schedule)]
EntryQuery = Annotated[str, Field(max_length=500), AfterValidator(_read_entry)]
SecretName = Annotated[
    str,
    Spelling(
        r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|keyring:[^/]+/.+",
        "a reference to a secret: 'env:NAME', 'file:PATH' or 'keyring:SERVICE/NAME'",
    ),
]


class Trigger(Part):
    """What starts a flow by itself; one of `schedule`, `webhook` and `entry`.

    schedule  moments in UTC, as a line of cron
    missed    what becomes of a moment at which no gateway ran: nothing, or one run afterwards
    webhook   where the secret is that whoever sends messages signs them with (Standard Webhooks)
    entry     which entries of the log, by qualifiers as in a search
    input     what a scheduled run is given; the others are given what happened
    payload   whether what a message says may be relied upon
    """

    flow: Name
    schedule: Schedule | None = None
    missed: Literal["skip", "once"] = "skip"
    webhook: SecretName | None = None
    entry: EntryQuery | None = None
    input: JsonObject | None = None
    payload: Literal["untrusted", "trusted"] = "untrusted"

    @model_validator(mode="after")
    def _one_cause(self) -> Self:
        causes = [self.schedule, self.webhook, self.entry]
        if sum(cause is not None for cause in causes) != 1:
            raise refuse("policy.trigger", "expected one of 'schedule', 'webhook' and 'entry'")
        for name in ("missed", "input"):
            if name in self.model_fields_set and self.schedule is None:
                raise refuse("policy.trigger", "this belongs to a 'schedule'", field=name)
        if "payload" in self.model_fields_set and self.webhook is None:
            raise refuse("policy.trigger", "this belongs to a 'webhook'", field="payload")
        return self
