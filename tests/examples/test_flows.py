"""The example flows, each run for real: by the command line, over one gateway, offline."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml
from typer.testing import Result

from orchestration.files import load_flows
from tests.cli.deployment import passavant

FLOWS = Path(__file__).parents[2] / "examples" / "flows"
FILES = [FLOWS / name for name in yaml.safe_load((FLOWS / "passavant.yaml").read_text())["flows"]]
LONGEST_S = 60.0

Told: TypeAlias = Any
"""JSON."""


class Office:
    """The examples, as somebody has them who started them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *args: str) -> Result:
        return passavant(*args, "--home", self.home)

    def read(self, *args: str) -> Told:
        ran = self.run(*args, "--json")
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    def until(self, find: Callable[[], Told]) -> Told:
        """What is found at last; another process has no event to wait for."""
        deadline = time.monotonic() + LONGEST_S
        while not (found := find()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found

    def start(self, flow: str, given: Told) -> str:
        ran = self.run("run", "start", flow, "--input", json.dumps(given))
        assert ran.exit_code == 0, ran.output
        return str(ran.stdout.strip())

    def rollback(self, run: str) -> Told:
        """What has been taken back of a run, when that is all; else None."""
        ran = self.run("run", "rollback", run, "--show", "--json")
        return json.loads(ran.stdout) if ran.exit_code == 0 else None

    def approve(self, run: str) -> None:
        """Agree to what a run asks for."""

        def waiting() -> Told:
            return self.read("run", "show", run)["waiting"]

        ran = self.run("approval", "approve", self.until(waiting)[0])
        assert ran.exit_code == 0, ran.output

    def output(self, run: str) -> Told:
        """What came out of a run, when it has ended well."""
        watched = self.run("run", "watch", run)
        assert watched.exit_code == 0, watched.output
        return self.read("run", "show", run, "--output")["output"]

    def done(self, flow: str, given: Told) -> Told:
        return self.output(self.start(flow, given))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    home = tmp_path_factory.mktemp("flows") / "home"
    said = home.parent / "said.log"
    command = [sys.executable, str(FLOWS / "play.py"), "--home", str(home), "--port", "0"]
    with said.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    try:
        found = Office(home)

        def is_ready() -> bool:
            assert process.poll() is None, said.read_text()
            with suppress(AssertionError):
                servers = found.read("server", "list") if (home / "address.json").exists() else []
                return bool(servers) and all(each["state"] == "up" for each in servers)
            return False

        found.until(is_ready)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(LONGEST_S)


def test_an_article_is_checked_agreed_to_and_published(office: Office) -> None:
    run = office.start("content-pipeline", {"topic": "tides"})
    office.approve(run)
    assert office.output(run)["published"].startswith("tides are old; tides are blue.")


def test_a_contract_without_risks_needs_nobody(office: Office) -> None:
    found = office.done("contract-review", {"value": 7})
    assert (found["archived"], found["risk"]) == (True, "low")
    assert found["found"] == {"legal": "low", "financial": "low", "compliance": "low"}


def test_a_contract_with_risks_is_a_persons_decision(office: Office) -> None:
    run = office.start("contract-review", {"value": 500_000})
    office.approve(run)
    assert office.output(run)["risk"] == "high"


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("my invoice is wrong", "We look at the invoice of ana."),
        ("it does crash", "The next version mends it."),
        ("good morning", "Thank you, we have noted it."),
    ],
)
def test_a_ticket_finds_who_can_answer_it(office: Office, text: str, reply: str) -> None:
    assert office.done("support-triage", {"from": "ana", "text": text}) == {"reply": reply}


def test_a_ticket_that_nobody_can_answer_comes_to_people(office: Office) -> None:
    run = office.start("support-triage", {"from": "ana", "text": "a crash that lost data"})
    office.approve(run)
    assert office.output(run)["urgent"] is True


def test_a_question_is_answered_by_workers_and_a_model(office: Office) -> None:
    run = office.start("research", "tides")
    assert office.output(run) == "The notes agree with each other."
    steps = office.read("run", "show", run)["steps"]
    models = [step for step in steps if step["tool"] == "model.small"]
    assert len(models) == 2
    assert all(step["agent"] == "analyst" and step["tokens"] > 0 for step in models)
    assert "ledger.list_accounts" in {step["tool"] for step in steps}
    looked = [step["path"] for step in steps if step["tool"] == "agents.papers"]
    assert len(looked) == 2  # what it gave first did not keep its contract
    kept = office.read("audit", "search", "kind:memory.put")["entries"]
    assert len(kept) == 1  # what the other found was passed on by reference


def test_a_refund_is_proposed_checked_and_agreed_to(office: Office) -> None:
    run = office.start("refund", {"payment": 1})
    office.approve(run)
    assert office.output(run)["refunded"] is True


def test_an_open_task_is_planned_and_done(office: Office) -> None:
    found = office.done("open-task", "a calculator")
    assert found == {"task": "a calculator", "done": ["code for a calculator", "passes"]}


def test_a_debate_ends_when_enough_agree(office: Office) -> None:
    assert office.done("debate", "shall we go?") == "go, but slowly"


def test_an_order_that_fails_is_taken_back(office: Office) -> None:
    run = office.start("order", {"amount": 7})
    assert office.run("run", "watch", run).exit_code == 1
    shown = office.read("run", "show", run)
    assert (shown["result"], shown["steps"][0]["status"]) == ("failed", "done")
    taken = office.until(lambda: office.rollback(run))
    assert taken["by"] == f"run:{run}"  # nobody ordered it
    assert [(deed["tool"], deed["state"]) for deed in taken["deeds"]] == [("ledger.pay", "undone")]
    told = office.read("run", "rollback", run, "--dry-run")
    assert told["deeds"] == taken["deeds"]


def test_an_order_above_the_bound_is_never_paid(office: Office) -> None:
    ran = office.run("run", "start", "order", "--input", '{"amount": 700}', "--wait", "--json")
    assert ran.exit_code == 1
    assert json.loads(ran.stdout)["result"] == "denied"


def test_the_books_are_kept_by_the_clock_and_after_each_payment(office: Office) -> None:
    assert {each["name"] for each in office.read("trigger", "list")} == {"nightly", "paid"}
    assert office.done("books", None)["payments"] >= 1
    office.run("run", "watch", office.start("order", {"amount": 9}))

    def kept() -> Told:
        return [run for run in office.read("run", "list") if run["by"] == "trigger:paid"]

    run = office.until(kept)[0]["id"]
    assert office.output(run)["payments"] >= 2


def test_every_example_is_played_here() -> None:
    written = {flow.name for flow in load_flows(FILES)}
    here = Path(__file__).read_text()
    assert {name for name in written if f'"{name}"' in here} == written
    assert {path.name for path in FLOWS.glob("*.yaml")} == {path.name for path in FILES} | {
        "passavant.yaml",
        "office.policy.yaml",
    }


def test_nothing_stands_in_their_way() -> None:
    given = [part for path in FILES for part in ("--flow", path)]
    ran = passavant("policy", "check", FLOWS / "office.policy.yaml", *given)
    assert ran.exit_code == 0, ran.output
    assert "flow." not in ran.stdout


def test_each_file_can_be_drawn() -> None:
    for path in FILES:
        assert passavant("flow", "draw", path).exit_code == 0
