"""Following: the events of a run as they happen, across whatever breaks off in between."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from json import loads
from typing import Any

from cli.client import Broken, Operators, quoted
from cli.errors import Exit, stop
from cli.interrupt import Stopping

MOST_AWAY_S = 60.0
"""How long a gateway may be away before it is given up."""

AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """What is told of a run: `run`, `step` or `progress`, and where that is."""

    kind: str
    data: dict[str, Any]


def follow(api: Operators, run: str, stopping: Stopping) -> Iterator[Event]:
    """The events of a run, each once, until it has ended or somebody has seen enough.

    Ends the command when the gateway refuses, or stays away for MOST_AWAY_S.
    """
    path, heard, away = f"/api/runs/{quoted(run)}/events", "", 0.0
    while not stopping.asked:
        try:
            with api.stream(path, stopping, last_event_id=heard) as lines:
                for place, event in _events(lines):
                    heard, away = place or heard, 0.0
                    yield event
                    if event.kind == "run" and event.data["state"] == "ended":
                        return
        except Broken as error:
            if away >= MOST_AWAY_S:
                stop(f"the gateway does not answer ({error})", Exit.FAILED)
        time.sleep(AGAIN_S)
        away += AGAIN_S


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Event]]:
    """Events with their ids; each line that is neither event, data nor id is none of ours."""
    said: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line:
            said[name] = value.removeprefix(" ")
        elif "data" in said:
            yield said.get("id", ""), Event(said.get("event", ""), loads(said["data"]))
        if not line:
            said = {}
