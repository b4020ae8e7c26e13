"""Options that commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Home: TypeAlias = Annotated[
    Path, typer.Option("--home", help="Home folder of the gateway.", show_default=True)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT_HOME = Path(".passavant")
