"""`passavant agent`, `token` and `call`: who calls, with what, and what comes of it."""

import json
import stat
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import pytest

from gateway.identity.secret_hash import SecretHash
from tests.cli.deployment import Deployment, passavant
from tests.cli.desk_server import HOSTILE

CLERK = ("--agent", "clerk")


def issued(desk: Deployment, *args: str) -> str:
    ran = desk.run("token", "issue", *CLERK, *args)
    assert ran.exit_code == 0, ran.output
    return ran.stdout.strip()


# -- agents ------------------------------------------------------------------------------------


def test_agents_are_listed_by_name(desk: Deployment) -> None:
    rows = desk.read("agent", "list")
    assert [row["name"] for row in rows] == ["clerk", "guest"]
    registered = {"name", "owner", "roles", "purpose", "until", "expired"}
    assert set(rows[0]) == registered | {"suspended", "client", "sessions"}
    assert "clerk" in desk.run("agent", "list").stdout


def test_an_agent_is_shown_with_what_rules_say_of_it(desk: Deployment) -> None:
    assert desk.read("agent", "show", "clerk")["tools"] == {
        "desk.pay": "ask? allow?",
        "desk.say": "allow",
    }
    assert desk.read("agent", "show", "guest")["tools"] == {"desk.pay": "deny"}
    assert "ask? allow?" in desk.run("agent", "show", "clerk").stdout


def test_an_agent_that_no_policy_names_is_not_there(desk: Deployment) -> None:
    ran = desk.run("agent", "show", "nobody")
    assert ran.exit_code == 1
    assert "operator.unknown" in ran.stderr


def test_a_secret_is_printed_once_with_the_line_for_the_settings() -> None:
    secret, line = passavant("agent", "secret", "clerk").stdout.splitlines()
    assert line.startswith('clerk: {secret_hash: "$scrypt$')
    kept = SecretHash.parse(line.partition('"')[2].rpartition('"')[0])
    assert kept.matches(secret)
    assert secret not in line


def test_two_secrets_are_never_the_same() -> None:
    made = [json.loads(passavant("agent", "secret", "a", "--json").stdout) for _ in range(2)]
    assert made[0]["secret"] != made[1]["secret"]
    assert made[0]["secret_hash"] != made[1]["secret_hash"]


def test_a_secret_goes_into_a_private_file_when_that_is_asked_for(deployment: Deployment) -> None:
    out = deployment.folder / "secret"
    ran = passavant("agent", "secret", "clerk", "--out", out)
    assert ran.exit_code == 0
    assert out.read_text().strip() not in ran.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = passavant("agent", "secret", "clerk", "--out", out)
    assert (again.exit_code, again.stdout) == (1, "")


@pytest.mark.parametrize("name", ["Clerk", "cl erk", "", "agent:clerk", "clerk\n", "сlerk"])
def test_a_name_that_no_agent_can_have_gets_no_secret(name: str) -> None:
    ran = passavant("agent", "secret", name)
    assert (ran.exit_code, ran.stdout) == (2, "")


# -- tokens ------------------------------------------------------------------------------------


def test_a_token_is_printed_alone_and_says_what_it_is(desk: Deployment) -> None:
    token = issued(desk, "--tools", "desk.say,desk.pay", "--ttl", "60s")
    told = json.loads(passavant("token", "inspect", "-", "--json", input=f"{token}\n").stdout)
    assert told["header"]["typ"] == "at+jwt"
    assert told["claims"]["sub"] == "agent:clerk"
    assert told["claims"]["client_id"] == "clerk"
    assert told["claims"]["exp"] - told["claims"]["iat"] == 60
    assert "agent:clerk" in passavant("token", "inspect", token).stdout


@pytest.mark.parametrize(
    ("args", "code", "complaint"),
    [
        pytest.param(["--agent", "nobody"], 1, "operator.unknown", id="unknown-agent"),
        pytest.param([*CLERK, "--ttl", "soon"], 2, "no duration", id="no-duration"),
        pytest.param([*CLERK, "--tools", "*.pay"], 1, "auth.scope", id="no-tool-pattern"),
        pytest.param([*CLERK, "--session", "none"], 1, "operator.unknown", id="no-such-session"),
        pytest.param([*CLERK, "--for", "ana"], 3, "operator.user", id="a-user-who-shows-nothing"),
        pytest.param(
            [*CLERK, "--for", "ana", "--user-token", "none"], 2, "cannot be read", id="no-file"
        ),
        pytest.param([*CLERK, "--bound-to", "x"], 1, "operator.body", id="no-thumbprint"),
        pytest.param([], 2, "--agent", id="no-agent"),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    args: list[str], code: int, complaint: str, desk: Deployment
) -> None:
    ran = desk.run("token", "issue", *args)
    assert (ran.exit_code, ran.stdout) == (code, "")
    assert complaint in ran.stderr


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="nothing"),
        pytest.param("x", id="one-part"),
        pytest.param("a.b", id="two-parts"),
        pytest.param("a.b.c.d", id="four-parts"),
        pytest.param("!.!.!", id="no-base64"),
        pytest.param("YQ.YQ.YQ", id="no-json"),
        pytest.param("_w._w._w", id="no-text"),
        pytest.param(f"{part([])}.{part({})}.", id="a-list-for-a-header"),
        pytest.param(f"{part({})}.{part('x')}.", id="a-text-for-claims"),
        pytest.param(f"é.{part({})}.x", id="not-ascii"),
        pytest.param(f"{part({})}.{'W' * 40_000}.x", id="deep"),
    ],
)
def test_what_is_no_token_is_said_to_be_none(token: str) -> None:
    ran = passavant("token", "inspect", "--", token)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "no token" in ran.stderr


def test_a_revoked_token_is_refused_at_the_next_call(desk: Deployment) -> None:
    token = issued(desk)
    assert desk.run("token", "revoke", "-", input=token).exit_code == 0
    again = desk.run("token", "revoke", token)
    assert again.exit_code == 4
    assert token not in again.output


def test_a_token_that_is_none_cannot_be_revoked(desk: Deployment) -> None:
    ran = desk.run("token", "revoke", "a.b.c")
    assert ran.exit_code == 4
    assert "auth.invalid" in ran.stderr


# -- calls -------------------------------------------------------------------------------------


def approvals(desk: Deployment) -> Iterator[str]:
    yield from (row["id"] for row in desk.read("approval", "list", "--state", "asked"))


def test_an_allowed_call_is_made_and_recorded_with_the_operator_behind_it(
    desk: Deployment,
) -> None:
    ran = desk.run("call", "desk.pay", "amount=40", *CLERK)
    assert ran.exit_code == 0
    index = ran.stderr.partition("receipt ")[2].split(";")[1]
    outcome = desk.read("audit", "show", index)
    assert outcome["body"]["tool"]["name"] == "desk.pay"
    (token, *_) = desk.read("audit", "search", "kind:token.issue")["entries"]
    assert token["body"]["by"] == "operator:ana"


@pytest.mark.parametrize(
    ("args", "code", "complaint"),
    [
        pytest.param(["desk.pay", "amount=5000"], 3, "Denied", id="denied-by-condition"),
        pytest.param(["desk.pay", "amount=0"], 3, "Denied", id="denied-at-zero"),
        pytest.param(["desk.nothing"], 3, "Denied", id="no-such-tool"),
        pytest.param(["nowhere.pay"], 3, "Denied", id="no-such-server"),
        pytest.param(["desk.pay", 'amount="40"'], 1, "Refused", id="a-text-for-a-number"),
        pytest.param(["desk.pay", "amount=40", "to=x"], 1, "Refused", id="unknown-field"),
        pytest.param(["desk.pay"], 1, "Refused", id="missing-argument"),
    ],
)
def test_a_call_that_is_not_made_says_why_on_standard_output(
    args: list[str], code: int, complaint: str, desk: Deployment
) -> None:
    ran = desk.run("call", *args, *CLERK)
    assert ran.exit_code == code, ran.output
    assert complaint in ran.stdout


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        pytest.param(["pay"], "SERVER.TOOL", id="no-server"),
        pytest.param(["desk."], "SERVER.TOOL", id="no-tool"),
        pytest.param([".pay"], "SERVER.TOOL", id="nameless-server"),
        pytest.param(["desk.pay", "amount"], "KEY=VALUE", id="no-value"),
        pytest.param(["desk.pay", "--args", "{"], "--args", id="no-json"),
        pytest.param(["desk.pay", "--args", "[]"], "object", id="no-object"),
        pytest.param(["desk.pay", "--args", '{"a":1,"a":2}'], "--args", id="a-key-twice"),
        pytest.param(["desk.pay", "--args", '{"a":NaN}'], "--args", id="not-a-number"),
        pytest.param(["desk.pay", "a=1", "--args", "{}"], "not both", id="both-ways"),
    ],
)
def test_a_call_that_is_no_call_reaches_nothing(
    args: list[str], complaint: str, desk: Deployment
) -> None:
    before = desk.read("audit", "search", "kind:token.issue")["entries"][:1]
    ran = desk.run("call", *args, *CLERK)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert complaint in ran.stderr
    assert desk.read("audit", "search", "kind:token.issue")["entries"][:1] == before


def test_of_several_agents_one_must_be_named(desk: Deployment) -> None:
    ran = desk.run("call", "desk.pay", "amount=40")
    assert ran.exit_code == 2
    assert "clerk, guest" in ran.stderr


def test_a_question_is_undecided_until_a_person_answers(desk: Deployment) -> None:
    session = desk.read("token", "issue", *CLERK)["session"]
    pay = ("call", "desk.pay", "amount=400", *CLERK, "--session", session)
    asked = desk.run(*pay)
    assert asked.exit_code == 5
    assert "Approval needed" in asked.stdout
    (request, *_) = approvals(desk)
    assert desk.run("approval", "approve", request, "--reason", "seen").exit_code == 0
    assert desk.run(*pay).exit_code == 0
    assert desk.run(*pay).exit_code == 5, "an approval is used once"


def test_a_denied_question_stays_denied(desk: Deployment) -> None:
    session = desk.read("token", "issue", *CLERK)["session"]
    pay = ("call", "desk.pay", "amount=500", *CLERK, "--session", session)
    assert desk.run(*pay).exit_code == 5
    (request, *_) = approvals(desk)
    assert desk.run("approval", "deny", request).exit_code == 0
    assert desk.run(*pay).exit_code == 3


@pytest.mark.parametrize(("amount", "code"), [("40", 0), ("400", 5), ("4000", 3)])
def test_a_dry_run_only_explains(amount: str, code: int, desk: Deployment) -> None:
    before = desk.read("audit", "search", "kind:decision")["entries"]
    ran = desk.run("call", "desk.pay", f"amount={amount}", *CLERK, "--dry-run")
    assert ran.exit_code == code
    assert "pays" in ran.stdout
    assert desk.read("audit", "search", "kind:decision")["entries"] == before


def test_json_is_the_answer_as_it_came(desk: Deployment) -> None:
    ran = desk.run("call", "desk.say", "text=hi", *CLERK, "--json")
    assert json.loads(ran.stdout)["content"][0]["text"] == HOSTILE
    assert ran.stdout.isascii()
