"""Own tools: those of the gateway itself, whose risk no policy states otherwise.

A policy lists them under `tools` like any other, or they are refused like any other. What they
do is fixed, so `memory.put: {}` says enough: the risk is ours, and labels are those that the
entries carry themselves. What an agent has written is never trusted: it could make a value of its
own up, put it aside, and read it back as one that may be relied upon.
"""

from collections.abc import Mapping

from policies.notation import refuse
from policies.register import Risk, Tool

RISKS: Mapping[str, Risk] = {
    "memory.put": "write",
    "memory.get": "read",
    "memory.search": "read",
    "memory.delete": "write",
    "agents.list": "read",
    "agents.invoke": "write",
    "agents.transcript": "read",
    "agents.create": "write",
    "approvals.status": "read",
    "approvals.withdraw": "write",
}

SERVERS = frozenset({"gateway", "memory", "agents", "approvals", "model"})
"""Names of servers that are part of the gateway: their tools are in no lock."""


def stated(name: str, tool: Tool) -> Tool:
    """The tool of that name as it counts: what is left out of one of ours is filled in.

    Raises the error of a validator when another risk is stated, or trust.
    """
    risk = RISKS.get(name)
    if risk is None:
        return tool
    if "risk" in tool.model_fields_set and tool.risk != risk:
        raise refuse("policy.own-tool", f"{name} is of risk {risk}, whatever is stated", field=name)
    if tool.result != "untrusted":
        raise refuse("policy.own-tool", f"{name} vouches for nothing that it says", field=name)
    filled = {} if "emits" in tool.model_fields_set else {"emits": ()}
    return tool.model_copy(update={"risk": risk, **filled})
