"""`passavant dev`, and the demonstration that it plays: it ends well only if everything held."""

import asyncio
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli.demo.child import Child
from cli.demo.play import Play, Unexpected, perform
from cli.demo.workspace import Workspace
from tests.cli.deployment import READY_S, passavant

ROOT = Path(__file__).parents[2]
CALLS = re.compile(r"^  (passavant call .*)$", re.MULTILINE)


def command(home: Path) -> list[str]:
    return [sys.executable, "-m", "cli.main", "dev", "--home", str(home), "--port", "0"]


@contextmanager
def developed(home: Path) -> Iterator[str]:
    """Run `passavant dev`; yields what it said when it was ready."""
    said = home.with_name("dev.log")
    with (
        said.open("wb") as sink,
        subprocess.Popen(command(home), stdout=sink, stderr=sink) as process,
    ):
        deadline = time.monotonic() + READY_S
        while "Stop with Ctrl-C." not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.02)  # it tells nobody but its reader
        try:
            yield said.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(READY_S)
    assert code == 0, said.read_text()


def test_the_three_calls_that_it_prints_do_what_it_says(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with developed(home) as said:
        commands = [shlex.split(line)[1:] for line in CALLS.findall(said)]
        assert [passavant(*command).exit_code for command in commands] == [0, 5, 3]
        (waiting,) = re.findall(r"passavant (approval list --home \S+)", said)
        assert "ledger.pay" in passavant(*waiting.split()).stdout
        # In a process of its own: it says how diagnostics are written from now on.
        again = subprocess.run(command(home), capture_output=True, text=True, check=False)
        assert again.returncode == 1
        assert "audit.log-locked" in again.stderr
    assert not (home / "address.json").exists()


def test_the_code_that_it_prints_logs_one_browser_in(tmp_path: Path) -> None:
    with developed(tmp_path / "home") as said:
        (found,) = re.findall(r"^  browser +(\S+)/login +with the code (\S+),", said, re.MULTILINE)
        url, code = found
        with httpx.Client(base_url=url, headers={"origin": url}, trust_env=False) as browser:
            assert browser.post("/login", data={"code": code}).status_code == 303
            assert "You are logged in" in browser.get("/login").text
            assert browser.post("/login", data={"code": code}).status_code == 401


def test_without_its_key_it_says_what_is_missing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    key = passavant("operator", "invite", "ana", "--role", "administrator", "--home", home)
    assert key.exit_code == 0
    ran = passavant("dev", "--home", home, "--port", "0")
    assert ran.exit_code == 1
    assert "operator.exists" in ran.stderr


# -- the demonstration -------------------------------------------------------------------------


def test_the_demonstration_holds_and_prints_what_the_readme_shows() -> None:
    once = [sys.executable, "-m", "cli.main", "dev", "--once"]
    ran = subprocess.run(once, capture_output=True, text=True, check=False, timeout=150)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    steps = ran.stdout.splitlines()
    assert len(steps) >= 40
    assert all(line.startswith("ok ") for line in steps)
    shown = [
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("ok ")
    ]
    assert len(shown) >= 8
    for line in shown:
        words = line.partition("   (")[0].rstrip()  # what stands in brackets is the README's
        assert _without_counts(words) in map(_without_counts, steps), words


def _without_counts(line: str) -> str:
    """A step without what differs from run to run: how many calls a kill met."""
    return re.sub(r"every one of \d+", "every one of N", line)


def listed(policy: str) -> str:
    return policy.replace(
        "  time.convert_time: ", "  git.git_status: {risk: read, emits: []}\n  time.convert_time: "
    ).replace(
        "tools: [git.git_log, git.git_show]", "tools: [git.git_log, git.git_show, git.git_status]"
    )


def unguarded(policy: str) -> str:
    return (
        re.sub(r"guardrails:.*?\n\n", "", policy, flags=re.DOTALL)
        + "  - {id: resets, roles: [reader], tools: [git.git_reset], effect: allow, why: mutant}\n"
    )


MUTANTS: dict[str, Callable[[str], str]] = {
    "git-reset-is-allowed": unguarded,
    "an-unlisted-tool-is-listed": listed,
    "large-sums-need-nobody": lambda policy: policy.replace(
        "effect: ask\n    approval: one-person", "effect: allow"
    ),
    "small-sums-are-asked-about": lambda policy: policy.replace(
        "amount > 100 &&", "amount > 10 &&"
    ),
    "anybody-is-paid": lambda policy: policy.replace("&& args.to in ['paper', 'coffee']", ""),
    "small-sums-are-denied": lambda policy: policy.replace("amount > 0 &&", "amount > 50 &&"),
    "the-repository-is-closed": lambda policy: policy.replace(
        "under(args.repo_path, '", "under(args.repo_path, '/x"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("mutate", MUTANTS.values(), ids=MUTANTS)
def test_a_policy_that_promises_something_else_fails_the_demonstration(
    mutate: Callable[[str], str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    Workspace(home).prepare()
    path = Workspace(home).policy
    mutant = mutate(path.read_text())
    assert mutant != path.read_text()
    path.write_text(mutant)
    assert passavant("policy", "check", path).exit_code == 0
    with pytest.raises(Unexpected):
        perform(home)


@pytest.mark.long
def test_a_receipt_that_the_log_does_not_hold_fails_the_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Play._crash

    async def forging(self: Play, api: object, address: object) -> None:
        await honest(self, api, address)  # type: ignore[arg-type]  # handed through
        origin, index, _ = self.receipts.kept[-1].split(";")
        self.receipts.kept.append(f"{origin};{index};{'0' * 64}")

    monkeypatch.setattr(Play, "_crash", forging)
    with pytest.raises(Unexpected, match="acknowledged"):
        perform(tmp_path / "home")


@pytest.mark.long
def test_a_gateway_that_is_not_killed_fails_the_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def spares(_self: Child) -> None:
        await asyncio.sleep(0)

    kill = Child.kill
    monkeypatch.setattr(Child, "kill", spares)
    play = Play(Workspace(tmp_path / "home"), Child(tmp_path / "home", tmp_path / "log"))

    async def whole() -> None:
        try:
            await play.run()
        finally:
            await kill(play.child)

    with pytest.raises(Unexpected, match="cut short"):
        asyncio.run(whole())
