"""`passavant connect`, as a desktop client starts it: a program with two pipes."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.deployment import Deployment

ENDS_S = 30.0
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "editor", "version": "1"},
    },
}


def arguments(desk: Deployment, *more: str) -> list[str]:
    return ["-m", "cli.main", "connect", "--home", str(desk.home), "--agent", "clerk", *more]


def spoken(desk: Deployment, *lines: object, more: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Say lines, then end the input: the exit code and what was said on either stream."""
    said = b"".join(
        (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in lines
    )
    ran = subprocess.run(
        [sys.executable, *arguments(desk, *more)],
        input=said,
        capture_output=True,
        timeout=ENDS_S,
        check=False,
    )
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


def told(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.split("\n") if line]


def test_it_ends_with_its_input_and_ends_its_session(desk: Deployment) -> None:
    before = {each["id"] for each in desk.read("session", "list")}
    code, out, err = spoken(desk, INITIALIZE)
    assert (code, err) == (0, "")
    [answer] = told(out)
    assert answer["result"]["serverInfo"]["name"] == "passavant"
    [opened] = [each for each in desk.read("session", "list") if each["id"] not in before]
    assert (opened["agent"], opened["ended"]) == ("clerk", True)


def test_what_was_asked_before_the_end_is_answered(desk: Deployment) -> None:
    ping = {"jsonrpc": "2.0", "id": "p", "method": "ping"}
    code, out, _ = spoken(desk, INITIALIZE, ping)
    assert code == 0
    assert [each["id"] for each in told(out)] == [1, "p"]


def test_no_token_is_said_or_shown(desk: Deployment) -> None:
    ask = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    _, out, err = spoken(desk, INITIALIZE, ask, b"{", {"jsonrpc": "2.0", "id": 3, "method": "x"})
    assert not re.search(r"eyJ[A-Za-z0-9_-]{10}", out + err)
    assert "operator_" not in out + err


def test_lines_that_are_no_messages_are_answered_as_such_and_nothing_ends(
    desk: Deployment,
) -> None:
    huge = b'"' + b"x" * (5 << 20)
    ping = {"jsonrpc": "2.0", "id": "after", "method": "ping"}
    answer = {"jsonrpc": "2.0", "id": 9, "result": {}}
    _, out, _ = spoken(desk, INITIALIZE, b"", b"{", b"\xff\xfe", huge, answer, b"[]", ping)
    [first, *rest, last] = told(out)
    assert (first["id"], last["id"], last["result"]) == (1, "after", {})
    assert [each["error"]["code"] for each in rest] == [-32700, -32700, -32700, -32600]
    assert all(each["id"] is None for each in rest)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        pytest.param(("--agent", "nobody"), "operator.unknown", id="no-such-agent"),
        pytest.param(("--tools", "pay"), "auth.scope", id="no-tools"),
        pytest.param(("--for", "bo"), "operator.user", id="for-somebody-who-did-not-say-so"),
    ],
)
def test_who_may_not_is_told_at_once_and_nothing_is_answered(
    more: tuple[str, ...], complaint: str, desk: Deployment
) -> None:
    code, out, err = spoken(desk, INITIALIZE, more=more)
    assert code != 0
    assert out == ""
    assert complaint in err


def test_without_a_gateway_it_ends_at_once(deployment: Deployment) -> None:
    deployment.with_operator()
    code, out, err = spoken(deployment, INITIALIZE)
    assert (code, out) == (1, "")
    assert "no gateway is running" in err


def test_one_server_is_shown_under_its_own_names(desk: Deployment) -> None:
    ask = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    _, out, _ = spoken(desk, INITIALIZE, ask, more=("--server", "desk"))
    names = {tool["name"] for tool in told(out)[1]["result"]["tools"]}
    assert names == {"say", "pay"}
