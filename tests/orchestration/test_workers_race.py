"""Races that workers carry: who has won is settled once, whichever process goes on with the run."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.orchestration.crew import Crew, carried, crew
from tests.orchestration.house import Agents
from tests.orchestration.test_race import ASK, HOUR, Held, gives, racing


async def raced(home: Crew) -> str:
    """A run that a worker has begun."""
    await home.hire("one")
    return (await home.start()).id


async def ended(home: Crew, run: str) -> str:
    """How it ended, and what came of it."""
    found = await home.ended(home.hop.runs.get(run))
    return f"{found.result}: {home.hop.kept.output(found)}"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/runs.db"


async def test_a_worker_cuts_who_has_lost_and_goes_on(tmp_path: Path, database: str) -> None:
    slow = Held()
    fast = slow.loses_to("fast")
    agents = Agents(slow=slow, fast=fast, after=lambda task: [task], never=gives("never"))
    race = racing({"sequential": ["slow", "never"]}, {"sequential": [HOUR, "never"]}, "fast")
    flow = carried({"sequential": [race, "after"]})
    async with crew(tmp_path, database, flow, agents) as home:
        run = await raced(home)
        await home.gateway.until(lambda: "after" in agents.asked and slow.asked == 1)
        (cut,) = home.gateway.entries("run.cut")
        assert cut["won"] == ["1:parallel/3:fast"]
        assert len(cut["lost"]) == 2
        assert home.hop.runs.get(run).state == "running"  # what is under way is let end
        slow.go.set()
        assert await ended(home, run) == "done: ['fast']"
        assert Counter(agents.asked) == {"slow": 1, "fast": 1, "after": 1}


async def test_people_who_were_asked_for_a_branch_that_lost_are_let_go(
    tmp_path: Path, database: str
) -> None:
    held = Held()
    agents = Agents(fast=held, never=gives("never"))
    flow = carried(racing({"sequential": [ASK, "never"]}, "fast"))
    async with crew(tmp_path, database, flow, agents) as home:
        run = await raced(home)
        approvals = home.gateway.gateway.services.state.approvals
        await home.gateway.until(lambda: len(approvals.all()) == 1 and held.asked == 1)
        held.go.set()
        assert await ended(home, run) == "done: late"
        assert [each.state for each in approvals.all()] == ["withdrawn"]
        assert agents.asked == ["fast"]


async def test_the_same_have_won_when_their_worker_is_killed_afterwards(
    tmp_path: Path, database: str
) -> None:
    """Who lost has succeeded by the time another worker looks, and has still lost."""
    slow, after = Held(), Held()
    fast = slow.loses_to("fast", asked=2)
    agents = Agents(slow=slow, fast=fast, after=after, never=gives("never"))
    race = racing("slow", {"sequential": ["slow", "never"]}, "fast")
    flow = carried({"sequential": [race, "after"]})
    async with crew(tmp_path, database, flow, agents) as home:
        run = await raced(home)
        await home.gateway.until(lambda: after.asked == 1 and slow.asked == 2)
        await home.hire("two")
        home.kill("one")
        await home.workers["one"].wait()
        slow.go.set()
        steps = home.hop.runs.steps
        await home.gateway.until(lambda: steps(run)["1:parallel/1:slow"].status == "done")
        after.go.set()
        assert await ended(home, run) == "done: late"
        (cut,) = home.gateway.entries("run.cut")
        assert cut["won"] == ["1:parallel/3:fast"]
        assert Counter(agents.asked) == {"slow": 2, "fast": 1, "after": 1}
        assert len({entry["by"] for entry in home.gateway.entries("run.carried")}) == 2


@pytest.mark.parametrize(
    ("until", "output", "won"),
    [
        pytest.param("first", "done: late", 1, id="first"),
        pytest.param(2, "done: ['late', 'late']", 2, id="two", marks=pytest.mark.long),
    ],
)
async def test_a_race_that_nobody_has_won_is_run_on_by_another_worker(
    tmp_path: Path,
    database: str,
    until: Any,  # noqa: ANN401 - as written
    output: str,
    won: int,
) -> None:
    held = Held()
    agents = Agents(held=held, never=gives("never"))
    branches = ["held"] * won
    flow = carried(racing({"sequential": [HOUR, "never"]}, *branches, until=until))
    async with crew(tmp_path, database, flow, agents) as home:
        run = await raced(home)
        await home.gateway.until(lambda: held.asked == won)
        await home.hire("two")
        home.kill("one")
        await home.workers["one"].wait()
        assert home.gateway.entries("run.cut") == []
        await home.gateway.until(lambda: len(home.gateway.entries("run.carried")) == 2)
        held.go.set()
        assert await ended(home, run) == output
        (cut,) = home.gateway.entries("run.cut")
        assert (len(cut["won"]), len(cut["lost"])) == (won, 1)
        assert agents.asked == ["held"] * won  # each once, whoever asked
