"""Recorded tasks and attacks: the format in which data sets for replaying are kept.

One JSON file is one suite: a catalogue of tools, tasks of users as the calls that solve them, and
pairs of a task with an attack, whose calls stand where the injected text has come back from a tool.
No model is involved. What is read here is checked once; what it means is said in each type.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

FORMAT = 1

By = Literal["user", "attack"]


class Unreadable(Exception):
    """A file is not a data set of this format."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call: who wants it made, what it is, and what the tool answered when it was recorded."""

    by: By
    tool: str
    args: Mapping[str, Any]
    result: str
    is_error: bool = False

    @property
    def call(self) -> tuple[str, str]:
        """Tool and arguments, comparable."""
        return self.tool, json.dumps(self.args, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Task:
    """What a user asks for, in their own words, and the calls that do it."""

    id: str
    prompt: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A task during which an attack shows up in what a tool returns.

    succeeds  the attacker's goal is reached when nothing stands between agent and tools
    """

    task: Task
    attack: str
    steps: tuple[Step, ...]
    succeeds: bool

    @property
    def id(self) -> str:
        """Of both together."""
        return f"{self.task.id}/{self.attack}"

    @property
    def attacks(self) -> tuple[Step, ...]:
        """The attacker's calls alone."""
        return tuple(step for step in self.steps if step.by == "attack")


@dataclass(frozen=True, slots=True)
class Suite:
    """One data set."""

    name: str
    tools: tuple[Mapping[str, Any], ...]
    tasks: tuple[Task, ...]
    pairs: tuple[Pair, ...]

    @classmethod
    def read(cls, path: Path) -> "Suite":
        """Read a file. Raises Unreadable, and OSError."""
        try:
            return _suite(json.loads(path.read_bytes()))
        except (ValueError, LookupError, TypeError) as error:
            raise Unreadable(f"{path.name}: {type(error).__name__}: {error}") from error

    def thinned(self, every: int) -> "Suite":
        """All tasks, and one in `every` pairs."""
        return replace(self, pairs=self.pairs[::every])


def _suite(data: Mapping[str, Any]) -> Suite:
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']!r}, expected {FORMAT}")
    results: Mapping[str, str] = data["results"]
    tasks = {
        each["id"]: Task(each["id"], each["prompt"], _steps(each["steps"], results))
        for each in data["user_tasks"]
    }
    pairs = (
        Pair(
            tasks[each["user_task"]],
            each["injection_task"],
            _steps(each["steps"], results),
            each["goal_reached_unprotected"],
        )
        for each in data["pairs"]
    )
    return Suite(data["suite"], tuple(data["tools"]), tuple(tasks.values()), tuple(pairs))


def _steps(steps: Sequence[Mapping[str, Any]], results: Mapping[str, str]) -> tuple[Step, ...]:
    return tuple(
        Step(step["by"], step["tool"], step["args"], results[step["result"]], "error" in step)
        for step in steps
    )
