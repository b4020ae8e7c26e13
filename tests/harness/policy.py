"""The policy that goes with the desk, and with the ledger where a test wants real money."""

import json

import yaml

from policies.pack import pack

AGENTS = tuple(f"clerk-{number}" for number in range(400))
"""Names of like agents: what is counted per agent starts anew with each."""

REGISTERED = 40
"""So many of them stand in a policy, unless it is `crowded`: each makes every start longer."""

APPROVER = "omar"

_LINES = [f"  {name}: {{roles: [clerk], owner: team}}\n" for name in AGENTS]
_FEW = "".join(_LINES[:REGISTERED])

HEAD = f"""\
apiVersion: passavant/v1
kind: Policy
name: desk
default: deny
users: {{default: unrestricted}}
agents:
{_FEW}  idle: {{roles: [nobody], owner: team}}
groups:
  people: {{members: [{APPROVER}, ines]}}
approvals:
  one-person: {{from: people, quorum: 1, expires: 30m, not: [requester]}}
"""

DESK = (
    HEAD
    + """\
tools:
  desk.pay: {risk: irreversible, emits: [], target: [to]}
  desk.open: {risk: read, emits: []}
  desk.fetch: {risk: read, emits: []}
  desk.send: {risk: write, emits: [], target: [to]}
  desk.look: {risk: read, emits: []}
  desk.publish: {risk: irreversible, emits: []}
  desk.wipe: {risk: irreversible, emits: []}
rules:
  - {id: looks, roles: [clerk], tools: [desk.look], effect: allow}
  - id: pays
    roles: [clerk]
    tools: [desk.pay]
    effect: allow
    when: "args.amount > 0 && args.amount <= 100"
  - id: pays-more
    roles: [clerk]
    tools: [desk.pay]
    effect: ask
    approval: one-person
    when: "args.amount > 100 && args.amount <= 1000"
  - id: opens
    roles: [clerk]
    tools: [desk.open]
    effect: allow
    when: "under(args.path, '/data/reports')"
  - id: fetches
    roles: [clerk]
    tools: [desk.fetch]
    effect: allow
    when: "domain(args.url) == 'api.example.com'"
  - id: sends
    roles: [clerk]
    tools: [desk.send]
    effect: allow
    when: "args.to == 'alice@example.com'"
  - {id: publishes, roles: [clerk], tools: [desk.publish], effect: ask, approval: one-person}
"""
)

MEMORY = DESK.replace(
    "rules:\n",
    """\
  memory.put: {}
  memory.get: {}
  memory.search: {}
  memory.delete: {}
rules:
  - {id: remembers, roles: [clerk], tools: [memory.*], effect: allow}
""",
)
"""The desk's policy, where clerks may use memory too."""

ASKER = DESK.replace(
    "rules:\n",
    """\
  approvals.status: {}
  approvals.withdraw: {}
rules:
  - {id: looks-after-its-own, roles: [clerk], tools: [approvals.*], effect: allow}
""",
)
"""The desk's policy, where clerks may look after their own requests."""


def crowded(policy: str) -> str:
    """A policy with all the agents, for a gateway that many tests share."""
    return policy.replace(_FEW, "".join(_LINES))


def guarded(tools: str) -> str:
    """The guard pack for every clerk over these tools, in one file; `omar` and `ines` are asked.

    tools  a `tools:` block
    """
    guard = yaml.safe_load(pack("guard"))
    own = yaml.safe_load(HEAD.replace("[clerk]", "[guarded]") + tools)
    groups = {**own["groups"], "guard-approvers": own["groups"]["people"]}
    approvals = {**own["approvals"], **guard["approvals"]}
    return json.dumps({**guard, **own, "groups": groups, "approvals": approvals})
