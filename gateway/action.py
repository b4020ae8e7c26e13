"""Actions and outcomes: what crosses the gate, and what it answers.

A face reads an `Action` out of one request; `Gate.cross` turns it into an `Outcome`; the face
writes the outcome in its caller's protocol. Both are already-checked values: nothing of a
request but what stands here reaches the gate, and nothing but an outcome leaves it.
"""

from typing import Literal

from audit.canonical import Json
from audit.entry import Receipt
from audit.value import value_type

STEPPED = frozenset({"run", "undo"})
"""Faces of calls that the gateway itself makes, each at its own place: equal ones are several."""

Status = Literal["done", "error", "denied", "pending", "refused", "unknown", "unavailable"]
"""How a call ended.

done         the upstream answered
error        the upstream answered, and says that it failed (`isError`)
denied       policy, a limit or a person said no; nothing was forwarded
pending      people are asked; nothing was forwarded
refused      the call is wrong in itself (unknown tool, invalid arguments); nothing was forwarded
unknown      forwarded, and whether it acted cannot be told; never repeated by the gateway
unavailable  a part the call needs is missing (log, upstream); nothing was done
"""


@value_type
class Action:
    """One call that an agent attempts."""

    server: str
    tool: str  # the server's own name for it
    args: dict[str, Json]  # as parsed once at the edge; decided on and forwarded
    face: str  # "mcp/2026-07-28", "rest", "operator": how it came in
    request_id: str  # ours (uuid7), never the caller's
    trace: str | None  # W3C trace id (32 hex), for finding only: self-reported, never trusted
    source: str  # peer address, "127.0.0.1:41022"
    called: str  # the name as the caller wrote it: what answers say, whether it exists or not
    again: str | None = None  # the key of a call of ours that this one repeats; None: it is new
    until_s: int | None = None  # when nobody waits for it any more, seconds since 1970


@value_type
class Outcome:
    """The gate's answer to one action."""

    status: Status
    code: str | None  # stable, "policy.denied"; None when done
    text: str  # a short sentence for the agent's model; empty when `result` speaks
    result: dict[str, Json] | None = None  # the upstream's CallToolResult, equal as JSON
    receipt: Receipt | None = None  # of the entry that recorded it
    approval: str | None = None  # id of the approval that is or was asked for
    expires: int | None = None  # when that approval ends, seconds since the epoch
    call: str | None = None  # of a forwarded call: its answer is owed until it is delivered

    def recorded(self, receipt: Receipt | None, call: str | None = None) -> "Outcome":
        """The same, with the entry that recorded it."""
        return Outcome(
            self.status,
            self.code,
            self.text,
            self.result,
            receipt,
            self.approval,
            self.expires,
            call,
        )
