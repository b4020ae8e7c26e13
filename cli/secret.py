"""Handing over a secret: shown once, or written to one new private file."""

from pathlib import Path

import typer

from cli.errors import stop
from gateway.identity import private_files


def check_out(out: Path | None) -> None:
    """End the command before a secret is made that could then not be written."""
    if out is not None and (out.exists() or out.is_symlink()):
        stop(f"{out} exists: name a new file")
    if out is not None and not out.parent.is_dir():
        stop(f"{out.parent} is no folder")


def hand_over(secret: str, out: Path | None) -> None:
    """Print a secret, or write it to `out`, checked before, and print nothing."""
    if out is None:
        typer.echo(secret)
        return
    try:
        private_files.create(out, f"{secret}\n".encode())
    except OSError as error:
        stop(f"{out}: {error.strerror}; make another secret")
