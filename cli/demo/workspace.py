"""What the demonstration governs: a repository with real commits, a clock, and a ledger.

Everything lies below the home's `workspaces/`, the one folder of it that local servers may be
given; the starter policy is written beside, and neither is touched again once it is there.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.errors import stop
from gateway.links.sandbox import WORKSPACES
from gateway.settings import Settings
from policies.starter import starter

AGENT = "clerk"
APPLICATION = "desktop"
OPERATOR = "operator"
LEDGER = Path(__file__).parents[2] / "examples" / "ledger"

_REDIRECTS = [
    f"http://{host}{path}" for host in ("127.0.0.1", "localhost") for path in ("/", "/callback")
]
"""Where desktop clients listen, at whichever port."""

_COMMITS = (
    ("README.md", "# Office\n", "Open the office"),
    ("prices.md", "paper 40\ncoffee 7\n", "Write the prices down"),
    ("prices.md", "paper 40\ncoffee 8\n", "Coffee has become dearer"),
)

_BY_OTHERS, _BY_ONESELF = b"not: [requester]", b"self: allowed"
"""There is one person here, whose agent it is and who decides; the card says so."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of one demonstration."""

    home: Path

    @property
    def repository(self) -> Path:
        """The scratch repository."""
        return self.home / WORKSPACES / "repo"

    @property
    def ledger(self) -> Path:
        """The ledger's SQLite file."""
        return self.home / WORKSPACES / "ledger" / "ledger.db"

    @property
    def policy(self) -> Path:
        """The starter policy."""
        return self.home / "policy" / "starter.policy.yaml"

    def prepare(self) -> None:
        """Make what is missing; ends the command when a program for it is missing."""
        for folder in (self.home, self.home / WORKSPACES, self.ledger.parent, self.policy.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_repository()
        for name, content in starter(str(self.repository), approvers=(OPERATOR,)).items():
            path = self.policy.parent / name
            if not path.exists():
                path.write_bytes(content.replace(_BY_OTHERS, _BY_ONESELF))

    def settings(self, *, agents: str, operators: str) -> Settings:
        """A deployment on loopback, with its two listeners at these addresses."""
        python = sys.executable
        return Settings.model_validate(
            {
                "apiVersion": "passavant/v1",
                "kind": "Gateway",
                "home": self.home,
                "public_url": f"http://{agents}",
                "operators_url": f"http://localhost:{operators.rpartition(':')[2]}",
                "listen": {"agents": agents, "operators": operators},
                "policy": [str(self.policy)],
                "servers": {
                    "git": {
                        "command": [
                            python,
                            "-m",
                            "mcp_server_git",
                            "--repository",
                            str(self.repository),
                        ],
                        "sandbox": {"write": [str(self.repository)], "network": "none"},
                    },
                    "time": {
                        "command": [python, "-m", "mcp_server_time", "--local-timezone", "UTC"],
                        "sandbox": {"network": "none"},
                    },
                    "ledger": {
                        "command": [python, str(LEDGER), "--database", str(self.ledger)],
                        "sandbox": {
                            "read": [str(LEDGER)],
                            "write": [str(self.ledger.parent)],
                            "network": "none",
                        },
                    },
                },
                "identity": {
                    "tokens": {"skew": "1s"},
                    "applications": {APPLICATION: {"agent": AGENT, "redirect_uris": _REDIRECTS}},
                },
                "audit": {"origin": "passavant.localhost/dev", "segment_bytes": 8 << 20},
            }
        )

    def _make_repository(self) -> None:
        if (self.repository / ".git").exists():
            return
        if shutil.which("git") is None:
            stop("the demonstration needs git")
        self._git("init", "--quiet", "--initial-branch=main", str(self.repository), within=False)
        for name, content, message in _COMMITS:
            (self.repository / name).write_text(content)
            self._git("add", name)
            self._git("commit", "--quiet", "--message", message)

    def _git(self, *arguments: str, within: bool = True) -> None:
        place = ["-C", str(self.repository)] if within else []
        identity = ["-c", "user.name=Office", "-c", "user.email=office@localhost"]
        quiet = ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", *place, *identity, *quiet, *arguments], check=True)  # noqa: S607 - git from PATH
