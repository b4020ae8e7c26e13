"""`passavant policy`: checked and tested from files alone, put into force by digest."""

import json
from pathlib import Path

import pytest

from tests.cli.deployment import POLICY, Deployment, passavant

CLERK = ("--agent", "clerk")


def test_the_policy_of_the_files_is_checked_tested_and_explained_without_a_gateway(
    tmp_path: Path,
) -> None:
    passavant("init", tmp_path)
    policy = tmp_path / "policy" / "main.policy.yaml"
    assert passavant("policy", "check", policy).exit_code == 0
    assert passavant("policy", "test", tmp_path / "policy" / "main.policy.test.yaml").exit_code == 0
    explain = ("policy", "explain", "time.convert_time", *CLERK, "--policy", policy)
    assert "convert-for-a-person" in passavant(*explain).stdout
    matrix = json.loads(passavant("policy", "matrix", "--policy", policy, "--json").stdout)
    assert {row["tool"]: row["agents"]["clerk"] for row in matrix} == {
        "time.convert_time": ["ask"],
        "time.get_current_time": ["allow"],
    }


def test_a_broken_promise_of_a_policy_fails_its_test(tmp_path: Path) -> None:
    passavant("init", tmp_path)
    policy = tmp_path / "policy" / "main.policy.yaml"
    policy.write_text(
        policy.read_text().replace("effect: ask\n    approval: one-person", "effect: allow")
    )
    ran = passavant("policy", "test", tmp_path / "policy" / "main.policy.test.yaml")
    assert ran.exit_code == 1
    assert "expected ask, actual allow" in ran.stdout


def test_findings_come_with_place_and_code_also_as_json(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(POLICY.replace("effect: ask", "effect: aks"))
    ran = passavant("policy", "check", path, "--json")
    assert ran.exit_code == 1
    (found,) = [each for each in json.loads(ran.stdout) if each["severity"] == "error"]
    assert found.keys() == {"code", "severity", "at", "message", "hint"}
    assert found["at"].startswith(f"{path}:")


@pytest.mark.parametrize("args", ["[]", "{", '{"a":1e999}', '{"a":1,"a":2}'])
def test_arguments_that_no_agent_could_send_are_not_explained(args: str, desk: Deployment) -> None:
    ran = desk.run("policy", "explain", "desk.pay", *CLERK, "--args", args)
    assert (ran.exit_code, ran.stdout) == (2, "")


def test_what_is_in_force_explains_a_call(desk: Deployment) -> None:
    told = desk.read("policy", "explain", "desk.pay", *CLERK, "--args", '{"amount": 400}')
    assert "pays-more" in told["text"]
    ran = desk.run("policy", "explain", "desk.pay", *CLERK, "--args", '{"amount": "x"}')
    assert ran.exit_code == 1
    assert "args.invalid" in ran.stderr


def test_a_policy_comes_into_force_by_the_digest_of_what_was_seen(tmp_path: Path) -> None:
    deployment = Deployment.write(tmp_path).with_operator()
    with deployment.served():
        seen = deployment.read("policy", "show")
        assert seen["snapshot"] == seen["proposed"]
        deployment.policy.write_text(POLICY.replace("<= 100", "<= 50").replace("> 100", "> 50"))
        proposed = deployment.read("policy", "show")["proposed"]
        stale = deployment.run("policy", "apply", seen["snapshot"])
        assert (stale.exit_code, "policy.other-digest" in stale.stderr) == (1, True)
        assert deployment.run("policy", "apply", proposed).exit_code == 0
        assert deployment.read("policy", "show")["snapshot"] == proposed
        deployment.policy.write_text("kind: Policy\n")
        broken = deployment.read("policy", "show")
        assert broken["snapshot"] == proposed
        assert broken["proposed"] is None
        assert broken["findings"]
        assert deployment.run("policy", "apply", proposed).exit_code == 1
        assert len(deployment.read("policy", "history")) == 2


def test_a_draft_is_compared_with_what_is_in_force_and_with_past_calls(
    tmp_path: Path, desk: Deployment
) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(POLICY.replace("<= 100", "<= 30").replace("> 100", "> 30"))
    assert desk.run("call", "desk.pay", *CLERK, "amount=40").exit_code == 0
    told = desk.read("policy", "diff", draft)
    assert {each["name"] for each in told["changes"]} == {"pays", "pays-more"}
    ran = desk.run("policy", "replay", draft)
    assert ran.exit_code == 0, ran.stderr
    assert "clerk: desk.pay  allow -> ask" in ran.stdout
    assert desk.read("policy", "diff")["changes"] == []
    draft.write_bytes(b"\xff")
    assert desk.run("policy", "replay", draft).exit_code == 1


def test_a_pack_is_printed_as_a_file_to_keep_and_fits_beside_ones_own(tmp_path: Path) -> None:
    passavant("init", tmp_path)
    printed = passavant("policy", "pack", "guard")
    assert printed.exit_code == 0
    guard = tmp_path / "policy" / "guard.policy.yaml"
    guard.write_text(printed.stdout)
    main = tmp_path / "policy" / "main.policy.yaml"
    people = "groups:\n  guard-approvers: {members: [ana]}"
    main.write_text(
        main.read_text().replace("groups:", people).replace("[reader]", "[guarded, reader]")
    )
    checked = passavant("policy", "check", guard, main)
    assert checked.exit_code == 0, checked.stdout
    assert "guard.policy.yaml" in checked.stdout  # it is named where nothing emits `secret`
    told = json.loads(passavant("policy", "pack", "guard", "--json").stdout)
    assert told == {"pack": "guard", "policy": printed.stdout}


def test_packs_are_listed_and_no_other_is_known() -> None:
    assert passavant("policy", "pack").stdout == "guard\n"
    assert json.loads(passavant("policy", "pack", "--json").stdout) == ["guard"]
    ran = passavant("policy", "pack", "../starter/starter")
    assert (ran.exit_code, ran.stdout) == (2, "")
