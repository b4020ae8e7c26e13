"""Records: the members of the two entries that every governed call leaves.

A *decision* is durable before anything is forwarded; an *outcome* says what came of it. Both are
flat enough to be searched and hold no argument or result: `gateway.recorder` adds those as
commitments. Members are documented in `docs/entries.md`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from audit.canonical import Json
from audit.entry import Receipt
from gateway.approval.request import obligation_to_json
from gateway.attempt import Attempt
from gateway.principal import actor
from gateway.session.charge import Charge

MODEL = "model"
"""The server whose tools are the models of this gateway; no upstream can have this name."""


def decision_entry(
    call: Attempt,
    *,
    approval: str | None = None,
    joined: str | None = None,
    emits: Iterable[str] = (),
    charges: Iterable[Charge] = (),
    key: str | None = None,
) -> dict[str, Json]:
    """What was decided about one call, and on which facts.

    approval  the request that this call claims: with effect `ask` it is what authorises
    joined    the call whose answer this one shares
    emits     labels that this entry puts on the session
    charges   what the call is counted as, when this entry authorises it
    key       the idempotency key that it will be sent with
    """
    action = call.action
    fields: dict[str, Any] = {
        "actor": actor(call.principal),
        "approval": approval,
        "decision": _decided(call, charges),
        "emits": sorted(emits),
        "facts": _facts(call),
        "joined": joined,
        "req": {"face": action.face, "id": action.request_id, "trace": action.trace},
        "session": call.principal.session,
        "tool": {"name": call.facts.tool, "pin": None if call.tool is None else call.tool.pin},
    }
    if key is not None:
        fields["key"] = key
    if joined is None:
        if call.rests and not call.is_read:  # by this a repeated write is known
            fields["write"] = call.write
        if call.marks:
            fields["marks"] = list(call.marks)
    return fields


def outcome_entry(
    call_id: str,
    authorised_by: Receipt,
    *,
    tool: str,
    session: str,
    status: str,
    us: int,
    code: str | None,
    labels: Iterable[str] = (),
) -> dict[str, Json]:
    """What came of an authorised call.

    status  done, error (the upstream said so), refused (before it acted), unknown, joined
    labels  put on the session by what came back
    us      from the decision to the answer, in microseconds
    """
    fields: dict[str, Any] = {
        "call": call_id,
        "decision": {"index": authorised_by.index, "leaf": authorised_by.leaf.hex()},
        "labels": sorted(labels),
        "session": session,
        "status": status,
        "code": code,
        "tool": tool,
        "us": us,
    }
    return fields


def settled_charges(charges: Iterable[Charge]) -> dict[str, Json]:
    """The further member of an outcome that says what a call has cost, if it says that."""
    final: list[Json] = [charge.to_json() for charge in charges]
    return {"charges": final} if final else {}


def model_used(result: Mapping[str, Json]) -> dict[str, Json]:
    """The further member of the outcome of a request to a model, if that was answered.

    result  of a model of this gateway (`gateway.links.model`): tokens in and out together, and cost
            in millionths of the prices' unit
    """
    told = result.get("structuredContent")
    if not isinstance(told, dict):
        return {}
    return {"used": {"tokens": told["tokens"], "cost": told["cost"]}}


def _decided(call: Attempt, charges: Iterable[Charge]) -> dict[str, Json]:
    decision = call.decision
    decided: dict[str, Any] = {
        "effect": decision.effect,
        "rules": list(decision.rules),
        "obligations": [obligation_to_json(o) for o in decision.obligations],
        "snapshot": decision.snapshot,
        "us": call.us,
    }
    if decision.errors:
        decided["errors"] = list(decision.errors)
    charged = [charge.to_json() for charge in charges]
    if charged:
        decided["charges"] = charged
    return decided


def _facts(call: Attempt) -> dict[str, Json]:
    facts, decision = call.facts, call.decision
    told: dict[str, Any] = {
        "labels": sorted(facts.labels),
        "provenance": dict(facts.provenance),
        "read": list(decision.read),
        "totals": dict(facts.totals),
        "now": facts.now,
        "scopes": list(facts.scopes),
    }
    if call.lifted:
        told["lifted"] = sorted(call.lifted)
    if call.released_by:
        told["released_by"] = sorted(call.released_by)
    if facts.secrets:
        told["secrets"] = sorted(facts.secrets)
    if facts.origin:
        told["origin"] = dict(facts.origin)
    if facts.history:
        told["history"] = dict(facts.history)
    if facts.proven:
        told["proven"] = True
    if facts.user_groups:
        told["groups"] = sorted(facts.user_groups)
    return told
