"""Terms: on what rules let things pass: after people agreed, so often, up to so much.

Stated once under a name, and named by as many rules as rest on them.
"""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from policies.notation import Duration, Frequency, Name, Some, refuse, shape
from policies.register import Part, Per, Positive


class Escalation(Part):
    """Whom is asked beside the first group, when nobody has decided for so long."""

    after: Duration
    to: Name


class BreakGlass(Part):
    """Who may approve alone when the people who are asked cannot be reached.

    within  how long such a yes can be used at most
    """

    from_: Annotated[Name, Field(alias="from")]
    within: Duration


class Approval(Part):
    """How people decide. Askers never do, unless `self: allowed` is written."""

    from_: Annotated[Name, Field(alias="from")]
    quorum: Annotated[int, Field(ge=1, le=20)]
    expires: Duration
    not_: Annotated[Some[Literal["requester"]], Field(alias="not")] = ("requester",)
    self_: Annotated[Literal["allowed"] | None, Field(alias="self")] = None
    passkey: Literal["required"] | None = None
    reason: Literal["required"] | None = None
    escalate: Escalation | None = None
    break_glass: BreakGlass | None = None

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Self:
        if self.escalate and self.escalate.after >= self.expires:
            raise refuse(
                "policy.contradiction", "it escalates after it has expired", field="escalate"
            )
        if self.self_ and "not_" in self.model_fields_set:
            raise refuse(
                "policy.contradiction",
                "'self: allowed' contradicts 'not: [requester]'",
                field="self",
            )
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that it names."""
        escalated = () if self.escalate is None else (self.escalate.to,)
        alone = () if self.break_glass is None else (self.break_glass.from_,)
        return (self.from_, *escalated, *alone)


class Limit(Part):
    """How often, or how many at once, counted before the call; what exceeds it is denied."""

    per: Per
    rate: Frequency | None = None
    burst: Positive | None = None
    at_once: Positive | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.rate is None) == (self.at_once is None):
            raise refuse("policy.limit", "expected either 'rate' or 'at_once'")
        if self.at_once is not None and self.burst is not None:
            raise refuse("policy.limit", "a 'burst' belongs to a 'rate'", field="burst")
        return self


class Budget(Part):
    """How much within a sliding window. A call of unknown cost is denied, or charged a sum.

    unit  whatever tools state a cost in; the gateway itself measures `bytes-out` and `bytes-in`
    """

    per: Per
    amount: Positive
    window: Duration
    unit: Name
    unknown_cost: Annotated[
        Annotated[Literal["deny"], Tag("<text>")] | Annotated[Positive, Tag("<number>")],
        Discriminator(
            shape(text=str, number=int),
            custom_error_type="policy.wrong-type",
            custom_error_message="expected 'deny' or a whole number above 0",
        ),
    ] = "deny"
