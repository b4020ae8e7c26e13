"""How long memory takes to say no: for what nobody has, and for what somebody else has.

A real `passavant serve`. One session holds entries, and another agent a space; a third asks, over
one connection and in random order, for keys that are in the first and for keys that are nowhere,
in the space that is not for it and in one that does not exist. Answers have to be the same to the
byte, and the medians nearly so.
"""

import argparse
import json
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import httpx

from audit.files import is_volatile
from benchmarks import table
from benchmarks.deployment import TOKEN_S, Deployment, NotMeasurable, deployed
from benchmarks.processes import LOAD_CPU, first_line, module, running

POLICY = Path(__file__).with_name("memory.policy.yaml")
KEYS = 200
KEY_BYTES = 8
PROBES, QUICK = 10_000, 500
WARM_UP = 200

_CHANCE = random.Random(4)  # noqa: S311 - not for secrets

Probe = Callable[[], Mapping[str, str]]
"""Makes the arguments of one `memory.get`."""

Shown = tuple[int, tuple[tuple[str, str], ...], bytes]
"""All that a caller sees of an answer, but for the receipt of its own entry and the time."""


class Asker:
    """One connection of one session."""

    def __init__(self, agents: str, token: str) -> None:
        self._connection = HTTPConnection(agents)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def ask(self, tool: str, arguments: Mapping[str, str]) -> tuple[int, Shown]:
        """Nanoseconds until the answer was there, and what it shows."""
        body = json.dumps(arguments)
        began = time.perf_counter_ns()
        self._connection.request("POST", f"/v1/memory/{tool}", body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        took = time.perf_counter_ns() - began
        own = {"date", "audit-receipt"}
        headers = tuple(each for each in answer.getheaders() if each[0].lower() not in own)
        return took, (answer.status, headers, content)


def measure(gateway: Deployment, probes: int) -> tuple[dict[str, float], list[str]]:
    """The rows, and why they are void. Raises NotMeasurable."""
    victim, asking, *_ = gateway.tokens.read_text().split()
    known, unknown = ([secrets.token_hex(KEY_BYTES) for _ in range(KEYS)] for _ in range(2))
    _put(Asker(gateway.agents, victim), [{"key": key} for key in known])
    other = _token(gateway, "other")
    _put(Asker(gateway.agents, other), [{"key": key, "space": "hidden"} for key in known])
    kinds: Mapping[str, Probe] = {
        "key: forbidden": lambda: {"key": _CHANCE.choice(known)},
        "key: absent": lambda: {"key": _CHANCE.choice(unknown)},
        "space: forbidden": lambda: {"key": _CHANCE.choice(known), "space": "hidden"},
        "space: absent": lambda: {"key": _CHANCE.choice(known), "space": "nobody"},
    }
    taken, shown = _probed(Asker(gateway.agents, asking), kinds, probes)
    rows = {f"{kind}: p50 us": median(each) / 1000 for kind, each in taken.items()}
    for of in ("key", "space"):
        ratio = median(taken[f"{of}: forbidden"]) / median(taken[f"{of}: absent"])
        rows[f"{of}: forbidden by absent, p50"] = ratio
    rows["probes of each kind"] = probes
    rows["answers that differ"] = sum(
        len(shown[f"{of}: forbidden"] | shown[f"{of}: absent"]) - 1 for of in ("key", "space")
    )
    statuses = {each[0] for answers in shown.values() for each in answers}
    return rows, [] if statuses == {200} else [f"probes were answered with {statuses}"]


def _probed(
    asker: Asker, kinds: Mapping[str, Probe], probes: int
) -> tuple[dict[str, list[int]], dict[str, set[Shown]]]:
    """Times and distinct answers of each kind, asked for in random order within every round."""
    taken: dict[str, list[int]] = {kind: [] for kind in kinds}
    shown: dict[str, set[Shown]] = {kind: set() for kind in kinds}
    for number in range(WARM_UP + probes):
        for kind in _CHANCE.sample(list(kinds), len(kinds)):
            took, answer = asker.ask("get", kinds[kind]())
            if number >= WARM_UP:
                taken[kind].append(took)
                shown[kind].add(answer)
    return taken, shown


def _put(asker: Asker, entries: Sequence[Mapping[str, str]]) -> None:
    for entry in entries:
        _, (_, _, content) = asker.ask("put", {**entry, "value": "x" * 100})
        if b'"kept":true' not in content:
            raise NotMeasurable(f"an entry was not kept: {content!r}")


def _token(gateway: Deployment, agent: str) -> str:
    headers = {"authorization": f"Bearer {gateway.key}"}
    asked = {"agent": agent, "ttl_s": TOKEN_S}
    answer = httpx.post(
        f"http://{gateway.operators}/api/tokens", json=asked, headers=headers, trust_env=False
    )
    if not answer.is_success:
        raise NotMeasurable(f"no token: {answer.text}")
    token: str = answer.json()["access_token"]
    return token


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="memory.py", description=(__doc__ or "").splitlines()[0])
    table.add_options(parser)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if is_volatile(options.folder):
        print(f"void: {options.folder} is memory, name a disk with --folder", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        stub = running(module("benchmarks.upstream", str(folder / "record")), cpu=LOAD_CPU)
        with (
            stub as behind,
            deployed(folder, f"127.0.0.1:{first_line(behind)}", policy=[str(POLICY)]) as gateway,
        ):
            rows, void = measure(gateway, QUICK if options.quick else PROBES)
    return table.finish("memory", rows, options, void=void)
