"""`passavant init`: a deployment to start from, with its first policy and the schemas of both."""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import stop
from cli.output import say
from gateway.settings import Settings
from policies.schema import schemas

app = typer.Typer()

TEMPLATES = {
    "passavant.yaml": "passavant.yaml",
    "policy/main.policy.yaml": "main.policy.yaml",
    "policy/main.policy.test.yaml": "main.policy.test.yaml",
}
PYTHON = "@python@"
"""Stands in a template for the Python that runs this program."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made where it is missing.")],
) -> None:
    """Write a deployment to start from: passavant.yaml, a first policy, its tests, the schemas."""
    made = contents()
    taken = [name for name in made if (folder / name).exists()]
    if taken:
        stop(f"nothing was written: {folder} has {', '.join(taken)}")
    try:
        for name, text in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            typer.echo(str(path))
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}")
    say("Next: passavant doctor --config passavant.yaml; then docs/operating.md, step by step")


def contents() -> dict[str, str]:
    """Every file, by its path below the folder."""
    templates = files("cli") / "template"
    texts = {
        path: (templates / name).read_text("utf-8").replace(PYTHON, sys.executable)
        for path, name in TEMPLATES.items()
    }
    settings = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(by_alias=True),
        "title": "A deployment of Passavant",
    }
    known = {"passavant.schema.json": settings, **schemas()}
    generated = {
        f"schema/{name}": json.dumps(schema, indent=1, sort_keys=True) + "\n"
        for name, schema in known.items()
    }
    return {**texts, **generated}
