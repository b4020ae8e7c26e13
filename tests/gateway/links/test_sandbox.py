"""Threat 60: what a local server can see."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import SandboxMissing, SettingsInvalid
from gateway.links.sandbox import WORKSPACES, Confinement, Sandbox, find_bubblewrap

PATH = "/usr/local/bin:/usr/bin:/bin"
NOTHING = Confinement()
BUBBLEWRAP = find_bubblewrap(os.environ.get("PATH", PATH))

needs_bubblewrap = pytest.mark.skipif(
    BUBBLEWRAP is None, reason="there is no bubblewrap here that works"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    (home / "keys" / "log.pem").write_text("private key")
    (home / WORKSPACES / "repo").mkdir(parents=True)
    return home


def wrapped(home: Path, what: Confinement, *argv: str, cwd: Path | None = None) -> tuple[str, ...]:
    return Sandbox(Path("/usr/bin/bwrap"), home).confine("s", argv, what, cwd=cwd, path=PATH)


# -- deciding -------------------------------------------------------------------------------


def test_without_bubblewrap_nothing_is_started(home: Path) -> None:
    sandbox = Sandbox(None, home)
    with pytest.raises(SandboxMissing, match="NOT confined"):
        sandbox.confine("s", ("sh",), NOTHING, cwd=None, path=PATH)


def test_without_bubblewrap_but_waived_the_program_is_started_as_it_is(home: Path) -> None:
    sandbox = Sandbox(None, home, allow_unsandboxed=True)
    argv = sandbox.confine("s", ("sh", "-c", "; id"), NOTHING, cwd=None, path=PATH)
    assert argv == (shutil.which("sh", path=PATH), "-c", "; id")
    assert "NOT confined" in sandbox.statement


def test_with_bubblewrap_a_waiver_changes_nothing(home: Path) -> None:
    for waived in (True, False):
        sandbox = Sandbox(Path("/usr/bin/bwrap"), home, allow_unsandboxed=waived)
        argv = sandbox.confine("s", ("sh",), NOTHING, cwd=None, path=PATH)
        assert argv[0] == "/usr/bin/bwrap"
        assert "NOT" not in sandbox.statement


@pytest.mark.parametrize("argv", [("no-such-program",), ("/no/such/program",), ("",)])
def test_a_program_that_does_not_exist_is_said_at_once(argv: tuple[str], home: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"servers\.s"):
        wrapped(home, NOTHING, *argv)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("{home}", id="home"),
        pytest.param("{home}/keys", id="keys"),
        pytest.param("{home}/keys/log.pem", id="one-key"),
        pytest.param("{home}/..", id="above"),
        pytest.param("/", id="all"),
        pytest.param("{home}/workspaces/../keys", id="dots"),
        pytest.param("{home}/workspacesX", id="look-alike"),
        pytest.param("{link}", id="symbolic-link"),
        pytest.param("relative", id="relative"),
    ],
)
@pytest.mark.parametrize("how", ["read", "write", "cwd"])
def test_no_path_may_show_the_home(place: str, how: str, home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    path = Path(place.format(home=home, link=link))
    what = {
        "read": Confinement(read=(path,)),
        "write": Confinement(write=(path,)),
        "cwd": NOTHING,
    }[how]
    with pytest.raises(SettingsInvalid):
        wrapped(home, what, "sh", cwd=path if how == "cwd" else None)


def test_a_workspace_below_the_home_may_be_given(home: Path) -> None:
    repo = home / WORKSPACES / "repo"
    argv = wrapped(home, Confinement(write=(repo,)), "sh", cwd=repo)
    at = argv.index("--bind")
    assert argv[at + 1 : at + 3] == (str(repo), str(repo))


def test_there_is_no_network_unless_it_is_asked_for(home: Path) -> None:
    assert "--share-net" not in wrapped(home, NOTHING, "sh")
    assert "--share-net" in wrapped(home, Confinement(network=True), "sh")
    assert "--unshare-all" in wrapped(home, Confinement(network=True), "sh")


def test_the_command_follows_a_separator(home: Path) -> None:
    argv = wrapped(home, NOTHING, "sh", "--bind", "/", "/")
    at = argv.index("--")
    assert argv[at + 1 :] == (shutil.which("sh", path=PATH), "--bind", "/", "/")


def test_a_python_environment_is_shown_whole_and_nothing_beside_it(
    home: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "project" / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("home = /opt/python/bin\nversion = 3\n")
    program = environment / "bin" / "server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    argv = wrapped(home, NOTHING, str(program))
    bound = {argv[n + 1] for n, part in enumerate(argv) if part == "--ro-bind"}
    assert {str(environment), "/opt/python"} <= bound
    assert str(tmp_path / "project") not in bound


def test_there_is_no_bubblewrap_where_there_is_none(tmp_path: Path) -> None:
    assert find_bubblewrap(str(tmp_path)) is None


@pytest.mark.parametrize("script", ["exit 1", "exec sleep 600", "kill -9 $$"])
def test_a_bubblewrap_that_cannot_confine_is_none(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.links.sandbox._TRIAL_S", 0.5)
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    assert find_bubblewrap(f"{tmp_path}:{PATH}") is None


def test_a_bubblewrap_that_could_not_confine_is_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    path = f"{tmp_path}:{PATH}"
    assert find_bubblewrap(path) is None
    program.write_text("#!/bin/sh\nexit 0\n")
    assert find_bubblewrap(path) == program


# -- inside ---------------------------------------------------------------------------------


def run_inside(home: Path, what: Confinement, *argv: str) -> subprocess.CompletedProcess[str]:
    command = Sandbox(BUBBLEWRAP, home).confine("s", argv, what, cwd=None, path=PATH)
    return subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": PATH})


@needs_bubblewrap
def test_a_server_sees_neither_the_home_nor_other_files(home: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("private")
    for place in (home / "keys" / "log.pem", home, tmp_path / "other", Path("/etc/passwd")):
        ran = run_inside(home, NOTHING, "cat", str(place))
        assert ran.returncode != 0
        assert "No such file" in ran.stderr


@needs_bubblewrap
def test_a_server_reads_and_writes_only_what_it_was_given(home: Path, tmp_path: Path) -> None:
    for name in ("read", "write"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    what = Confinement(read=(tmp_path / "read",), write=(tmp_path / "write",))
    assert run_inside(home, what, "cat", str(tmp_path / "read" / "file")).stdout == "read"
    assert run_inside(home, what, "touch", str(tmp_path / "read" / "new")).returncode != 0
    assert run_inside(home, what, "touch", str(tmp_path / "write" / "new")).returncode == 0
    assert run_inside(home, what, "touch", "/usr/new").returncode != 0
    assert (tmp_path / "write" / "new").exists()


@needs_bubblewrap
def test_a_server_sees_no_other_process_and_no_network(home: Path) -> None:
    script = (
        "import os,socket\n"
        "print([p for p in os.listdir('/proc') if p.isdecimal() and int(p) > 3])\n"
        "print([name for _, name in socket.if_nameindex()])\n"
    )
    ran = run_inside(home, NOTHING, sys.executable, "-I", "-S", "-c", script)
    assert ran.stdout.splitlines() == ["[]", "['lo']"], ran.stderr
