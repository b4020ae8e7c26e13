"""`passavant init`, `doctor` and `help`: a deployment to start from, and what is wrong with one."""

import ast
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from cli.help import explanation, texts
from gateway.deployment import NOT_YET, load
from policies.source import Source
from tests.cli.deployment import PORTAL, Deployment, passavant

ROOT = Path(__file__).parents[2]

# -- init --------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Path:
    assert passavant("init", tmp_path / "gateway").exit_code == 0
    return tmp_path / "gateway"


def test_what_is_made_is_a_deployment_that_loads(made: Path) -> None:
    settings = load(made / "passavant.yaml")
    assert settings.policy == [str(made / "policy" / "main.policy.yaml")]
    assert not settings.insecure_unsandboxed_stdio


@pytest.mark.parametrize(
    "name", ["passavant.yaml", "policy/main.policy.yaml", "policy/main.policy.test.yaml"]
)
def test_each_file_names_the_schema_that_it_keeps_to(name: str, made: Path) -> None:
    path = made / name
    first = path.read_text().splitlines()[0]
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    content: Any = Source.read(name, path.read_bytes()).value
    jsonschema_rs.validate(json.loads(schema.read_text()), content)


@pytest.mark.parametrize("name", ["agent", "flow", "homee", "insecure"])
def test_the_schema_refuses_what_the_loader_refuses(name: str, made: Path) -> None:
    schema = json.loads((made / "schema" / "passavant.schema.json").read_text())
    content: Any = Source.read("x", (made / "passavant.yaml").read_bytes()).value
    assert jsonschema_rs.is_valid(schema, content)
    assert not jsonschema_rs.is_valid(schema, {**content, name: {}})


def test_nothing_is_written_over(made: Path) -> None:
    (made / "policy" / "main.policy.yaml").write_text("mine")
    (made / "passavant.yaml").unlink()
    ran = passavant("init", made)
    assert ran.exit_code == 1
    assert "main.policy.yaml" in ran.stderr
    assert (made / "policy" / "main.policy.yaml").read_text() == "mine"
    assert not (made / "passavant.yaml").exists()


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = passavant("init", tmp_path / "file")
    assert ran.exit_code == 1
    assert ran.exception is None or isinstance(ran.exception, SystemExit)


# -- doctor ------------------------------------------------------------------------------------


def looked(deployment: Deployment) -> tuple[int, dict[str, tuple[str, str]]]:
    ran = passavant("doctor", "--config", deployment.config, "--json")
    rows = json.loads(ran.stdout)
    return ran.exit_code, {row["at"]: (row["outcome"], row["text"]) for row in rows}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_a_new_deployment_lacks_only_its_operator_and_is_not_touched(
    deployment: Deployment,
) -> None:
    before = files(deployment.folder)
    code, found = looked(deployment)
    assert code == 1
    assert [at for at, (outcome, _) in found.items() if outcome == "NO"] == ["operators"]
    assert files(deployment.folder) == before


def test_a_deployment_that_runs_is_whole(desk: Deployment) -> None:
    code, found = looked(desk)
    assert code == 0, found
    assert found["gateway"] == ("ok", "runs")
    assert found["log"][0] == found["clock"][0] == found["home"][0] == "ok"
    assert "ana" in found["operators"][1]


def loosen(deployment: Deployment) -> None:
    (deployment.home / "keys" / "operators.json").chmod(0o644)


def misspell(deployment: Deployment) -> None:
    deployment.policy.write_text(
        deployment.policy.read_text().replace("effect: ask", "effect: aks")
    )


def forge(deployment: Deployment) -> None:
    for bundle in (deployment.home / "tiles" / "tile" / "entries").rglob("*"):
        if bundle.is_file():
            bundle.write_bytes(bundle.read_bytes().replace(b'"start"', b'"stopp"'))


def rename(deployment: Deployment) -> None:
    text = deployment.config.read_text()
    deployment.config.write_text(text.replace("desk.example/log", "other.example/log"))


def lose_a_secret(deployment: Deployment) -> None:
    text = deployment.config.read_text()
    deployment.config.write_text(text.replace(str(PORTAL), "file:/nowhere"))


@pytest.mark.parametrize(
    ("harm", "at", "complaint"),
    [
        pytest.param(loosen, "home", "open to others", id="a-loose-key"),
        pytest.param(misspell, "policy", "did you mean 'ask'", id="a-broken-policy"),
        pytest.param(forge, "log", "tile/", id="a-forged-log"),
        pytest.param(rename, "log", "audit.origin", id="another-origin"),
        pytest.param(lose_a_secret, "clients", "credential.missing", id="a-missing-secret"),
    ],
)
def test_what_is_wrong_is_named(
    harm: Callable[[Deployment], None], at: str, complaint: str, deployment: Deployment
) -> None:
    with deployment.with_operator().served():
        pass
    harm(deployment)
    code, found = looked(deployment)
    assert code == 1
    assert found[at][0] == "NO"
    assert complaint in found[at][1]


def test_a_deployment_that_does_not_load_ends_the_look(deployment: Deployment) -> None:
    deployment.config.write_text("kind: Gateway\n")
    ran = passavant("doctor", "--config", deployment.config)
    assert ran.exit_code == 1
    assert "apiVersion" in ran.stderr


# -- help --------------------------------------------------------------------------------------

PREFIXES = (
    "agent|approval|args|audit|auth|catalogue|condition|credential|lint|limit|oauth|operator|policy"
    "|request|sandbox|server|session|settings|state|tool|upstream|user"
)
CODE = re.compile(rf"(?:{PREFIXES})[.:][a-z][a-z_-]*[a-z]|audit_unavailable|epoch_unknown|internal")
FILES = {"state.db", "state.key"}


def constants(tree: ast.AST) -> Iterator[str]:
    """Texts that look like a code, without those that only diagnostics use."""
    logged = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"log", "_log"}
        for argument in node.args
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in logged
        ):
            yield node.value


def codes() -> Iterator[str]:
    for package in ("audit", "policies", "gateway", "orchestration"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from filter(CODE.fullmatch, constants(ast.parse(path.read_text())))


def kinds() -> set[str]:
    """Kinds of entries, which `docs/entries.md` explains."""
    lines = (ROOT / "docs" / "entries.md").read_text().splitlines()
    return {
        kind for line in lines if line.startswith("| `") for kind in re.findall(r"`([^`]+)`", line)
    }


def test_every_code_that_the_packages_define_is_explained() -> None:
    known = kinds() | FILES | set(NOT_YET)
    assert {code for code in codes() if explanation(code) is None} - known == set()


def test_a_code_is_explained_in_one_paragraph() -> None:
    ran = passavant("help", "audit_unavailable")
    assert ran.exit_code == 0
    assert "disk" in ran.stdout
    assert "" not in ran.stdout.rstrip("\n").split("\n")


@pytest.mark.parametrize("code", ["limit:pays", "user:ana", "lint.quorum", "policy.unknown-role"])
def test_a_family_of_codes_has_one_explanation(code: str) -> None:
    assert passavant("help", code).exit_code == 0


def test_without_a_code_all_are_listed() -> None:
    assert passavant("help").stdout.split() == sorted(texts())


@pytest.mark.parametrize("code", ["policy.denyed", "\x1b[2J", ""])
def test_what_is_no_code_is_wrong_usage(code: str) -> None:
    ran = passavant("help", code)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "\x1b" not in ran.stderr


def test_no_explanation_is_empty_or_told_twice() -> None:
    assert all(len(text) > 20 for text in texts().values())
    assert os.linesep not in "".join(texts().values())
