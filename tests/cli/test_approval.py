"""`passavant approval` and `session`: what waits for people, and what agents work in."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.deployment import Deployment

CLERK = ("--agent", "clerk")


def test_a_session_is_shown_and_ended(desk: Deployment) -> None:
    session = desk.read("token", "issue", *CLERK)["session"]
    assert desk.read("session", "show", session)["agent"] == "clerk"
    assert desk.run("session", "end", session).exit_code == 0
    ran = desk.run("call", "desk.say", *CLERK, "--session", session)
    assert ran.exit_code == 1
    assert "operator.unknown" in ran.stderr


@pytest.mark.parametrize("verb", [["session", "show"], ["session", "end"], ["approval", "show"]])
def test_what_is_not_there_is_said_to_be_unknown(verb: list[str], desk: Deployment) -> None:
    ran = desk.run(*verb, "none")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ".unknown" in ran.stderr


def asked(desk: Deployment, amount: int, note: str = "") -> str:
    """Id of a new request for approval."""
    args = json.dumps({"amount": amount, "note": note})
    ran = desk.run("call", "desk.pay", *CLERK, "--args", args, "--json")
    assert ran.exit_code == 5, ran.output
    return str(json.loads(ran.stdout)["approval"])


def test_a_request_is_answered_only_as_it_was_shown(desk: Deployment) -> None:
    request = asked(desk, 333)
    ran = desk.run("approval", "approve", request, "--digest", "0" * 64)
    assert ran.exit_code == 3
    assert desk.read("approval", "show", request)["state"] == "asked"
    digest = desk.read("approval", "show", request)["digest"]
    assert desk.run("approval", "approve", request, "--digest", digest).exit_code == 0
    again = desk.run("approval", "deny", request)
    assert again.exit_code == 1
    assert "approval.ended" in again.stderr


def test_an_operator_without_the_role_cannot_decide(desk: Deployment, tmp_path: Path) -> None:
    key = tmp_path / "key"
    desk.run("operator", "invite", "vic", "--role", "viewer", "--out", key)
    ran = desk.run("approval", "approve", asked(desk, 334), "--key-file", key)
    assert ran.exit_code == 3
    assert "operator.role" in ran.stderr


def test_a_request_is_shown_whole_and_no_word_of_it_reaches_the_terminal_raw(
    desk: Deployment,
) -> None:
    note = "paper\nstate     approved\x1b[2K\u202eylno\u2066 \u200b\x07" + "n" * 3000
    ran = desk.run("approval", "show", asked(desk, 335, note))
    assert "n" * 3000 in ran.stdout
    assert len(re.findall(r"^state\s", ran.stdout, re.MULTILINE)) == 1
    assert all(char.isprintable() or char == "\n" for char in ran.stdout)
    assert r"\u{202e}" in ran.stdout


def test_watching_prints_what_waits_until_it_is_stopped(desk: Deployment) -> None:
    request = asked(desk, 336)
    command = [sys.executable, "-m", "cli.main", "approval", "watch", "--home", str(desk.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = iter(process.stdout.readline, "")
        assert any(request in line for line in shown), "it ended"
        process.send_signal(signal.SIGINT)
        assert request not in process.stdout.read()
        assert process.wait(10) == 0
