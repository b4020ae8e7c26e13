"""Values: what it adds to a call to be told where its values come from.

Two policies that differ in one rule: one asks for provenance, the other does not. A session of
each reads so much of trusted and untrusted results, then the same call with 20 argument values is
attempted under both (steps 3 to 6 of the path of a call), in alternation; the difference of CPU
time counts. Beside it, what is told is compared with what is true.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.canonical import Json
from audit.log import Log
from audit.note import Signer
from audit.sealed import Vault
from benchmarks.table import add_options, finish
from gateway.action import Action
from gateway.attempt import Ground, attempt
from gateway.catalogue.pins import Lock
from gateway.catalogue.tools import Catalogue
from gateway.flow import Flow
from gateway.principal import Principal
from gateway.recorder import Recorder
from gateway.session.limits import Limits
from gateway.session.opening import Openings
from gateway.session.purpose import Purpose
from gateway.session.sessions import Sessions
from gateway.values.memories import Memories
from gateway.values.objects import Objects
from gateway.values.releases import Releases
from gateway.values.secret_finder import SecretFinder
from gateway.values.uses import Uses
from gateway.world import World
from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.loader import read_policies
from policies.snapshot import Snapshot

VALUES, READ, LONGEST = 20, (10_000, 1_000_000, 10_000_000), 4000
CALLS, BATCH = 400, 20
_RESULT = 50_000  # characters of one result
_NOW = 1_800_000_000_000_000

_POLICY = """
apiVersion: passavant/v1
kind: Policy
name: values
default: deny
users: {{default: unrestricted}}
agents:
  clerk: {{roles: [clerk], owner: team}}
tools:
  desk.send: {{risk: write, emits: [], target: [to], sink: external}}
  desk.look: {{risk: read, emits: [], result: trusted}}
  desk.page: {{risk: read, emits: [untrusted]}}
rules:
  - {{id: sends, roles: [clerk], tools: [desk.send], effect: allow, when: "{when}"}}
  - {{id: reads, roles: [clerk], tools: [desk.look, desk.page], effect: allow}}
"""
_ASKS = "origin.target == 'user' && origin.carried in ['user', 'trusted'] && args.n0 >= 0"
_ASKS_NOT = "args.n0 >= 0"
_PURPOSE = (
    "Write to ann@office.example and to bob@office.example that we meet on Friday at 10 in room 42."
    " Attach https://office.example/agenda?day=5 and pay 120.50 to GB33 BUKB 2020 1555 5555 55."
)
_WORDS = [
    "we",
    "meet",
    "again",
    "on",
    "the",
    "day",
    "after",
    "and",
    "look",
    "at",
    "what",
    "was",
    "left",
    "over",
    "from",
    "the",
    "last",
    "time",
    "with",
    "all",
    "who",
    "came",
    "by",
    "then",
    "and",
    "those",
    "who",
    "could",
    "not",
    "come",
    "will",
    "hear",
    "of",
    "it",
    "later",
    "from",
    "one",
    "of",
    "us",
    "in",
    "writing",
]


@dataclass(frozen=True, slots=True)
class Bench:
    """One session under one policy."""

    ground: Ground
    principal: Principal
    snapshot: Snapshot

    def attempt(self, args: Mapping[str, Json]) -> Mapping[str, str]:
        """Decide one call; the origins it was decided with."""
        action = Action("desk", "send", dict(args), "rest", "r", None, "127.0.0.1:1", "desk.send")
        call = attempt(self.principal, action, self.ground, call_id="c")
        if call.decision.errors:
            raise AssertionError(call.decision.errors)
        return call.facts.origin

    async def read(self, characters: int, chance: random.Random) -> None:
        """Read so much, trusted and untrusted by turns, in results of `_RESULT` characters."""
        ground = self.ground
        for number in range(max(2, characters // _RESULT)):
            tool = "desk.page" if number % 2 else "desk.look"
            text = _prose(min(_RESULT, characters // 2), chance)
            result: dict[str, Json] = {"content": [{"type": "text", "text": text}]}
            facts = Facts(
                agent="clerk",
                tool=tool,
                args={},
                session=ground.session.id,
                tree=ground.session.root,
            )
            await ground.flow.examine(self.snapshot, facts, result, frozenset(), number)


async def open_bench(folder: Path, when: str) -> Bench:
    """A session that has a purpose, under a policy with this condition."""
    log = Log.open(folder / "log", signer=Signer("bench.example", Ed25519PrivateKey.generate()))
    recorder = Recorder(log, Vault.open(folder / "subjects", bytes(32)))
    sessions = Sessions(recorder)
    flow = Flow(sessions, Memories(), Uses(), Objects(), Releases(), SecretFinder(), bytes(32))
    log.subscribe(lambda entries: sessions.opened(entries[0].body, entries[0].index))
    session = await Openings(recorder, sessions).clean(
        "clerk", None, by="benchmark", purpose=Purpose.read(_PURPOSE, None)
    )
    log.close_now()
    snapshot = compile_snapshot(
        read_policies([("values.yaml", _POLICY.format(when=when).encode())]), None
    )
    lock = Lock().accept("desk", [_definition()])
    world = World(snapshot, Catalogue.of(lock), ())
    principal = Principal("clerk", None, frozenset(), (), session.id, ("*",), 0, "t", 0, 1)
    ground = Ground(world, 0, session, Limits(), flow, _NOW, 0, bytes(32))
    return Bench(ground, principal, snapshot)


def run(*, rounds: int) -> tuple[dict[str, float], list[str]]:
    """Measure; the rows, and why they are void."""
    rows: dict[str, float] = {}
    wrong: list[str] = []
    for characters in READ:
        with tempfile.TemporaryDirectory() as folder:
            found = [
                _measured(Path(folder) / str(number), characters, wrong) for number in range(rounds)
            ]
        name = f"{characters / 1e6:g} MB read"
        rows[f"{name}: added CPU us per call"] = median(each[0] for each in found)
        rows[f"{name}: CPU us per call without"] = median(each[1] for each in found)
        rows[f"{name}: CPU ms per MB of results"] = median(each[2] for each in found)
    least, most = (
        rows[f"{READ[0] / 1e6:g} MB read: added CPU us per call"],
        max(value for name, value in rows.items() if "added" in name),
    )
    rows["added at 10 MB by added at 10 kB"] = most / least
    return rows, wrong


def _measured(folder: Path, characters: int, wrong: list[str]) -> tuple[float, float, float]:
    """Added and plain CPU time of a call in microseconds, and of reading in ms per MB."""
    asks = asyncio.run(open_bench(folder / "asks", _ASKS))
    asks_not = asyncio.run(open_bench(folder / "not", _ASKS_NOT))
    chance = random.Random(characters)  # noqa: S311 - the same texts each time
    began = time.process_time_ns()
    asyncio.run(asks.read(characters, chance))
    reading = (time.process_time_ns() - began) / 1e6 / (characters / 1e6)
    calls = [_arguments(chance, number) for number in range(CALLS)]
    for args in calls[:BATCH]:
        origin = asks.attempt(args)
        if origin != {"target": "user", "carried": "user"}:
            wrong.append(f"{origin} after {characters} characters")
    added, plain = [], []
    for start in range(0, CALLS, BATCH):
        batch = calls[start : start + BATCH]
        # Whoever comes first brings the texts into the cache, so they take turns.
        if start % (2 * BATCH):
            without, with_it = _cpu_us(asks_not, batch), _cpu_us(asks, batch)
        else:
            with_it, without = _cpu_us(asks, batch), _cpu_us(asks_not, batch)
        added.append((with_it - without) / BATCH)
        plain.append(without / BATCH)
    return median(added), median(plain), reading


def _cpu_us(bench: Bench, batch: list[dict[str, Json]]) -> float:
    began = time.process_time_ns()
    for args in batch:
        bench.attempt(args)
    return (time.process_time_ns() - began) / 1000


def _arguments(chance: random.Random, number: int) -> dict[str, Json]:
    """20 values: a target, links, accounts, numbers, names, and texts of up to 4 kB."""
    short = {f"s{n}": " ".join(chance.choices(_WORDS, k=3)) for n in range(8)}
    return {
        "to": "ann@office.example",
        "link": "https://office.example/agenda?day=5",
        "account": "GB33BUKB20201555555555",
        **{f"n{n}": number * 10 + n for n in range(5)},
        **short,
        "subject": _prose(60, chance),
        "note": _prose(400, chance),
        "summary": _prose(1000, chance),
        "text": _prose(LONGEST, chance) + " https://office.example/agenda?day=5",
    }


def _prose(characters: int, chance: random.Random) -> str:
    """Words, names and numbers in sentences, about as they come in results."""
    said: list[str] = []
    length = 0
    while length < characters:
        sentence = [*chance.choices(_WORDS, k=12)]
        if characters > LONGEST:  # results name things; the texts of these calls do not
            sentence += [f"name{chance.randrange(50_000)}", str(chance.randrange(10_000))]
        said.append(" ".join(sentence).capitalize() + ".")
        length += len(said[-1]) + 1
    return " ".join(said)[:characters]


def _definition() -> Mapping[str, Json]:
    properties: dict[str, Json] = {
        name: {"type": "integer" if name[0] == "n" and name[1:].isdigit() else "string"}
        for name in _arguments(random.Random(0), 0)  # noqa: S311 - names alone
    }
    schema: dict[str, Json] = {"type": "object", "properties": properties}
    return {"name": "send", "description": "Send a message.", "inputSchema": schema}


def main() -> int:
    """Measure, print, and check where asked."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    options = parser.parse_args()
    rows, wrong = run(rounds=3 if options.quick else 7)
    return finish("flow", rows, options, void=wrong[:5])


if __name__ == "__main__":
    sys.exit(main())
