"""Options that commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Home: TypeAlias = Annotated[
    Path, typer.Option("--home", help="Home folder of the gateway.", show_default=True)
]
Url: TypeAlias = Annotated[
    str | None, typer.Option("--url", help="Operators' address of a gateway elsewhere.")
]
KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        dir_okay=False,
        help="File (0600) with your operator's key; operator.key in the home unless stated.",
    ),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option("--out", dir_okay=False, help="Write it to this new file (0600), not to you."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT_HOME = Path(".passavant")
