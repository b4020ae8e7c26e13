"""`passavant stop`, `go`, `agent suspend` and `agent resume`."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.cli.deployment import SECRET, Deployment, Served

WHY = ("--reason", "it pays strangers")


@pytest.fixture
def stoppable(desk: Deployment) -> Iterator[Deployment]:
    """The deployment that others use too: whatever a test has stopped goes on afterwards."""
    yield desk
    desk.run("go", *WHY)
    for kind, name in (
        ("agent", "clerk"),
        ("user", "bo"),
        ("server", "desk"),
        ("tool", "desk.say"),
    ):
        desk.run("go", f"--{kind}", name, *WHY)


def says(desk: Deployment) -> str | None:
    """The code that a call by the clerk for bo is answered with."""
    url = json.loads((desk.home / "address.json").read_bytes())["agents"]
    form = {"grant_type": "client_credentials", "agent": "clerk", "user": "bo"}
    with httpx.Client(base_url=f"http://{url}", trust_env=False) as http:
        issued = http.post("/oauth/token", data=form, auth=("portal", SECRET)).json()
        headers = {"authorization": f"Bearer {issued['access_token']}"}
        told = http.post("/v1/tools/desk/say", json={"text": "hello"}, headers=headers).json()
    code: str | None = (told.get("_meta") or {}).get("passavant/code", told.get("code"))
    return code


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (("--agent", "clerk"), "agent clerk is suspended"),
        (("--user", "bo"), "user bo is suspended"),
        (("--server", "desk"), "server desk is suspended"),
        (("--tool", "desk.say"), "tool desk.say is suspended"),
        (("--all",), "everything is stopped"),
    ],
)
def test_what_is_stopped_stays_so_until_go(
    stoppable: Deployment, named: tuple[str, ...], said: str
) -> None:
    stopped = stoppable.run("stop", *named, *WHY)
    assert (stopped.exit_code, stopped.stderr.strip()) == (0, said)
    assert says(stoppable) is not None
    assert stoppable.run("go", *named, *WHY).exit_code == 0
    assert says(stoppable) is None


def test_an_agent_is_suspended_and_resumed_by_its_noun(stoppable: Deployment) -> None:
    assert stoppable.run("agent", "suspend", "clerk", *WHY).exit_code == 0
    assert stoppable.read("agent", "list")[0]["suspended"] is True
    assert stoppable.run("agent", "resume", "clerk", *WHY).exit_code == 0
    assert stoppable.read("agent", "list")[0]["suspended"] is False


def test_going_on_with_one_says_that_everything_is_still_stopped(stoppable: Deployment) -> None:
    stoppable.run("stop", "--all", *WHY)
    stoppable.run("stop", "--agent", "clerk", *WHY)
    went = stoppable.run("go", "--agent", "clerk", *WHY)
    assert "everything is still stopped" in went.stderr


def test_a_session_is_ended_for_good(stoppable: Deployment) -> None:
    issued = stoppable.read("token", "issue", "--agent", "clerk")
    assert stoppable.run("stop", "--session", issued["session"]).exit_code == 0
    shown = stoppable.read("session", "show", issued["session"])
    assert shown["ended"] is True


@pytest.mark.parametrize(
    "args",
    [
        pytest.param((), id="nothing"),
        pytest.param(WHY, id="a-reason-alone"),
        pytest.param(("--agent", "clerk"), id="no-reason"),
        pytest.param(("--all",), id="everything-without-reason"),
        pytest.param(("--agent", "clerk", "--reason", ""), id="empty-reason"),
        pytest.param(("--agent", "clerk", "--user", "ana", *WHY), id="two-things"),
        pytest.param(("--agent", "clerk", "--all", *WHY), id="one-and-everything"),
        pytest.param(("--agent", "", *WHY), id="no-name"),
        pytest.param(("--session", "x", *WHY), id="a-session-with-reason"),
    ],
)
def test_a_stop_that_is_not_clear_is_refused(served: Served, args: tuple[str, ...]) -> None:
    desk = served.deployment
    assert desk.run("stop", *args).exit_code == 2
    assert says(desk) is None


@pytest.mark.parametrize(
    "args",
    [
        pytest.param((), id="no-reason"),
        pytest.param(("--agent", "clerk", "--user", "ana", *WHY), id="two-things"),
        pytest.param(("--agent", "clerk", "--all", *WHY), id="one-and-everything"),
    ],
)
def test_a_go_that_is_not_clear_is_refused(desk: Deployment, args: tuple[str, ...]) -> None:
    assert desk.run("go", *args).exit_code == 2


@pytest.mark.parametrize(
    "args",
    [
        ("stop", "--agent", "clrk"),
        ("stop", "--server", "dsk"),
        ("stop", "--tool", "desk.sai"),
        ("go", "--agent", "clerk"),
        ("agent", "suspend", "clrk"),
    ],
)
def test_a_name_that_means_nothing_is_told(desk: Deployment, args: tuple[str, ...]) -> None:
    ran = desk.run(*args, *WHY)
    assert ran.exit_code == 1
    assert "operator.unknown" in ran.output
