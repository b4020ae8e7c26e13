"""Kill -9 at every step of every pattern: the run goes on by itself, and no step is made twice.

Each case kills the gateway when the call that it names has reached its upstream and nothing of that
is recorded yet. A call that only reads is made again, which the run cannot be harmed by; one that
may have acted is not, and the run says so.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.gateway.links.http_upstream import Heard
from tests.gateway.undo.test_taking_back import Bank
from tests.harness.child import Child, child
from tests.orchestration.crashing import Stage, ended, played
from tests.orchestration.test_rollback import BOOK, PAY

KEY = "the-one"


@dataclass(frozen=True)
class Play:
    """A flow, who says what in it, and the calls that it makes when nothing goes wrong."""

    name: str
    node: Any
    says: dict[str, Any]
    calls: tuple[str, ...]
    result: Any


def tagged(name: str) -> Any:  # noqa: ANN401 - a script
    return lambda task: [*task, name] if isinstance(task, list) else [task, name]


def manager(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Of a magentic flow: one turn, and done."""
    if asked["do"] != "progress":
        return asked["do"]
    return {"done": True} if asked["history"] else {"next": "web", "input": "look"}


def lead(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Of an orchestrator: one worker, bound to a contract, whose result is its answer, if any."""
    if asked["results"]:
        return {"answer": asked["results"][0].get("result")}
    contract = {"goal": "Count.", "result": {"type": "integer"}, "calls": 4, "tools": ["stage.web"]}
    return {"tasks": [{"worker": "web", "input": 1, "contract": contract}]}


LONG = "high water, " * 100


def reader(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Of an orchestrator: what one worker found, which it does not read, is for another."""
    results = asked["results"]
    if not results:
        return {"tasks": [{"worker": "web", "input": 1}]}
    if len(results) == 1:
        return {"tasks": [{"worker": "papers", "input": results[0].get("result")}]}
    return {"answer": results[1].get("result")}


def corrected(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """A worker that gives a number only when it is told that it has to."""
    return 3 if "objection" in asked else "three"


PLAYS = (
    Play(
        "sequential",
        {"sequential": ["a", "b", "c"]},
        {name: tagged(name) for name in "abc"},
        ("a", "b", "c"),
        ["x", "a", "b", "c"],
    ),
    Play(
        "parallel",
        {"parallel": ["a", {"sequential": ["b", "c"]}]},
        {name: tagged(name) for name in "abc"},
        ("a", "b", "c"),
        [["x", "a"], ["x", "b", "c"]],
    ),
    Play(
        "race",
        {
            "sequential": [
                {
                    "parallel": {
                        "branches": ["a", {"sequential": ["b", "c"]}],
                        "until": "first",
                        "accept": "args.n > 1",
                    }
                },
                "d",
            ]
        },
        {
            "a": lambda _: {"n": 1},
            "b": lambda _: {"n": 1},
            "c": lambda _: {"n": 2},
            "d": tagged("d"),
        },
        ("a", "b", "c", "d"),
        [{"n": 2}, "d"],
    ),
    Play(
        "map",
        {"sequential": ["split", {"map": {"each": {"sequential": ["a", "b"]}}}]},
        {"split": lambda _: [1, 2], "a": tagged("a"), "b": tagged("b")},
        ("split", "a", "b", "a", "b"),
        [[1, "a", "b"], [2, "a", "b"]],
    ),
    Play(
        "router",
        {"router": {"classifier": "picks", "routes": {"left": "a", "right": "b"}}},
        {"picks": lambda _: "right", "a": tagged("a"), "b": tagged("b")},
        ("picks", "b"),
        ["x", "b"],
    ),
    Play(
        "handoff",
        {
            "handoff": {
                "start": "front",
                "agents": {"front": "front", "tech": "tech"},
                "edges": {"front": ["tech"]},
            }
        },
        {"front": lambda task: {"handoff": "tech", "input": task}, "tech": tagged("tech")},
        ("front", "tech"),
        ["x", "tech"],
    ),
    Play(
        "supervisor",
        {"supervisor": {"manager": "manager", "workers": {"web": "web", "papers": "papers"}}},
        {
            "manager": lambda asked: (
                {"answer": [each["result"] for each in asked["results"]]}
                if asked["results"]
                else {"tasks": [{"worker": name, "input": 1} for name in ("web", "papers")]}
            ),
            "web": tagged("web"),
            "papers": tagged("papers"),
        },
        ("manager", "web", "papers", "manager"),
        [[1, "web"], [1, "papers"]],
    ),
    Play(
        "contract",
        {
            "contract": {
                "of": {"sequential": ["a"]},
                "goal": "Count.",
                "result": {"type": "integer"},
                "tools": ["stage.a"],
                "calls": 5,
                "wall": "10m",
                "checks": ["b"],
            }
        },
        {"a": corrected, "b": lambda asked: {"approved": asked["result"] == 3}},
        ("a", "a", "b"),
        3,
    ),
    Play(
        "orchestrator-worker",
        {"supervisor": {"manager": "lead", "workers": {"web": {"sequential": ["web"]}}}},
        {"lead": lead, "web": corrected},
        ("lead", "web", "web", "lead"),
        3,
    ),
    Play(
        "by-reference",
        {
            "supervisor": {
                "manager": "reader",
                "workers": {
                    "web": {"contract": {"of": "web", "refer_above": 1024}},
                    "papers": "papers",
                },
            }
        },
        {"reader": reader, "web": lambda _: LONG, "papers": lambda task: task == LONG},
        ("reader", "web", "reader", "papers", "reader"),
        True,
    ),
    Play(
        "emit",
        {"sequential": ["a", {"emit": {"event": "drafted", "data": {"from": ""}}}, "b"]},
        {name: tagged(name) for name in "ab"},
        ("a", "b"),
        ["x", "a", "b"],
    ),
    Play(
        "maker-checker",
        {"maker_checker": {"maker": "maker", "checker": "checker"}},
        {
            "maker": lambda asked: f"draft, {asked['feedback']}",
            "checker": lambda asked: {"approved": "longer" in asked["draft"], "feedback": "longer"},
        },
        ("maker", "checker", "maker", "checker"),
        "draft, longer",
    ),
    Play(
        "magentic",
        {"magentic": {"manager": "manager", "team": {"web": "web"}}},
        {"manager": manager, "web": tagged("web")},
        ("manager", "manager", "web", "manager", "manager"),
        "final",
    ),
    Play(
        "group-chat",
        {
            "group_chat": {
                "members": {"expert": "expert", "critic": "critic"},
                "moderator": "moderator",
            }
        },
        {
            "moderator": lambda told: (
                {"answer": told["said"][0]["said"]} if told["said"] else {"next": "critic"}
            ),
            "expert": tagged("expert"),
            "critic": lambda _: "hm",
        },
        ("moderator", "critic", "moderator"),
        "hm",
    ),
)

ALWAYS = {
    "sequential-2-b",
    "supervisor-3-papers",
    "orchestrator-worker-3-web",
    "by-reference-4-papers",
}
"""Cases of every run of the tests; the others are run with `--crash`."""


def _cases() -> Iterator[Any]:
    for play in PLAYS:
        for number, call in enumerate(play.calls, start=1):
            name = f"{play.name}-{number}-{call}"
            marks = () if name in ALWAYS else (pytest.mark.crash,)
            yield pytest.param(play, number, id=name, marks=marks)


CASES = list(_cases())


async def start(gateway: Child) -> str:
    body = {"flow": "job", "input": "x", "key": KEY}
    started: str = (await gateway.operate("POST", "/api/runs", body)).json()["id"]
    return started


async def killed_and_started_again(gateway: Child, stage: Stage, at: int) -> str:
    """The run that a kill came between; its gateway is there again, and nobody told it to go on."""
    process = gateway.process
    assert process is not None
    stage.kill_at = at
    stage.kill = lambda: process.send_signal(signal.SIGKILL)
    with suppress(httpx.HTTPError):  # it may be killed before it has answered
        await start(gateway)
    await process.wait()
    await gateway.kill()
    await gateway.start()
    return await start(gateway)


@pytest.mark.parametrize(("play", "at"), CASES)
async def test_resume(tmp_path: Path, play: Play, at: int) -> None:
    async with played(tmp_path, play.node, play.says, risk="read") as (gateway, stage):
        run = await killed_and_started_again(gateway, stage, at)
        found = await ended(gateway, run)
        assert (found["result"], found["output"]) == ("done", play.result)
        again = Counter(name for name, _ in stage.asked) - Counter(play.calls)
        # Beside the call that the kill came between, only those that were under way with it.
        assert again[stage.asked[at - 1][0]] >= 1
        assert sum(again.values()) <= 2  # no play has more than two branches
        assert len(await gateway.entries("run.started")) == 1


@pytest.mark.parametrize(("play", "at"), CASES)
async def test_nothing_that_may_have_acted_is_sent_again(
    tmp_path: Path, play: Play, at: int
) -> None:
    async with played(tmp_path, play.node, play.says, risk="irreversible") as (gateway, stage):
        run = await killed_and_started_again(gateway, stage, at)
        found = await ended(gateway, run)
        assert found["result"] in {"unknown", "done"}  # a manager may go on without a worker
        assert not Counter(name for name, _ in stage.asked) - Counter(play.calls)
        assert any(step["status"] == "unknown" for step in found["steps"])


# -- what a failed run takes back by itself

BREAKS = {"tool": {"name": "desk.look", "args": {"at": 3}}}  # refused: a number is no text
RULES = """\
apiVersion: passavant/v1
kind: Policy
name: saga
default: deny
users: {default: unrestricted}
agents: {job: {}}
tools:
  desk.pay:
    risk: irreversible
    undo: {tool: desk.refund, args: {payment: result.payment, amount: args.amount}}
  desk.refund: {risk: irreversible}
  desk.book: {risk: write, undo: {tool: desk.free, args: {room: args.room}}}
  desk.free: {risk: write}
  desk.look: {risk: read}
rules:
  - id: does
    agents: [job]
    tools: [desk.pay, desk.refund, desk.book, desk.free, desk.look]
    effect: allow
    why: This is a test.
"""
KEYED = RULES.replace("  desk.pay:\n", "  desk.pay:\n    idempotency: 24h\n").replace(
    "desk.refund: {risk: irreversible", "desk.refund: {risk: irreversible, idempotency: 24h"
)


class Victim(Bank):
    """A bank that acts, and then has the gateway killed before that is recorded, once."""

    def __init__(self, kill_at: str) -> None:
        super().__init__()
        self._kill_at = kill_at
        self.kill: Callable[[], None] | None = None

    async def _acts(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        name = heard.message["params"]["name"]
        if name == self._kill_at and self.kill is not None:
            self.loses.add(name)
            kill, self.kill = self.kill, None
            kill()
        await super()._acts(heard, writer)


@pytest.mark.parametrize(
    ("rules", "at", "state", "made"),
    [
        pytest.param(KEYED, "refund", "ended", ["refund", "refund", "free"], id="undo-by-its-key"),
        pytest.param(
            RULES, "refund", "stopped", ["refund"], id="undo-for-a-person", marks=pytest.mark.crash
        ),
        pytest.param(
            RULES,
            "free",
            "stopped",
            ["refund", "free"],
            id="last-undo-for-a-person",
            marks=pytest.mark.crash,
        ),
        pytest.param(KEYED, "pay", "ended", ["refund", "free"], id="step-by-its-key"),
        pytest.param(RULES, "pay", "stopped", [], id="step-for-a-person", marks=pytest.mark.crash),
    ],
)
async def test_what_a_failed_run_takes_back_goes_on_by_itself(
    tmp_path: Path, rules: str, at: str, state: str, made: list[str]
) -> None:
    file = tmp_path / "job.flow.yaml"
    steps = {"sequential": [BOOK, PAY, BREAKS]}
    written = {"apiVersion": "passavant/v1", "kind": "Flow", "name": "job", "flow": steps}
    file.write_text(yaml.safe_dump({**written, "on_failure": "undo"}))
    async with (
        Victim(at) as bank,
        child(tmp_path, rules, {"desk": bank}, {"flows": [str(file)]}) as gateway,
    ):
        process = gateway.process
        assert process is not None
        bank.kill = lambda: process.send_signal(signal.SIGKILL)
        with suppress(httpx.HTTPError):  # it may be killed before it has answered
            await start(gateway)
        await process.wait()
        await gateway.kill()
        await gateway.start()
        run = await start(gateway)
        assert (await ended(gateway, run))["result"] != "done"
        assert (await rolled_back(gateway, run))["state"] == state
        assert [name for name, _ in bank.made if name in {"refund", "free"}] == made
        assert bank.payments == 1
        assert len(await gateway.entries("rollback.started")) == 1


async def rolled_back(gateway: Child, run: str) -> dict[str, Any]:
    """The rollback that nobody ordered, when it has ended or stopped."""
    async with asyncio.timeout(60):
        while True:
            answer = await gateway.operate("GET", f"/api/runs/{run}/rollback", check=False)
            found: dict[str, Any] = answer.json()
            if answer.status_code == 200 and found["state"] != "running":
                return found
            await asyncio.sleep(0.05)  # another process has no event
