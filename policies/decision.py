"""Decisions: what is asked of the rules, and what they answer.

`Facts` is everything a rule may read about one attempted action, gathered by the gateway before
anything is decided. `Decision` is the answer, a value like any other: refusing is what the rules
exist for, so a denial is no exception. Both are made once per call, on the hot path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from audit.canonical import Json
from audit.value import value_type

Effect = Literal["allow", "ask", "deny"]
Origin = Literal["user", "trusted", "untrusted", "none"]
"""Where a value comes from, the strongest first; `docs/provenance.md`."""

ORIGINS: tuple[Origin, ...] = ("user", "trusted", "untrusted", "none")
NOTHING_CARRIED = "nothing"
"""The origin of what the arguments carry, where they carry nothing that has one."""


@value_type
class Facts:
    """One attempted action and everything that is known about it.

    agent          the acting agent, as its token names it
    tool           `server.tool`
    args           the arguments, read strictly; what is forwarded is this very object
    user           on whose behalf, or None
    user_groups    groups of that user, as the identity provider states them
    chain          the agents that handed the work on, newest first, without `agent`
    scopes         tool patterns the token is limited to; ("*",) is no limit, () is nothing
    labels         what the session has been in contact with
    provenance     where each argument's value comes from; one that is missing here: "none"
    origin         the same of what is acted upon ("target") and of every address, link, account
                   and identifier in the arguments ("carried", which may be "nothing")
    secrets        kinds of secrets found in the arguments
    purpose        the user's own words, or None
    purpose_tools  the tools that purpose needs; None when no purpose limits them
    session        id of the session
    tree           id of the session that its work was handed on from in the first place; "": itself
    totals         what limits and budgets have counted for this caller before this call, by name:
                   calls, or the budget's unit, rounded up; those that a condition may read
    history        what conditions ask about earlier calls, by `policies.history.Question.key`: how
                   often, or how many microseconds ago the last was (None: never)
    now            microseconds since the epoch
    proven         the caller proved to hold the key that its token is bound to
    risk, sink     what the policy states of the tool; `Snapshot.stated` fills them in
    """

    agent: str
    tool: str
    args: Mapping[str, Json]
    user: str | None = None
    user_groups: frozenset[str] = frozenset()
    chain: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("*",)
    labels: frozenset[str] = frozenset()
    provenance: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    purpose: str | None = None
    purpose_tools: tuple[str, ...] | None = None
    session: str = ""
    totals: Mapping[str, int] = field(default_factory=dict)
    history: Mapping[str, int | None] = field(default_factory=dict)
    now: int = 0
    proven: bool = False
    risk: str = ""
    sink: str = ""
    tree: str = ""


@dataclass(frozen=True, slots=True)
class Obligation:
    """What an `ask` demands of people before the action may happen.

    approval           name of the terms in the policy
    from_group         the group whose members may decide
    quorum             how many of them must agree, at least 1
    expires_s          seconds after which silence is a no
    exclude_requester  the user on whose behalf is asked may not decide
    passkey            each decision is signed with a passkey
    reason_required    each decision states a reason
    self_allowed       the policy says in so many words that the asking user may decide
    escalate_to        the group that is asked too after `escalate_s` seconds; "": none
    break_glass_from   the group of which one alone may approve in an emergency, with a yes that is
                       good for `break_glass_s` seconds at most; "": nobody
    """

    approval: str
    from_group: str
    quorum: int
    expires_s: int
    exclude_requester: bool = True
    passkey: bool = False
    reason_required: bool = False
    self_allowed: bool = False
    escalate_to: str = ""
    escalate_s: int = 0
    break_glass_from: str = ""
    break_glass_s: int = 0


@value_type
class Decision:
    """The answer to one `Facts`.

    effect       deny beats ask beats allow; nothing matched is deny
    rules        ids of the rules that decided; empty: none matched, so the default denied
    obligations  what an `ask` demands, all of them; empty for allow and deny
    limits       names of the limits that the call is counted against
    budgets      names of the budgets that the call is charged to
    reason       one sentence for a person
    errors       rules whose condition could not be evaluated, with what went wrong
    snapshot     digest of the policy that decided
    read         fields that conditions for this agent and tool may read, as "args.amount"
    """

    effect: Effect
    rules: tuple[str, ...]
    obligations: tuple[Obligation, ...]
    limits: tuple[str, ...]
    budgets: tuple[str, ...]
    reason: str
    errors: tuple[str, ...] = ()
    snapshot: str = ""
    read: tuple[str, ...] = ()
