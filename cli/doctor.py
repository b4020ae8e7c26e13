"""`passavant doctor`: looks whether a deployment could start, and whether its home is whole.

It changes nothing, and may run beside the gateway. Each look is one line: `ok`, `NO` with what is
wrong, or `-` where there is nothing to look at yet.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import Exit, stop
from cli.looks import look
from cli.options import AsJson
from cli.output import as_json
from gateway.deployment import load
from gateway.errors import GatewayError
from policies.inert import inert

app = typer.Typer()


@app.command()
def doctor(
    config: Annotated[
        Path, typer.Option("--config", exists=True, dir_okay=False, help="passavant.yaml")
    ] = Path("passavant.yaml"),
    json: AsJson = False,
) -> None:
    """Look whether a deployment could start, and whether its home is whole. Changes nothing."""
    try:
        settings = load(config)
    except GatewayError as error:
        stop(str(error))
    found = list(look(settings))
    if json:
        as_json([asdict(each) for each in found])
    else:
        for each in found:
            typer.echo(inert(f"{each.outcome:<3} {each.at:<10} {each.text}"))
    if any(each.outcome == "NO" for each in found):
        raise typer.Exit(Exit.FAILED)
