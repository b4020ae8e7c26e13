"""`passavant serve`: starts whole or not at all, and ends cleanly."""

import os
import re
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from audit.verify import verify_directory
from gateway.home import Home
from tests.cli.deployment import Deployment, Served
from tests.harness.program import Program

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only its kind is looked at


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def started(deployment: Deployment, *args: str) -> Ended:
    """Start a gateway that is expected not to."""
    out, err = (deployment.folder / name for name in ("out", "err"))
    for file in (out, err):
        file.unlink(missing_ok=True)
    command = ["serve", "--config", str(deployment.config), *args]
    code = Program.start(*command, said=out, errors=err).wait_s(60)
    return Ended(code, out.read_text(), err.read_text())


def test_the_address_is_the_accounts_alone_while_it_serves(served: Served) -> None:
    found = (served.deployment.home / "address.json").stat()
    assert stat.S_IMODE(found.st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "interrupt"])
def test_a_signal_ends_it_cleanly(number: signal.Signals, deployment: Deployment) -> None:
    with deployment.with_operator().served() as served:
        assert served.stop(number) == 0
    assert not (deployment.home / "address.json").exists()
    home = Home.existing(deployment.home)
    report = verify_directory(home.tiles, home.verifier_key())
    assert report.ok
    assert report.size is not None
    last = (home.tiles / "tile" / "entries").rglob("*.p/*")
    assert any(b'"kind":"stop"' in path.read_bytes() for path in last)


def test_it_names_those_who_hold_a_key_when_it_starts(desk: Deployment) -> None:
    (start,) = desk.read("audit", "search", "kind:start")["entries"]
    assert start["body"]["operators"] == ["ana"]


def test_a_second_gateway_of_the_same_home_is_refused(served: Served) -> None:
    ran = started(served.deployment)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "audit.log-locked" in ran.stderr
    assert str(served.deployment.home) in ran.stderr
    assert "Traceback" not in ran.stderr
    assert served.deployment.run("whoami").exit_code == 0


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        pytest.param("effect: allow", "effect: alow", "did you mean 'allow'", id="effect"),
        pytest.param("args.amount <= 100", "args.amount <=", "expected|did not", id="condition"),
        pytest.param("args.amount <= 100", "arg.amount <= 100", "did you mean", id="fact"),
        pytest.param("roles: [guest]", "rolls: [guest]", "did you mean 'roles'", id="key"),
        pytest.param("kind: Policy", "kind: &x Policy", "anchor|&", id="anchor"),
    ],
)
def test_a_broken_policy_refuses_the_start_with_its_place(
    before: str, after: str, complaint: str, deployment: Deployment
) -> None:
    text = deployment.policy.read_text()
    deployment.policy.write_text(text.replace(before, after, 1))
    ran = started(deployment)
    assert ran.returncode == 1
    line = text[: text.index(before)].count("\n") + 1
    assert re.search(rf"desk\.policy\.yaml:{line}:\d+: error.*({complaint})", ran.stderr), (
        ran.stderr
    )
    assert "policy.invalid" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("content", [None, "", "\n# nothing\n"], ids=["missing", "empty", "blank"])
def test_without_a_policy_there_is_no_gateway(content: str | None, deployment: Deployment) -> None:
    deployment.policy.unlink()
    if content is not None:
        deployment.policy.write_text(content)
    ran = started(deployment)
    assert ran.returncode == 1
    assert "desk.policy.yaml" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        pytest.param("database: postgresql://x/y", "{line}:11: database", id="database"),
        pytest.param("public_url: http://gw.example", "{line}:13: public_url", id="plain-http"),
        pytest.param("homee: x", "{line}:8: homee", id="misspelt"),
    ],
)
def test_a_refused_setting_names_its_place(
    line: str, complaint: str, deployment: Deployment
) -> None:
    text = deployment.config.read_text()
    deployment.config.write_text(f"{text}{line}\n")
    ran = started(deployment)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert complaint.format(line=len(text.splitlines()) + 1) in ran.stderr


def test_a_setting_that_could_not_be_honoured_is_refused(deployment: Deployment) -> None:
    text = deployment.config.read_text()
    assert "publish: true" in text
    deployment.config.write_text(text.replace("publish: true", "publish: true, quorum: 1"))
    ran = started(deployment)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "audit.quorum: this version cannot honour" in ran.stderr


@pytest.mark.skipif(not IN_MEMORY.is_mount(), reason="nothing in memory is mounted here")
def test_a_log_in_memory_is_refused_unless_it_is_waived(deployment: Deployment) -> None:
    text = deployment.config.read_text().replace("insecure_volatile_log: true\n", "")
    home = IN_MEMORY / f"passavant-{os.getpid()}" / "home"
    deployment.config.write_text(text.replace("home: home", f"home: {home}"))
    ran = started(deployment)
    assert ran.returncode == 1
    assert "insecure_volatile_log" in ran.stderr
    assert not home.exists()


def test_a_home_that_others_can_read_is_refused(deployment: Deployment) -> None:
    deployment.home.mkdir(mode=0o700)
    deployment.home.chmod(0o755)
    ran = started(deployment)
    assert ran.returncode == 1
    assert "auth.key-file" in ran.stderr
    assert "open to others" in ran.stderr


def test_a_key_that_is_none_is_refused(deployment: Deployment) -> None:
    deployment.with_operator()
    (deployment.home / "keys" / "log.pem").write_text("no key")
    (deployment.home / "keys" / "log.pem").chmod(0o600)
    ran = started(deployment)
    assert ran.returncode == 1
    assert "log.pem: not an unencrypted private key" in ran.stderr


def test_an_address_that_is_taken_is_named(served: Served, deployment: Deployment) -> None:
    taken = served.agents_url.removeprefix("http://")
    text = deployment.config.read_text().replace('agents: "127.0.0.1:0"', f'agents: "{taken}"')
    deployment.config.write_text(text)
    ran = started(deployment)
    assert ran.returncode == 1
    assert f"cannot listen on {taken}" in ran.stderr


def test_an_edited_policy_needs_its_digest_named(deployment: Deployment) -> None:
    with deployment.with_operator().served():
        pass
    deployment.policy.write_text(f"{deployment.policy.read_text()}# edited\n")
    ran = started(deployment)
    assert ran.returncode == 1
    assert "policy.not-active" in ran.stderr
    digest = ran.stderr.partition("amount to ")[2].partition(",")[0]
    with deployment.served("--policy-digest", digest):
        assert deployment.read("policy", "show")["snapshot"] == digest


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("desk.example/log/checkpoint", 200),
        ("desk.example/log/tile/entries/000", 404),
        ("other.example/log/checkpoint", 404),
    ],
    ids=["checkpoint", "entries", "another-log"],
)
def test_the_log_is_published_without_its_entries_where_that_is_set(
    path: str, status: int, served: Served
) -> None:
    answer = httpx.get(f"{served.agents_url}/audit/log/{path}", trust_env=False)
    assert answer.status_code == status
    assert (b"desk.example/log\n" in answer.content) is (status == 200)


def test_the_log_is_not_published_where_it_is_not_set(deployment: Deployment) -> None:
    text = deployment.config.read_text()
    deployment.config.write_text(text.replace(", publish: true", ""))
    with deployment.with_operator().served() as served:
        url = f"{served.agents_url}/audit/log/desk.example/log/checkpoint"
        assert httpx.get(url, trust_env=False).status_code == 404


def test_no_number_of_workers_is_offered(deployment: Deployment) -> None:
    assert started(deployment, "--workers", "2").returncode == 2


def test_it_starts_without_the_client_of_the_demonstration() -> None:
    script = "import sys, cli.serve; print([m for m in sys.modules if m.split('.')[0] == 'mcp'])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "[]"
