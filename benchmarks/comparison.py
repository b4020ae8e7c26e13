"""Afterwards: does the log account for every call that was measured, each before it was forwarded?

Every call carried a number of its own. Of each there must be one decision that allowed it and one
outcome behind it, and nothing else; each request that reached the stub must have its decision, not
younger than the request. The published form of the same log must verify with its key alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from audit.entry import Entry
from audit.log import Log
from audit.note import Signer
from audit.sealed import Sealed, Vault
from audit.verify import verify_directory
from benchmarks.deployment import ORIGIN
from benchmarks.upstream import calls
from gateway.home import Home


@dataclass(slots=True)
class Seen:
    """What a log holds of calls.

    decisions  number and time (us) of each allowed call, by the id of its entry
    outcomes   status by the id of the call
    wrong      what should not be there
    """

    decisions: dict[str, tuple[int, int]] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def differences(folder: Path, record: Path, *, answered: int) -> list[str]:
    """Why the figures are void; empty when the log accounts for everything.

    folder    of the deployment, which has ended
    record    of the stub
    answered  how many calls were counted as measured
    """
    home = Home.at(folder / "home")
    signer = Signer(ORIGIN, home.log_key())
    vault = Vault.open(home.subject_keys, home.vault_key())
    log = Log.open(home.log, signer=signer)
    try:
        size = log.size
        seen = _read(log, vault)
    finally:
        log.close_now()
    report = verify_directory(home.tiles, signer.vkey)
    found = [*seen.wrong[:5], *disagreements(seen, calls(record), answered)]
    if not report.ok or report.size != size:
        found.append(f"the published log does not verify: {report}")
    return found


def disagreements(seen: Seen, came: Sequence[tuple[int, int]], answered: int) -> Iterator[str]:
    """Where the log and what reached the stub do not agree.

    came      number and time (us) of each request
    answered  how many calls were counted as measured
    """
    decided, arrived = dict(seen.decisions.values()), dict(came)
    if len(decided) != len(seen.decisions):
        yield "a call was decided on twice"
    if len(arrived) != len(came):
        yield "a call was forwarded twice"
    if len(seen.outcomes) != len(decided):
        yield f"{len(decided)} decisions and {len(seen.outcomes)} outcomes"
    ends = {status for status in seen.outcomes.values() if status != "done"}
    if ends:
        yield f"outcomes that are not done: {', '.join(sorted(ends))}"
    if arrived.keys() != decided.keys():
        yield f"{len(arrived.keys() ^ decided.keys())} calls without either decision or request"
    early = sum(ts > arrived.get(number, ts) for number, ts in decided.items())
    if early:
        yield f"{early} requests arrived before they were decided on"
    if len(decided) < answered:
        yield f"{answered} answers and only {len(decided)} decisions"


def _read(log: Log, vault: Vault) -> Seen:
    seen = Seen()
    for entry in log.entries():
        body = entry.body
        if body["kind"] == "decision":
            _decision(seen, vault, entry, body)
        elif body["kind"] == "outcome":
            if body["call"] not in seen.decisions or body["call"] in seen.outcomes:
                seen.wrong.append(f"entry {entry.index}: an outcome without a decision before it")
            seen.outcomes[body["call"]] = body["status"]
    return seen


def _decision(seen: Seen, vault: Vault, entry: Entry, body: Mapping[str, Any]) -> None:
    if body["decision"]["effect"] != "allow" or body["joined"] is not None or entry.sealed is None:
        seen.wrong.append(f"entry {entry.index}: a decision that allowed nothing by itself")
        return
    promised = body["args"]
    sealed = Sealed(promised["commit"], promised["len"], entry.sealed)
    number = orjson.loads(vault.open_payload(body["id"], sealed))["number"]
    seen.decisions[body["id"]] = (number, body["ts"])
