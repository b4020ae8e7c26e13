"""`passavant run`: flows as an operator starts, follows, pauses and stops them."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.deployment import POLICY, Deployment, passavant

FLOW = """\
apiVersion: passavant/v1
kind: Flow
name: job
title: Says something, and asks.
flow:
  sequential:
    - tool: {name: desk.say, args: {text: {from: /text}}}
    - emit: {event: said, data: {from: ""}}
    - approve: {by: editors, question: "Pay for that?"}
    - tool: {name: desk.pay, args: {amount: 7}}
"""
MORE = POLICY.replace("agents:\n", "agents:\n  job: {roles: [clerk]}\n", 1).replace(
    "tools:\n", "tools:\n  approvals.editors: {risk: write, emits: []}\n", 1
)
MORE += """\
  - {id: asks, why: A person pays., agents: [job], tools: [approvals.editors], effect: ask,
     approval: one-person}
"""
WAIT_S = 60.0


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment.write(tmp_path_factory.mktemp("flows"))
    (made.folder / "job.flow.yaml").write_text(FLOW)
    made.config.write_text(f"{made.config.read_text()}flows: [job.flow.yaml]\n")
    made.policy.write_text(MORE)
    made.with_operator()
    with made.served():
        made.accept()
        yield made


def started(flows: Deployment, *args: str) -> str:
    ran = flows.run("run", "start", "job", "--input", '{"text": "hey"}', *args)
    assert ran.exit_code == 0, ran.output
    return ran.stdout.strip()


def asked(flows: Deployment, run: str) -> str:
    """The request that a run waits for."""
    deadline = time.monotonic() + WAIT_S
    while True:
        session = flows.read("run", "show", run)["session"]
        found = [
            row["id"]
            for row in flows.read("approval", "list", "--state", "asked")
            if flows.read("approval", "show", row["id"])["session"] == session
        ]
        if found:
            return str(found[0])
        assert time.monotonic() < deadline
        time.sleep(0.05)  # another process has no event


def test_a_run_is_started_asked_about_and_ends(flows: Deployment) -> None:
    run = started(flows)
    approved = flows.run("approval", "approve", asked(flows, run))
    assert approved.exit_code == 0, approved.output
    watched = flows.run("run", "watch", run)
    assert watched.exit_code == 0
    assert "approvals.editors  done" in watched.stdout
    assert "2:emit  said" in watched.stdout
    assert "2:emit" in flows.run("run", "show", run).stdout
    assert "done" in watched.stderr
    lines = flows.run("run", "watch", run, "--json").stdout.splitlines()
    assert json.loads(lines[-1])["state"] == "ended"
    shown = flows.read("run", "show", run, "--output")
    assert (shown["state"], shown["result"]) == ("ended", "done")
    assert [step["tool"] for step in shown["steps"]] == [
        "desk.say",
        "approvals.editors",
        "desk.pay",
    ]
    assert "\x1b" not in flows.run("run", "show", run, "--output").stdout
    assert flows.read("run", "list")[0]["id"] == run


def test_a_run_that_does_not_end_well_is_a_failure(flows: Deployment) -> None:
    ran = flows.run("run", "start", "job", "--input", "{}", "--wait", "--json")
    assert ran.exit_code == 1
    assert json.loads(ran.stdout)["result"] == "failed"


def test_the_same_start_is_the_same_run(flows: Deployment) -> None:
    first, again = (started(flows, "--key", "order-17") for _ in range(2))
    assert first == again
    assert flows.run("run", "cancel", first).exit_code == 0


def test_a_run_is_paused_resumed_and_cancelled(flows: Deployment) -> None:
    run = started(flows)
    asked(flows, run)
    for command, state in (("pause", "paused"), ("resume", "running"), ("cancel", "stopping")):
        ran = flows.run("run", command, run)
        assert ran.exit_code == 0, ran.output
        assert f"run {run} is {state}" in ran.stderr
    assert flows.run("run", "watch", run).exit_code == 1
    assert flows.read("run", "show", run)["result"] == "cancelled"
    again = flows.run("run", "cancel", run)
    assert (again.exit_code, "run.state" in again.stderr) == (1, True)


def test_flows_are_listed(flows: Deployment) -> None:
    assert "Says something" in flows.run("run", "flows").stdout
    assert set(flows.read("run", "flows")) == {"job"}


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        pytest.param(["start", "nothing"], 1, "run.flow", id="no-such-flow"),
        pytest.param(["start", "job", "--input", "{"], 2, "--input", id="no-json"),
        pytest.param(["start", "job", "--input", '{"a":1,"a":2}'], 2, "--input", id="twice"),
        pytest.param(["start", "job", "--input", "@/no/file"], 2, "--input", id="no-file"),
        pytest.param(["show", "nothing"], 1, "run.unknown", id="no-such-run"),
        pytest.param(["watch", "nothing"], 1, "run.unknown", id="nothing-to-watch"),
        pytest.param(["cancel", "../../tokens"], 1, "", id="path"),
    ],
)
def test_what_cannot_be_done_is_refused(
    flows: Deployment, args: list[str], code: int, why: str
) -> None:
    ran = flows.run("run", *args)
    assert ran.exit_code == code, ran.output
    assert why in ran.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("flow: [", "flow", id="no-yaml"),
        pytest.param(FLOW.replace("sequential", "sequence"), "flow.invalid", id="no-such-kind"),
        pytest.param(FLOW.replace("name: job", "name: Job!"), "3:7", id="name"),
        pytest.param(FLOW + "extra: 1\n", "extra", id="unknown-key"),
        pytest.param(FLOW.replace("desk.pay", "pay"), "flow.invalid", id="no-tool"),
    ],
)
def test_a_gateway_with_a_flow_that_cannot_be_does_not_start(
    tmp_path: Path, text: str, complaint: str
) -> None:
    made = Deployment.write(tmp_path)
    (tmp_path / "job.flow.yaml").write_text(text)
    made.config.write_text(f"{made.config.read_text()}flows: [job.flow.yaml]\n")
    ran = passavant("serve", "--config", made.config)
    assert ran.exit_code == 1
    assert complaint in ran.stderr


def test_a_policy_is_checked_together_with_its_flows(tmp_path: Path) -> None:
    policy, flow = tmp_path / "desk.policy.yaml", tmp_path / "job.flow.yaml"
    policy.write_text(MORE)
    flow.write_text(FLOW)
    ran = passavant("policy", "check", policy, "--flow", flow)
    assert ran.exit_code == 0, ran.output
    flow.write_text(FLOW.replace("desk.pay", "desk.burn"))
    ran = passavant("policy", "check", policy, "--flow", flow)
    assert ran.exit_code == 1
    assert "flow.unknown-tool" in ran.stdout
    flow.write_text("flow: 7")
    assert passavant("policy", "check", policy, "--flow", flow).exit_code == 1


def test_a_gateway_without_flows_does_not_load_what_runs_them() -> None:
    program = (
        "import sys, cli.serve, cli.running, gateway.app;"
        "sys.exit(any(name.split('.')[0] in {'dbos', 'orchestration'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
