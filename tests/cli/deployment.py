"""A deployment as an operator has it: made by `passavant init`, served by a process of its own."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from cli.main import app
from gateway.identity.secret_hash import SecretHash
from tests.harness.program import Program

READY_S = 60.0
STOP_S = 60.0
SERVER = Path(__file__).with_name("desk_server.py")

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: desk
default: deny
users: {default: unrestricted}
agents:
  clerk: {roles: [clerk], owner: team-office, max_risk: irreversible}
  guest: {roles: [guest], owner: team-office, max_risk: read}
front_ends:
  portal: {users: [bo], agents: [clerk]}
groups:
  people: {members: [ana, operator]}
tools:
  desk.say: {risk: read, emits: [untrusted]}
  desk.pay: {risk: irreversible, emits: []}
approvals:
  one-person: {from: people, quorum: 1, expires: 30m, self: allowed}
rules:
  - {id: says, why: It only talks., roles: [clerk], tools: [desk.say], effect: allow}
  - id: pays
    why: Small sums need nobody's time.
    roles: [clerk]
    tools: [desk.pay]
    effect: allow
    when: "args.amount > 0 && args.amount <= 100"
  - id: pays-more
    why: Above 100 a person decides.
    roles: [clerk]
    tools: [desk.pay]
    effect: ask
    approval: one-person
    when: "args.amount > 100 && args.amount <= 1000"
"""

SETTINGS = """\
apiVersion: passavant/v1
kind: Gateway
home: home
listen: {{agents: "127.0.0.1:0", operators: "127.0.0.1:0"}}
policy: [desk.policy.yaml]
servers:
  desk: {{command: ["{python}", "{server}"], sandbox: {{read: ["{server}"]}}}}
identity: {{clients: {{portal: {{secret_hash: "{portal}"}}}}}}
audit: {{origin: desk.example/log, checkpoint_every: 100ms, segment_bytes: 1048576, publish: true}}
insecure_unsandboxed_stdio: true
insecure_volatile_log: true
"""

SECRET = "what-the-portal-proves-itself-with"
PORTAL = SecretHash.of(SECRET, bytes(16))


def passavant(*args: str | Path, input: str | None = None) -> Result:  # noqa: A002 - the runner's own name
    """Run one command in this process."""
    return CliRunner().invoke(app, [*map(str, args)], input=input)


@dataclass
class Deployment:
    """Files of one deployment, and commands for it."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "passavant.yaml"

    @property
    def policy(self) -> Path:
        return self.folder / "desk.policy.yaml"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @classmethod
    def write(cls, folder: Path) -> "Deployment":
        """Write the files, and make the first operator."""
        made = cls(folder)
        made.config.write_text(SETTINGS.format(python=sys.executable, server=SERVER, portal=PORTAL))
        made.policy.write_text(POLICY)
        return made

    def with_operator(self, *roles: str) -> "Deployment":
        """Make the first operator, whose key is the home's."""
        given = [
            part for role in roles or ("administrator", "approver") for part in ("--role", role)
        ]
        made = self.run("operator", "invite", "ana", *given, "--out", self.home / "operator.key")
        assert made.exit_code == 0, made.output
        return self

    def run(self, *args: str | Path, input: str | None = None) -> Result:  # noqa: A002 - as above
        """Run one command for this home."""
        return passavant(*args, "--home", self.home, input=input)

    def read(self, *args: str | Path) -> Any:  # noqa: ANN401 - JSON
        """What a command prints with --json."""
        ran = self.run(*args, "--json")
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    def accept(self) -> None:
        """Accept what the desk offers, as soon as it has been reached."""
        deadline = time.monotonic() + READY_S
        while (ran := self.run("server", "review", "desk", "--json")).exit_code != 0:
            assert time.monotonic() < deadline, ran.output
            time.sleep(0.05)  # nothing tells a command when a server is first reached
        digest = json.loads(ran.stdout)["digest"]
        accepted = self.run("server", "accept", "desk", "--digest", digest)
        assert accepted.exit_code == 0, accepted.output

    @contextmanager
    def served(self, *args: str) -> Iterator["Served"]:
        """Run `passavant serve` until the end of the block."""
        said = self.folder / "serve.log"
        said.unlink(missing_ok=True)
        program = Program.start("serve", "--config", self.config, *args, said=said)
        found = Served(self, program, said)
        try:
            found.wait()
            yield found
        finally:
            found.stop()


@dataclass
class Served:
    """A gateway that runs."""

    deployment: Deployment
    program: Program
    said: Path

    @property
    def agents_url(self) -> str:
        return f"http://{self._address('agents')}"

    @property
    def operators_url(self) -> str:
        return f"http://{self._address('operators')}"

    def wait(self) -> None:
        """Until it answers; what it said stands in the failure."""
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            assert self.program.returncode is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; its exit code."""
        self.program.send_signal(number)
        return self.program.wait_s(STOP_S)

    def _is_ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.agents_url}/readyz", trust_env=False)
        except (FileNotFoundError, httpx.HTTPError):
            return False
        return answer.status_code == 200

    def _address(self, of: str) -> str:
        return str(json.loads((self.deployment.home / "address.json").read_text())[of])
