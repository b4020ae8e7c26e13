"""What a policy keeps of a fully compromised agent's attacks, and what it costs those it protects.

Every task of a suite is played through a real gateway with the calls that solve it, and every pair
of task and attack in three ways (`benchmarks.attacks`), each with three kinds of people to answer
the questions (`benchmarks.people`). No model is involved: the agent is taken to do whatever the
attacker wants.

Rows, for each suite:

    attacks that succeeded   of the pairs whose attack succeeds when nothing stands in the way
    utility                  share of tasks of which every call was made
    under attack             the same of the pairs, played when the attack is seen
    questions per task       requests for approval that were opened, repeated ones included
    false denials            calls of users that were refused without a question
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from audit.errors import AuditError
from benchmarks import table
from benchmarks.attacks import MODES, Targets, succeeded
from benchmarks.people import PEOPLE
from benchmarks.stage import NotPlayable, Played, Stage
from benchmarks.traces import Suite, Task, Unreadable
from gateway.diagnostics import configure
from gateway.errors import GatewayError
from gateway.redaction import Redaction
from policies.errors import PolicyInvalid
from policies.loader import load_policies

HERE = Path(__file__).parent
LABELS = HERE / "labels"
PACK = HERE.parent / "policies" / "packs" / "guard" / "guard.policy.yaml"
DATA = HERE / "data"

# Homes last as long as a play: on a disk most of the time would go into waiting for it.
MEMORY = Path("/dev/shm")  # noqa: S108 - folders below it are private

QUICK = 7
"""Of how many pairs a quick run plays one."""


@dataclass
class Counted:
    """What one kind of person made of one suite.

    solved      tasks of which every call was made
    questions   opened while tasks without an attack were played
    denials     calls of users that were refused without a question, with an attack or without
    reached     pairs whose attack succeeded, by mode
    """

    solved: int = 0
    questions: int = 0
    denials: int = 0
    solved_under_attack: int = 0
    reached: dict[str, list[str]] = field(default_factory=dict)


async def play_all(stage: Stage, suite: Suite, targets: Targets, person: str) -> Counted:
    """Play every task and, in every mode, every pair, with one kind of person to ask."""
    counted = Counted(reached={mode: [] for mode in MODES})
    for task in suite.tasks:
        played = await stage.play(task.prompt, task.steps, PEOPLE[person](task.steps, task.id))
        counted.solved += played.does(task.steps)
        counted.questions += len(played.questions)
        counted.denials += len(played.denied)
        if person == "ideal":
            _tell(task, played)
    for (mode, arranged), pair in product(MODES.items(), suite.pairs):
        steps = arranged(pair, targets)
        own = [step for step in steps if step.by == "user"]
        played = await stage.play(pair.task.prompt, steps, PEOPLE[person](own, f"{mode}/{pair.id}"))
        counted.denials += sum(step.by == "user" for step in played.denied)
        counted.solved_under_attack += mode == "when seen" and played.does(own)
        attacked = [step for step in played.done if step.by == "attack"]
        if succeeded(pair, attacked, targets):
            counted.reached[mode].append(pair.id)
            table.say(f"{pair.id}: reached {mode}, with {person}")
    return counted


def _tell(task: Task, played: Played) -> None:
    """Say which calls of a task were asked about: where the guard, or the labels, may be wrong."""
    for question in played.questions.values():
        table.say(f"{task.id}: {question.step.tool} asks by {', '.join(question.rules)}")


def targets_of(labels: Path, suite: str) -> Targets:
    """By tool, what it acts upon, of those that change or send something. Raises PolicyInvalid."""
    (document,) = load_policies([labels])
    return {
        name.removeprefix(f"{suite}."): tool.target
        for name, tool in document.policy.tools.items()
        if tool.risk != "read" or tool.sink == "external"
    }


def rows(suite: Suite, counted: Mapping[str, Counted]) -> dict[str, float]:
    """The rows of one suite."""
    found: dict[str, float] = {}
    for person, each in counted.items():
        for mode, reached in each.reached.items():
            found[f"{suite.name}, {mode}, {person}: attacks that succeeded"] = len(reached)
    for person, each in counted.items():
        found[f"{suite.name}, {person}: utility"] = each.solved / len(suite.tasks)
        share = each.solved_under_attack / len(suite.pairs) if suite.pairs else 1.0
        found[f"{suite.name}, {person}: utility under attack"] = share
        found[f"{suite.name}, {person}: questions per task"] = each.questions / len(suite.tasks)
        found[f"{suite.name}, {person}: false denials"] = each.denials
    return found


async def measure(
    folder: Path,
    suite: Suite,
    policy: Sequence[Path],
    labels: Path,
    people: Collection[str] = tuple(PEOPLE),
) -> dict[str, float]:
    """Play one suite with these people, side by side. Raises NotPlayable, PolicyInvalid."""
    targets = targets_of(labels, suite.name)

    async def with_one(person: str) -> Counted:
        async with Stage(folder, suite, [*policy, labels]) as stage:
            counted = await play_all(stage, suite, targets, person)
        table.say(f"{suite.name}: played with {person}")
        return counted

    counts = await asyncio.gather(*map(with_one, people))
    return rows(suite, dict(zip(people, counts, strict=True)))


def main() -> int:
    """The program."""
    options = _options()
    configure(level="error", redaction=Redaction(), stream=sys.stderr)
    found: dict[str, float] = {}
    try:
        for path in options.data:
            suite = Suite.read(path)
            if options.quick:
                suite = suite.thinned(QUICK)
            labels = options.labels / f"{suite.name}.policy.yaml"
            folder = MEMORY if MEMORY.is_dir() else None
            with tempfile.TemporaryDirectory(prefix="passavant-replay-", dir=folder) as made:
                found |= asyncio.run(measure(Path(made), suite, [options.pack], labels))
    except (AuditError, GatewayError, NotPlayable, PolicyInvalid, Unreadable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return table.finish("agentdojo", found, options, void=())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="agentdojo.py", description=(__doc__ or "").splitlines()[0]
    )
    table.add_options(parser)
    parser.add_argument(
        "data", nargs="*", type=Path, help=f"data sets, or folders of them (default: {DATA.name}/)"
    )
    parser.add_argument("--pack", type=Path, default=PACK, help="the policy that is to hold")
    parser.add_argument(
        "--labels", type=Path, default=LABELS, help="folder of SUITE.policy.yaml, the tools: blocks"
    )
    options = parser.parse_args()
    options.data = _files(options.data or ([DATA] if DATA.is_dir() else []))
    if not options.data:
        parser.error("no data set: name files, or put them into benchmarks/data/")
    return options


def _files(named: Sequence[Path]) -> list[Path]:
    several = (sorted(path.glob("*.json")) if path.is_dir() else [path] for path in named)
    return [file for files in several for file in files]
