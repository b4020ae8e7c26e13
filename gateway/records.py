"""Records: the members of the two entries that every governed call leaves.

A *decision* is durable before anything is forwarded; an *outcome* says what came of it. Both are
flat enough to be searched and hold no argument or result: `gateway.recorder` adds those as
commitments. Members are documented in `docs/entries.md`.
"""

from collections.abc import Iterable
from typing import cast

from audit.canonical import Json
from audit.entry import Receipt
from gateway.action import Action
from gateway.approval.request import obligation_to_json
from gateway.principal import Principal
from gateway.session.charge import Charge
from policies.decision import Decision, Facts


def decision_entry(
    principal: Principal,
    action: Action,
    facts: Facts,
    decision: Decision,
    *,
    pin: str | None,
    emits: Iterable[str],
    approval: str | None,
    joined: str | None,
    us: int,
    charges: Iterable[Charge] = (),
) -> dict[str, Json]:
    """What was decided about one call, and on which facts.

    pin       of the tool's definition; None when there is no such tool
    emits     labels that this entry puts on the session
    approval  the request that this call claims: with effect `ask` it is what authorises
    joined    the call whose answer this one shares
    us        time the decision took, in microseconds
    charges   what the call is counted as, when this entry authorises it
    """
    told: dict[str, Json] = {
        "labels": cast("list[Json]", sorted(facts.labels)),
        "provenance": dict(facts.provenance),
        "read": list(decision.read),
        "totals": dict(facts.totals),
        "now": facts.now,
        "scopes": list(facts.scopes),
    }
    if facts.user_groups:
        told["groups"] = cast("list[Json]", sorted(facts.user_groups))
    decided: dict[str, Json] = {
        "effect": decision.effect,
        "rules": list(decision.rules),
        "obligations": [obligation_to_json(o) for o in decision.obligations],
        "snapshot": decision.snapshot,
        "us": us,
    }
    if decision.errors:
        decided["errors"] = list(decision.errors)
    charged = [charge.to_json() for charge in charges]
    if charged:
        decided["charges"] = cast("list[Json]", charged)
    return {
        "actor": actor(principal),
        "approval": approval,
        "decision": decided,
        "emits": cast("list[Json]", sorted(emits)),
        "facts": told,
        "joined": joined,
        "req": {"face": action.face, "id": action.request_id, "trace": action.trace},
        "session": principal.session,
        "tool": {"name": facts.tool, "pin": pin},
    }


def outcome_entry(
    call_id: str,
    authorised_by: Receipt,
    *,
    tool: str,
    session: str,
    status: str,
    labels: Iterable[str],
    us: int,
    code: str | None,
) -> dict[str, Json]:
    """What came of an authorised call.

    status  done, error (the upstream said so), refused (before it acted), unknown, joined
    labels  put on the session by what came back
    us      from the decision to the answer, in microseconds
    """
    return {
        "call": call_id,
        "decision": {"index": authorised_by.index, "leaf": authorised_by.leaf.hex()},
        "labels": cast("list[Json]", sorted(labels)),
        "session": session,
        "status": status,
        "code": code,
        "tool": tool,
        "us": us,
    }


def actor(principal: Principal) -> dict[str, Json]:
    """Who acts, through whom and for whom."""
    return {"agent": principal.agent, "chain": list(principal.chain), "sub": principal.user}
