"""Output: data on standard output, talk on standard error; tables for people, JSON for programs.

What comes from agents and tools is hostile text: control characters, terminal codes and characters
that change the direction of writing are shown as escapes, never sent to the terminal.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from policies.inert import inert


def moment(seconds: int) -> str:
    """A time as people read it, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"


def as_json(value: object) -> None:
    """Print one JSON value."""
    typer.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True))


def as_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as aligned columns under their names."""
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max([len(name), *(len(line[i]) for line in cells)]) for i, name in enumerate(columns)]
    for line in [list(columns), *cells]:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def as_lines(text: str, *, indent: str = "") -> None:
    """Print text of several lines, each of them inert."""
    for line in text.split("\n"):
        typer.echo(f"{indent}{inert(line)}")


def as_card(members: Mapping[str, Any]) -> None:
    """Print one object, a member a line, whole."""
    width = max(map(len, members), default=0)
    for name, value in members.items():
        typer.echo(f"{name.ljust(width)}  {_cell(value)}")


def say(text: str) -> None:
    """Talk to the person at the terminal; never mixed into data."""
    typer.echo("\n".join(map(inert, text.split("\n"))), err=True)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return inert(value)
    return inert(json.dumps(value, sort_keys=True, ensure_ascii=False))
