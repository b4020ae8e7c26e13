"""`passavant flow`: the picture of a file, without a gateway."""

from pathlib import Path

import pytest

from tests.cli.deployment import passavant

FLOW = """\
apiVersion: passavant/v1
kind: Flow
name: job
flow:
  sequential:
    - parallel: [web, papers]
    - approve: {by: editors, question: "Publish \\e[31m this?"}
"""


def test_a_flow_is_drawn_as_lines(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(FLOW)
    ran = passavant("flow", "draw", file)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.splitlines() == [
        "parallel  8 at a time",
        "  web  agent",
        "  papers  agent",
        "Publish \\u{1b}[31m this?  asks editors",
    ]


def test_a_flow_is_drawn_as_an_image(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(FLOW)
    ran = passavant("flow", "draw", file, "--svg")
    assert ran.exit_code == 0
    assert ran.stdout.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "\x1b" not in ran.stdout


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(FLOW.replace("parallel", "paralel"), ":6:", id="kind"),
        pytest.param("flow: [", "1:", id="no-yaml"),
        pytest.param("", "job.yaml", id="empty"),
    ],
)
def test_what_is_no_flow_is_refused_by_its_place(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text)
    ran = passavant("flow", "draw", file)
    assert ran.exit_code == 1
    assert why in ran.stderr
    assert ran.stdout == ""


def test_a_file_that_is_not_there_is_a_wrong_use(tmp_path: Path) -> None:
    assert passavant("flow", "draw", tmp_path / "nothing").exit_code == 2
