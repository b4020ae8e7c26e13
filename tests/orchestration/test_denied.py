"""A deny at each step of each pattern: nothing happens there, and the run says where and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.orchestration.house import Agents, flow, house, policy
from tests.orchestration.test_resume import PLAYS, Play

GOES_ON = {
    ("supervisor", "web"),
    ("supervisor", "papers"),
    ("race", "a"),
    ("orchestrator-worker", "web"),
    ("by-reference", "web"),
    ("by-reference", "papers"),
}
"""Where a flow may do without what is denied."""


def cases() -> Iterator[Any]:
    for play in PLAYS:
        for name in dict.fromkeys(play.calls):
            yield pytest.param(play, name, id=f"{play.name}-{name}")


@pytest.mark.parametrize(("play", "denied"), list(cases()))
async def test_what_is_denied_does_not_happen(tmp_path: Path, play: Play, denied: str) -> None:
    agents = Agents(**play.says)
    rules = policy(*play.says)
    deny = (
        f"  - {{id: not-this, agents: [job], tools: [agents.{denied}], effect: deny,"
        " when: has(args.task)}\n"
    )
    rules = rules.replace("rules:\n", f"rules:\n{deny}", 1)
    async with house(tmp_path, [flow(play.node)], agents, rules=rules) as home:
        run = await home.ended(await home.start(given="x"))
        assert denied not in agents.asked
        refused = [
            body
            for body in home.gateway.entries("decision")
            if body["decision"]["effect"] == "deny"
        ]
        assert {body["tool"]["name"] for body in refused} == {f"agents.{denied}"}
        assert all(body["decision"]["rules"] == ["not-this"] for body in refused)
        if (play.name, denied) not in GOES_ON:
            assert run.result == "denied"
            assert "not-this" in run.detail
            at = run.detail.rpartition("(at ")[2].removesuffix(")")
            assert home.hop.runs.steps(run.id)[at].tool == f"agents.{denied}"
