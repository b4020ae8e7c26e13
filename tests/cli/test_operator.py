"""`passavant operator`: the first one offline, every other one through an administrator."""

import json
import stat
from pathlib import Path

import pytest

from gateway.operator.credentials import Operators
from tests.cli.deployment import Deployment, passavant

ADMIN = ("--role", "administrator")


def kinds(desk: Deployment, query: str) -> list[dict[str, object]]:
    return [entry["body"] for entry in desk.read("audit", "search", query)["entries"]]


# -- the first ---------------------------------------------------------------------------------


def test_the_first_is_made_where_nothing_runs_and_its_key_is_printed_once(
    deployment: Deployment,
) -> None:
    made = deployment.run("operator", "invite", "ana", *ADMIN, "--role", "approver")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert key.startswith("pvo_")
    held = Operators.open(deployment.home / "keys" / "operators.json")
    assert held.check(key, 0).roles == {"administrator", "approver"}
    assert key not in (deployment.home / "keys" / "operators.json").read_text()
    assert key not in made.stderr


def test_a_key_goes_into_a_private_file_when_that_is_asked_for(deployment: Deployment) -> None:
    out = deployment.folder / "ana.key"
    made = deployment.run("operator", "invite", "ana", *ADMIN, "--out", out)
    assert (made.exit_code, made.stdout) == (0, "")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text().startswith("pvo_")


@pytest.mark.parametrize(
    ("args", "code", "complaint"),
    [
        pytest.param(["ana", "--role", "approver"], 1, "operator.first", id="no-administrator"),
        pytest.param(["ana"], 2, "--role", id="no-role"),
        pytest.param(["ana", "--role", "root"], 2, "no such role: root", id="unknown-role"),
        pytest.param(["ana", *ADMIN, "--ttl", "90d"], 2, "does not expire", id="expiring"),
        pytest.param(["ana", *ADMIN, "--ttl", "soon"], 2, "no duration", id="no-duration"),
        pytest.param(["agent:clerk", *ADMIN], 1, "auth.name", id="an-agents-name"),
        pytest.param(["änä", *ADMIN], 1, "auth.name", id="a-name-that-could-look-like-another"),
        pytest.param(["ana", *ADMIN, "--group", "a b"], 1, "auth.name", id="group-with-a-space"),
    ],
)
def test_who_cannot_be_the_first_is_refused_and_nothing_is_written(
    args: list[str], code: int, complaint: str, deployment: Deployment
) -> None:
    ran = deployment.run("operator", "invite", *args)
    assert ran.exit_code == code
    assert complaint in ran.stderr
    assert ran.stdout == ""
    assert not (deployment.home / "keys" / "operators.json").exists()


def test_there_is_only_one_first(deployment: Deployment) -> None:
    deployment.with_operator()
    before = (deployment.home / "keys" / "operators.json").read_bytes()
    ran = deployment.run("operator", "invite", "eve", *ADMIN)
    assert ran.exit_code == 1
    assert "operator.exists" in ran.stderr
    assert (deployment.home / "keys" / "operators.json").read_bytes() == before


def test_a_file_that_is_there_is_not_written_over_and_no_key_is_lost(
    deployment: Deployment,
) -> None:
    out = deployment.folder / "taken"
    out.write_text("kept")
    ran = deployment.run("operator", "invite", "ana", *ADMIN, "--out", out)
    assert ran.exit_code == 1
    assert out.read_text() == "kept"
    assert not (deployment.home / "keys" / "operators.json").exists()


def test_while_a_gateway_runs_it_is_asked_instead(deployment: Deployment) -> None:
    with deployment.served():
        ran = deployment.run("operator", "invite", "ana", *ADMIN)
    assert ran.exit_code == 4
    assert "no operator's key" in ran.stderr
    assert not (deployment.home / "keys" / "operators.json").exists()


def test_a_home_that_others_can_read_gets_no_operator(deployment: Deployment) -> None:
    deployment.home.mkdir()
    deployment.home.chmod(0o755)
    ran = deployment.run("operator", "invite", "ana", *ADMIN)
    assert ran.exit_code == 1
    assert "auth.key-file" in ran.stderr


# -- the others --------------------------------------------------------------------------------


def test_an_invited_operator_can_act_in_that_role_alone_until_removed(
    desk: Deployment, tmp_path: Path
) -> None:
    key = tmp_path / "vera.key"
    invited = desk.run(
        "operator", "invite", "vera", "--role", "viewer", "--group", "finance", "--out", key
    )
    assert (invited.exit_code, invited.stdout) == (0, "")
    as_vera = ("--key-file", key)
    assert desk.read("whoami", *as_vera) == {"name": "vera", "roles": ["viewer"]}
    refused = desk.run("operator", "invite", "eve", *ADMIN, *as_vera)
    assert refused.exit_code == 3
    assert "operator.role" in refused.stderr

    assert desk.run("operator", "remove", "vera").exit_code == 0
    assert desk.run("whoami", *as_vera).exit_code == 4
    assert "vera" not in {row["name"] for row in desk.read("operator", "list")}

    (removed,) = [b for b in kinds(desk, "kind:operator.removed") if b["operator"] == "vera"]
    (entry,) = [b for b in kinds(desk, "kind:operator.invited") if b["operator"] == "vera"]
    assert (removed["operator"], removed["by"]) == ("vera", "operator:ana")
    assert (entry["operator"], entry["roles"], entry["groups"]) == ("vera", ["viewer"], ["finance"])
    assert "pvo_" not in json.dumps([entry, removed])


def test_a_new_key_ends_the_one_before(desk: Deployment, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for out in (old, new):
        invite = desk.run("operator", "invite", "otto", "--role", "author", "--out", out)
        assert invite.exit_code == 0
    assert desk.run("whoami", "--key-file", old).exit_code == 4
    assert desk.run("whoami", "--key-file", new).exit_code == 0


def test_a_key_may_have_an_end(desk: Deployment) -> None:
    desk.run("operator", "invite", "tom", "--role", "viewer", "--ttl", "90d")
    (row,) = [row for row in desk.read("operator", "list") if row["name"] == "tom"]
    assert row["expires"] > 90 * 86_400
    assert "Z" in desk.run("operator", "list").stdout


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        pytest.param(["remove", "ana"], "operator.last", id="remove-the-last-administrator"),
        pytest.param(
            ["invite", "ana", "--role", "viewer"], "operator.last", id="demote-the-last-one"
        ),
        pytest.param(["remove", "nobody"], "operator.unknown", id="remove-nobody"),
        pytest.param(["remove", "../tokens/revoke"], "404", id="a-path-for-a-name"),
        pytest.param(["invite", "a b", *ADMIN], "auth.name", id="a-name-with-a-space"),
    ],
)
def test_what_would_lock_everybody_out_or_means_nothing_is_refused(
    args: list[str], complaint: str, desk: Deployment
) -> None:
    ran = desk.run("operator", *args)
    assert ran.exit_code == 1
    assert complaint in ran.stderr
    assert desk.read("whoami")["name"] == "ana"


# -- from elsewhere ----------------------------------------------------------------------------


def test_a_gateway_elsewhere_is_reached_by_its_address_and_a_key_of_its_own(
    desk: Deployment,
) -> None:
    url = json.loads((desk.home / "address.json").read_text())["operators"]
    key = desk.home / "operator.key"
    ran = passavant("whoami", "--url", f"http://{url}", "--key-file", key, "--json")
    assert json.loads(ran.stdout)["name"] == "ana"


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        pytest.param(["--url", "http://127.0.0.1:1"], 2, "--key-file", id="no-key"),
        pytest.param(
            ["--url", "http://gw.example", "--key-file", "KEY"], 2, "https", id="key-in-the-clear"
        ),
        pytest.param(["--url", "gw.example", "--key-file", "KEY"], 2, "https", id="no-scheme"),
        pytest.param(
            ["--url", "http://127.0.0.1:1", "--key-file", "KEY"], 1, "not answer", id="nobody-there"
        ),
        pytest.param(["--home", "elsewhere"], 1, "no gateway is running", id="no-such-home"),
        pytest.param(["--key-file", "elsewhere"], 1, "no gateway is running", id="nothing-runs"),
    ],
)
def test_a_command_that_reaches_no_gateway_says_so(
    options: list[str], code: int, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "KEY").write_text("pvo_x")
    (tmp_path / "KEY").chmod(0o600)
    ran = passavant("whoami", *options)
    assert (ran.exit_code, ran.stdout) == (code, "")
    assert complaint in ran.stderr


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_not_used(
    mode: int, desk: Deployment, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_bytes((desk.home / "operator.key").read_bytes())
    key.chmod(mode)
    ran = desk.run("whoami", "--key-file", key)
    assert ran.exit_code == 4
    assert "open to others" in ran.stderr


def test_a_code_for_a_browser_is_printed_alone(desk: Deployment) -> None:
    ran = desk.run("operator", "code")
    assert ran.exit_code == 0
    assert len(ran.stdout.strip()) == 11
    assert "/login" in ran.stderr
    assert ran.stdout.strip() not in str(kinds(desk, "kind:operator.code"))
