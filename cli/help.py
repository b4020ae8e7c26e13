"""`passavant help`: what a stable code means, and what to do about it.

The texts stand in `codes.txt` beside this file: a line with one or more codes, then one indented
paragraph.
"""

from functools import cache
from importlib.resources import files
from textwrap import fill
from typing import Annotated

import typer

from cli.errors import Exit, stop
from policies.finding import nearest

app = typer.Typer()

GENERIC = ("limit:", "user:", "lint.", "condition.", "policy.unknown-")
"""Beginnings that stand for every code with them, where that has no text of its own."""


@app.command("help")
def help_on(
    code: Annotated[str | None, typer.Argument(help="As it stood in an answer or entry.")] = None,
) -> None:
    """Explain a code that the gateway answered with; without one, list them all."""
    if code is None:
        typer.echo("\n".join(sorted(texts())))
        return
    text = explanation(code)
    if text is None:
        near = nearest(code, texts())
        stop(f"there is no such code{f'; {near}' if near else ''}", Exit.USAGE)
    typer.echo(fill(text, 100))


def explanation(code: str) -> str | None:
    """The paragraph on a code; None when there is no such code."""
    known = texts()
    return known.get(code) or next(
        (known[start] for start in GENERIC if code.startswith(start) and start in known), None
    )


@cache
def texts() -> dict[str, str]:
    """Every paragraph, by its code."""
    found: dict[str, str] = {}
    codes: list[str] = []
    for line in (files("cli") / "codes.txt").read_text("utf-8").splitlines():
        if not line:
            codes = []
        elif line.startswith(" "):
            found |= {code: f"{found.get(code, '')} {line.strip()}".strip() for code in codes}
        else:
            codes = line.split()
    return found
