"""`passavant flow`: flow files before they run."""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import Exit, stop
from console.drawing import outline, svg
from console.flows.picture import picture
from orchestration.errors import FlowInvalid
from orchestration.files import load_flows

app = typer.Typer(no_args_is_help=True, help="Flow files before they run.")


@app.callback()
def flow() -> None:
    """Flow files before they run; `passavant run` is about what they do."""


@app.command()
def draw(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A flow file.")],
    *,
    as_svg: Annotated[bool, typer.Option("--svg", help="One SVG image instead of lines.")] = False,
) -> None:
    """Print the picture of a flow; `policy check --flow` says what it would run into."""
    try:
        (found,) = load_flows([file])
    except FlowInvalid as error:
        stop(str(error), Exit.FAILED)
    block = picture(found.flow)
    if as_svg:
        typer.echo(svg(block, f"The flow {found.name}"))
        return
    for line in outline(block):
        typer.echo(line)
