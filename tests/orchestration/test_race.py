"""Races: enough of several branches, and nothing more of the others."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.runs.run import Cut
from orchestration.agents import AgentFailed
from orchestration.errors import FlowInvalid
from orchestration.files import read_flow
from tests.orchestration.house import Agents, House, Says, flow, house, policy

ASK = {"approve": {"by": "editors", "question": "Is it good?"}}
HOUR = {"wait": "30m"}


def gives(value: Any) -> Says:  # noqa: ANN401 - JSON
    return lambda _: value


def fails(_: Any) -> Any:  # noqa: ANN401 - JSON
    raise AgentFailed("the disk of the agent is full")


def racing(*branches: Any, until: Any = "first", **options: Any) -> Any:  # noqa: ANN401 - as written
    return {"parallel": {"branches": list(branches), "until": until, **options}}


class Held:
    """An agent whose answer waits until the test lets it go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0
        self._comes = asyncio.Condition()

    def __call__(self, _: Any) -> Awaitable[Any]:  # noqa: ANN401 - JSON
        return self._answer()

    def loses_to(self, value: Any, *, asked: int = 1) -> Says:  # noqa: ANN401 - JSON
        """Another agent, which answers as soon as this one was asked so often.

        Who answers at once can win before a branch that is a part has begun its first step.
        """
        return lambda _: self._winner(value, asked)

    async def _answer(self) -> Any:  # noqa: ANN401 - JSON
        async with self._comes:
            self.asked += 1
            self._comes.notify_all()
        await self.go.wait()
        return "late"

    async def _winner(self, value: Any, asked: int) -> Any:  # noqa: ANN401 - JSON
        async with self._comes:
            await self._comes.wait_for(lambda: self.asked >= asked)
        return value


# -- what comes of it


@pytest.mark.parametrize(
    ("node", "given", "result"),
    [
        pytest.param(racing("bad", "one"), 0, {"n": 1}, id="first-that-succeeds"),
        pytest.param(racing(HOUR, "one"), 0, {"n": 1}, id="first-before-a-wait"),
        pytest.param(
            racing("one", "two", accept="args.n > 1"), 0, {"n": 2}, id="first-that-is-accepted"
        ),
        pytest.param(
            racing("three", "bad", "one", until=2), 0, [{"n": 3}, {"n": 1}], id="two-in-order"
        ),
        pytest.param(racing("one", "two", until=2), 0, [{"n": 1}, {"n": 2}], id="all-of-them"),
        pytest.param(
            racing(HOUR, "one", "other", until=2, merge=True), 0, {"n": 1, "m": 1}, id="merged"
        ),
        pytest.param(
            racing({"sequential": ["one", "two"]}, HOUR, "bad"), 0, {"n": 2}, id="a-part-wins"
        ),
        pytest.param(racing(racing(HOUR, "two"), HOUR), 0, {"n": 2}, id="a-race-in-a-race"),
        pytest.param(
            {"map": {"each": "same", "until": 2, "accept": "args.value > 1"}},
            [1, 2, 1, 3],
            [2, 3],
            id="map",
        ),
        pytest.param(
            {"map": {"each": "one", "until": "first", "max_parallel": 1}},
            [1, 2, 3],
            {"n": 1},
            id="map-first",
        ),
    ],
)
async def test_who_succeeds_first_is_the_result(
    tmp_path: Path,
    node: Any,  # noqa: ANN401 - as written
    given: Any,  # noqa: ANN401 - JSON
    result: Any,  # noqa: ANN401 - JSON
) -> None:
    agents = Agents(
        bad=fails,
        same=lambda task: task,
        one=gives({"n": 1}),
        two=gives({"n": 2}),
        three=gives({"n": 3}),
        other=gives({"m": 1}),
    )
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result(given=given) == result


@pytest.mark.parametrize(
    ("node", "given", "stop"),
    [
        pytest.param(racing("bad", "bad"), 0, "failed: the disk", id="none-succeeds"),
        pytest.param(racing("bad", "one", HOUR, "bad", until=3), 0, "failed: the disk", id="few"),
        pytest.param(
            racing("one", "one", accept="args.n > 1"), 0, "failed: 1 are to", id="none-accepted"
        ),
        pytest.param(
            racing("one", accept="args.other > 1"), 0, "failed: 1 are to", id="nothing-to-compare"
        ),
        pytest.param({"map": {"each": "one", "until": 2}}, [1], "failed: 2 are", id="short-list"),
        pytest.param(
            {"map": {"each": "one", "until": "first"}}, [], "failed: 1 are", id="empty-list"
        ),
        pytest.param(
            racing({"guard": {"of": "one", "input": ["trips"]}}, HOUR),
            0,
            "tripped: ",
            id="a-guardrail-halts-all",
        ),
    ],
)
async def test_a_race_that_cannot_be_won_stops_at_once(
    tmp_path: Path,
    node: Any,  # noqa: ANN401 - as written
    given: Any,  # noqa: ANN401 - JSON
    stop: str,
) -> None:
    agents = Agents(bad=fails, one=gives({"n": 1}), trips=gives({"tripped": True, "reason": "no"}))
    async with house(tmp_path, [flow(node)], agents) as home:
        assert (await home.stopped(given=given)).startswith(stop)


async def test_who_is_denied_has_not_won(tmp_path: Path) -> None:
    agents = Agents(a=gives("a"), b=gives("b"))
    rules = policy("a", "b").replace("tools: [agents.a, agents.b]", "tools: [agents.b]")
    async with house(tmp_path, [flow(racing("a", "b"))], agents, rules=rules) as home:
        assert await home.result() == "b"
        assert agents.asked == ["b"]


# -- what becomes of the others


async def test_what_is_under_way_is_let_end_while_the_run_goes_on(tmp_path: Path) -> None:
    held = Held()
    agents = Agents(
        slow=held, fast=held.loses_to("fast"), after=gives("after"), never=gives("never")
    )
    node = {"sequential": [racing({"sequential": ["slow", "never"]}, "fast"), "after"]}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.start()
        await home.gateway.until(lambda: "after" in agents.asked and held.asked == 1)
        assert home.hop.runs.get(run.id).state == "running"
        held.go.set()
        assert (await home.ended(run)).result == "done"
        assert "never" not in agents.asked
        assert {taken.status for taken in home.hop.runs.steps(run.id).values()} == {"done"}
        (cut,) = home.gateway.entries("run.cut")
        assert cut["lost"] == ["1:parallel/1:sequential"]
        assert cut["won"] == ["1:parallel/2:fast"]


async def test_people_are_not_asked_for_a_branch_that_has_lost(tmp_path: Path) -> None:
    held = Held()
    agents = Agents(fast=held, never=gives("never"))
    node = racing({"sequential": [ASK, "never"]}, ASK, "fast")
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.start()
        approvals = home.gateway.gateway.services.state.approvals
        await home.gateway.until(lambda: len(approvals.all()) == 2 and held.asked == 1)
        held.go.set()
        assert (await home.ended(run)).result == "done"
        assert {each.state for each in approvals.all()} == {"withdrawn"}
        assert agents.asked == ["fast"]


async def test_what_waits_for_its_turn_is_not_begun(tmp_path: Path) -> None:
    agents = Agents(one=gives(1))
    node = {"map": {"each": "one", "until": "first", "max_parallel": 1}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result(given=list(range(40))) == 1
        assert len(agents.asked) <= 3  # those that began before the entry stood


async def test_a_person_stops_a_race_like_anything_else(tmp_path: Path) -> None:
    async with house(tmp_path, [flow(racing(HOUR, ASK))]) as home:
        run = await home.start()
        approvals = home.gateway.gateway.services.state.approvals
        await home.gateway.until(lambda: len(approvals.all()) == 1)
        await home.service.cancel(run.id, by="test")
        assert (await home.ended(run)).result == "cancelled"


async def test_nothing_comes_back_of_what_was_set_aside_for_others(tmp_path: Path) -> None:
    agents = Agents(a=gives("a"), b=gives("b"))
    race = racing({"sequential": ["a", "a"]}, {"sequential": [HOUR, "b"]})
    node = {"sequential": [race, *["a"] * 6]}
    async with house(tmp_path, [flow(node, calls=10)], agents) as home:
        assert (await home.stopped()).startswith("exhausted")  # 3 of 10 were for the other
        assert len(agents.asked) == 7


# -- after a crash


@asynccontextmanager
async def twice(folder: Path, node: Any, agents: Agents, until: Callable[[House], bool]) -> Any:  # noqa: ANN401 - as written
    """A run that is cut off where `until` holds, and goes on in another process, so to say."""
    flows = [flow(node)]
    async with house(folder, flows, agents) as home:
        run = await home.start()
        await home.gateway.until(lambda: until(home))
    yield run, flows


@pytest.mark.parametrize("lost", [False, True], ids=["resumed", "without-its-database"])
async def test_the_same_have_won_after_a_crash(tmp_path: Path, lost: bool) -> None:
    slow, after = Held(), Held()
    fast = slow.loses_to("fast", asked=2)
    agents = Agents(slow=slow, fast=fast, after=after, never=gives("never"))
    race = racing({"sequential": ["slow", "never"]}, "slow", HOUR, "fast")
    async with twice(
        tmp_path,
        {"sequential": [race, "after"]},
        agents,
        lambda _: slow.asked == 2 and after.asked == 1,
    ) as (run, flows):
        if lost:
            for file in (tmp_path / "home").glob("runs.db*"):
                file.unlink()
        slow.go.set()
        after.go.set()
        async with house(tmp_path, flows, agents) as home:
            ended = await home.ended(run)
            assert ended.result == "unknown"  # `after` was under way, and may have acted
            assert ended.cuts == home.hop.runs.get(run.id).cuts
            assert len(home.gateway.entries("run.cut")) == 1
    assert sorted(agents.asked) == ["after", "fast", "slow", "slow"]


async def test_who_lost_and_succeeded_later_has_still_lost(tmp_path: Path) -> None:
    slow = Held()
    agents = Agents(slow=slow, fast=slow.loses_to("fast"), out=lambda value: value)
    node = {"sequential": [racing("slow", "fast"), ASK, "out"]}
    flows = [flow(node)]
    async with house(tmp_path, flows, agents) as home:
        run = await home.start()
        approvals = home.gateway.gateway.services.state.approvals
        await home.gateway.until(lambda: len(approvals.all()) == 1 and slow.asked == 1)
        slow.go.set()
        steps = home.hop.runs.steps
        await home.gateway.until(lambda: steps(run.id)["1:parallel/1:slow"].status == "done")
        (request,) = approvals.all()
    for file in (tmp_path / "home").glob("runs.db*"):
        file.unlink()
    async with house(tmp_path, flows, agents) as home:
        await home.gateway.answer(request.id)
        ended = await home.ended(run)
        assert home.hop.kept.output(ended) == "fast"
    assert agents.asked.count("slow") == agents.asked.count("fast") == 1


async def test_a_fork_behind_a_race_takes_over_who_has_lost_it(tmp_path: Path) -> None:
    agents = Agents(fast=gives("fast"), never=gives("never"), out=lambda value: [value])
    node = {"sequential": [racing({"sequential": [HOUR, "never"]}, "fast"), "out"]}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start())
        answer = await home.gateway.operate("POST", f"/api/runs/{run.id}/fork", {"step": 2})
        fork = await home.ended(home.hop.runs.get(answer.json()["id"]))
        assert (fork.result, home.hop.kept.output(fork)) == ("done", ["fast"])
        assert fork.cuts == run.cuts
        assert len(home.gateway.entries("run.cut")) == 1
    assert agents.asked == ["fast", "out", "out"]


async def test_of_two_that_say_who_has_won_the_first_counts(tmp_path: Path) -> None:
    async with house(tmp_path, [flow(ASK)]) as home:
        run = await home.start()
        first = home.hop.cut(run.id, "9:enough", ["1:a"], ["2:b"])
        second = home.hop.cut(run.id, "9:enough", ["2:b"], ["1:a"])
        assert set(await asyncio.gather(first, second)) == {("1:a",)}
        await home.service.cancel(run.id, by="test")
        await home.ended(run)


# -- what is refused before


@pytest.mark.parametrize(
    ("path", "barred"),
    [
        pytest.param("2:b", True, id="itself"),
        pytest.param("2:b/1:c", True, id="below"),
        pytest.param("2:ball", False, id="a-longer-name"),
        pytest.param("1:a", False, id="who-has-won"),
        pytest.param("", False, id="the-run"),
    ],
)
def test_a_cut_bars_the_branch_and_nothing_else(path: str, *, barred: bool) -> None:
    assert Cut(("1:a",), ("2:b",), 7).bars(path) is barred


@pytest.mark.parametrize(
    ("node", "complaint"),
    [
        pytest.param(racing("a", until=2), "cannot succeed", id="more-than-there-are"),
        pytest.param(racing("a", until=0), "greater than or equal", id="none"),
        pytest.param(racing("a", until="some"), "first", id="no-number"),
        pytest.param(racing("a", until="all", accept="args.n > 1"), "how many", id="accept-of-all"),
        pytest.param(racing("a", "b", on_error="drop"), "on_error", id="two-ways-to-go-on"),
        pytest.param({"map": {"each": "a", "until": True}}, "until", id="a-truth"),
    ],
)
def test_a_race_that_makes_no_sense_is_refused(node: Any, complaint: str) -> None:  # noqa: ANN401 - as written
    with pytest.raises(ValidationError, match=complaint):
        flow(node)


@pytest.mark.parametrize(
    "condition", [pytest.param("args.n >", id="unreadable"), pytest.param("user == 'a'", id="more")]
)
def test_a_condition_of_a_race_is_looked_at_when_the_file_is_read(condition: str) -> None:
    text = f"""\
apiVersion: passavant/v1
kind: Flow
name: job
flow: {{parallel: {{branches: [a, b], until: first, accept: "{condition}"}}}}
"""
    with pytest.raises(FlowInvalid, match="accept: "):
        read_flow("job.yaml", text.encode())
