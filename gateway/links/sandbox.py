"""What a local server can see and reach: bubblewrap where it works, else nothing at all is started.

Inside there is the system's software, the server's own program, an empty /tmp, and the paths that
the configuration names. The gateway's home is never among them, nor any other file of the machine,
and there is no network unless it is asked for.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import structlog

from gateway.errors import SandboxMissing, SettingsInvalid

WORKSPACES = "workspaces"
"""The one folder below the home from which a local server may be given paths."""

LAUNCH = (sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")))
"""Becomes the command that follows, given the pid of the process it must not outlive."""

_TRIAL_S = 5.0
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/timezone",
)
_NETWORK_SETTINGS = (
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one server is given beyond the system's software and its own program."""

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    network: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How local servers are confined on this machine.

    bubblewrap         its program; None where there is none that works
    home               the gateway's own folder, which no server sees
    allow_unsandboxed  whether a server may be started without confinement (`dev`, or
                       `insecure_unsandboxed_stdio`)
    """

    bubblewrap: Path | None
    home: Path
    allow_unsandboxed: bool = False

    @property
    def statement(self) -> str:
        """One sentence for whoever starts the gateway."""
        if self.bubblewrap is not None:
            return "Local servers are confined by bubblewrap."
        return (
            "Local servers are NOT confined: they can read every file this user can, the gateway's"
            " keys included. Install bubblewrap, or run the servers as another user."
        )

    def confine(
        self, server: str, argv: tuple[str, ...], what: Confinement, *, cwd: Path | None, path: str
    ) -> tuple[str, ...]:
        """The command that runs `argv` confined; `argv[0]` is looked for in `path`.

        Raises SandboxMissing where that is impossible and not waived, SettingsInvalid when a path
        would show the home or the program does not exist.
        """
        program = shutil.which(argv[0], path=path)
        if program is None:
            raise SettingsInvalid(f"servers.{server}: there is no program {argv[0]!r}")
        for allowed in (*what.read, *what.write, *([] if cwd is None else [cwd])):
            self._check(server, allowed)
        if self.bubblewrap is None:
            if not self.allow_unsandboxed:
                raise SandboxMissing(f"servers.{server}: {self.statement}")
            log.warning("server.unsandboxed", server=server)
            return (program, *argv[1:])
        bound = _arguments(Path(program), what)
        chdir = "/tmp" if cwd is None else str(cwd)  # noqa: S108 - the sandbox's own, empty one
        return (str(self.bubblewrap), *bound, "--chdir", chdir, "--", program, *argv[1:])

    def _check(self, server: str, allowed: Path) -> None:
        """Refuse what contains the home, and what lies in it outside the workspaces."""
        home, real = self.home.resolve(), allowed.resolve()
        if not allowed.is_absolute():
            raise SettingsInvalid(f"servers.{server}: {allowed} is not an absolute path")
        inside = real.is_relative_to(home) and not real.is_relative_to(home / WORKSPACES)
        if inside or home.is_relative_to(real):
            raise SettingsInvalid(f"servers.{server}: {allowed} would show the gateway's home")


def find_bubblewrap(path: str) -> Path | None:
    """The bubblewrap program in `path`, if it can confine anything here: many kernels forbid it."""
    found = shutil.which("bwrap", path=path)
    if found is None:
        return None
    try:
        _try(found, shutil.which("true", path=path) or "/bin/true")
    except (OSError, subprocess.SubprocessError):
        return None
    return Path(found)


@cache  # what was possible once stays so; a failure is not remembered
def _try(bubblewrap: str, program: str) -> None:
    """Confine a program that does nothing. Raises OSError or SubprocessError."""
    trial = [bubblewrap, *_arguments(Path(program), Confinement()), "--", program]
    subprocess.run(
        [*LAUNCH, str(os.getpid()), *trial],
        check=True,
        capture_output=True,
        env={},
        timeout=_TRIAL_S,
    )


def _arguments(program: Path, what: Confinement) -> tuple[str, ...]:
    """Bubblewrap's arguments up to the command. Later binds lie over earlier ones."""
    share = ("--share-net",) if what.network else ()
    settings = _SETTINGS + (_NETWORK_SETTINGS if what.network else ())
    return (
        *("--unshare-all", *share, "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),  # noqa: S108 - a fresh one
        *_system(),
        *(part for place in settings for part in ("--ro-bind-try", place, place)),
        *(part for tree in _program_trees(program) for part in ("--ro-bind", tree, tree)),
        *(part for place in what.read for part in ("--ro-bind", str(place), str(place))),
        *(part for place in what.write for part in ("--bind", str(place), str(place))),
    )


def _system() -> Iterator[str]:
    """Software of the system; /bin and its like are links into /usr on most machines."""
    for place in map(Path, _SYSTEM):
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), str(place))
        elif place.is_dir():
            yield from ("--ro-bind", str(place), str(place))


def _program_trees(program: Path) -> Iterator[str]:
    """Where a program lies that is not the system's: the file, or its Python environment."""
    environment = program.parent.parent
    settings = environment / "pyvenv.cfg"
    if settings.is_file():
        yield str(environment)
        for line in settings.read_text().splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "home" and not _is_system(Path(value.strip())):
                yield str(Path(value.strip()).parent)
    elif not _is_system(program):
        yield str(program)
    real = program.resolve()
    if real != program and not _is_system(real):
        yield str(real)


def _is_system(place: Path) -> bool:
    return any(place.is_relative_to(folder) for folder in _SYSTEM)
