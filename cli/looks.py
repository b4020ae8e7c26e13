"""What `passavant doctor` looks at: one function a subject, each of them only reads."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from audit import canonical
from audit.checkpoint import Checkpoint
from audit.entry import MAX_ENTRY_BYTES
from audit.errors import AuditError
from audit.layout import CHECKPOINT, WIDTH, Tile
from audit.published import PublishedFolder
from audit.verify import verify_directory
from gateway.activation import compile_contents, read_stable
from gateway.approval.signed_answers import SignedAnswers
from gateway.catalogue.pins import Lock
from gateway.catalogue.tools import Catalogue
from gateway.errors import GatewayError
from gateway.home import Home
from gateway.identity import private_files
from gateway.identity.clients import Clients
from gateway.identity.errors import KeyFileRefused
from gateway.known_secrets import KnownSecrets
from gateway.links.credentials import Credentials
from gateway.links.sandbox import find_bubblewrap
from gateway.operator.bootstrap import is_running
from gateway.operator.credentials import Operators
from gateway.settings import Settings
from gateway.volatile import is_volatile
from policies.errors import PolicyError

Outcome: TypeAlias = Literal["ok", "NO", "-"]
Found: TypeAlias = tuple[Outcome, str]

MOST_AHEAD_US = 10 * 1_000_000
_MOMENT_S = 0.05
"""What a gateway takes at most, nearly always, to give a new key its own name."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found; `-`: nothing is there to be looked at, or it was waived."""

    at: str
    outcome: Outcome
    text: str


def look(settings: Settings) -> Iterator[Looked]:
    """Look at everything, in the order in which a start would need it."""
    for at, one in _LOOKS.items():
        try:
            outcome, text = one(settings)
        except (GatewayError, PolicyError, AuditError) as error:
            outcome, text = "NO", f"{error.code}: {error}"
        except OSError as error:
            outcome, text = "NO", str(error)
        yield Looked(at, outcome, text)


def _policy(settings: Settings) -> Found:
    catalogue = Catalogue.of(Lock.read(Home(settings.home).lock))
    snapshot = compile_contents(read_stable([*map(Path, settings.policy)]), catalogue)
    rules, warnings = len(snapshot.clauses), len(snapshot.warnings)
    return "ok", f"{rules} rules for {len(snapshot.agents)} agents, {warnings} warnings"


def _clients(settings: Settings) -> Found:
    declared = settings.identity.clients
    if not declared:
        return "-", "no agent can get tokens by itself"
    resolve = Credentials(dict(os.environ), settings.home, KnownSecrets()).resolve
    Clients.load(settings.identity.secret_hashes, resolve, settings.identity.key_files)
    return "ok", f"{len(declared)} agents can get tokens by themselves"


def _servers(settings: Settings) -> Found:
    local = sorted(name for name, spec in settings.servers.items() if spec.command)
    if not local:
        return "-", "no server of this machine is to be confined"
    if find_bubblewrap(os.environ.get("PATH", os.defpath)) is not None:
        return "ok", f"bubblewrap confines {', '.join(local)}"
    waived = settings.insecure_unsandboxed_stdio
    return "-" if waived else "NO", f"nothing here can confine {', '.join(local)}"


def _disk(settings: Settings) -> Found:
    if is_volatile(settings.home):
        waived = settings.insecure_volatile_log
        return "-" if waived else "NO", f"{settings.home} lies in memory"
    return "ok", f"{settings.home} is on a disk"


def _home(settings: Settings) -> Found:
    if not settings.home.exists():
        return "-", "made at the first start, or with the first operator"
    home = Home.existing(settings.home)
    paths = [path for path in (home.path / "keys").rglob("*") if not path.name.startswith(".")]
    for path in paths:
        _look_at_key(path)
    return "ok", f"{len(paths)} files and folders of keys are this account's alone"


def _look_at_key(path: Path) -> None:
    """Raises KeyFileRefused. A gateway at work makes keys, which have two names for a moment, and
    destroys them: what is refused is looked at once more, and what is gone is nobody's.
    """
    try:
        _check_key(path)
    except KeyFileRefused:
        time.sleep(_MOMENT_S)
        if os.path.lexists(path):
            _check_key(path)


def _check_key(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        private_files.folder(path)
    else:
        private_files.read(path)


def _operators(settings: Settings) -> Found:
    held = Operators.open(Home(settings.home).operators).all()
    if not any(each.may("administrator") for each in held):
        return "NO", "no administrator holds a key: passavant operator invite NAME --role ..."
    return "ok", ", ".join(each.name for each in held)


def _log(settings: Settings) -> Found:
    if not (Home(settings.home).tiles / CHECKPOINT).exists():
        return "-", "nothing is published yet"
    home = Home.existing(settings.home)
    report = verify_directory(home.tiles, home.verifier_key(), checks=[SignedAnswers()])
    if not report.ok:
        found = report.findings[0]
        return "NO", f"{found.place}: {found.message} (and {len(report.findings) - 1} more)"
    if report.origin != settings.audit.origin:
        return "NO", f"audit.origin is {settings.audit.origin}, the log is {report.origin}"
    return "ok", f"{report.size} published entries of {report.origin} verify"


def _clock(settings: Settings) -> Found:
    folder = PublishedFolder(Home(settings.home).tiles)
    note = folder.note(CHECKPOINT)
    size = 0 if note is None else Checkpoint.parse(note.partition(b"\n\n")[0].decode() + "\n").size
    if not size:
        return "-", "no entry to compare it with"
    newest = folder.entries(Tile(None, (size - 1) // WIDTH, (size - 1) % WIDTH + 1))
    if not newest:
        return "-", "the newest entries are not there"
    entry = canonical.read(newest[-1], max_bytes=MAX_ENTRY_BYTES)
    made = entry.get("ts") if isinstance(entry, dict) else None
    ahead = (made if isinstance(made, int) else 0) - time.time_ns() // 1000
    if ahead > MOST_AHEAD_US:
        return "NO", f"the last entry is {ahead // 1_000_000} s in the future"
    return "ok", "not before the last entry"


def _gateway(settings: Settings) -> Found:
    return "ok", "runs" if is_running(settings.home) else "does not run"


_LOOKS: dict[str, Callable[[Settings], Found]] = {
    "disk": _disk,
    "home": _home,
    "operators": _operators,
    "policy": _policy,
    "clients": _clients,
    "servers": _servers,
    "log": _log,
    "clock": _clock,
    "gateway": _gateway,
}
