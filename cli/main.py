"""`passavant`: the operator's command line."""

import gc
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

NOUNS = {
    "dev": "cli.dev",
    "serve": "cli.serve",
    "worker": "cli.worker",
    "init": "cli.init",
    "doctor": "cli.doctor",
    "call": "cli.call",
    "connect": "cli.connect",
    "whoami": "cli.whoami",
    "operator": "cli.operator",
    "agent": "cli.agent",
    "token": "cli.token",
    "policy": "cli.policy",
    "approval": "cli.approval",
    "session": "cli.session",
    "trigger": "cli.trigger",
    "run": "cli.run",
    "flow": "cli.flow",
    "server": "cli.server",
    "audit": "cli.audit",
    "key": "cli.key",
    "stop": "cli.stop",
    "go": "cli.go",
    "help": "cli.help",
}
"""Every command, or noun with commands, and the module whose `app` it is."""


class Nouns(TyperGroup):
    """Loads a command when it is used: `serve` starts without the demonstration's client."""

    def list_commands(self, ctx: object) -> list[str]:
        """Every name, in the order of the table."""
        del ctx
        return list(NOUNS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """The command of that name."""
        del ctx
        if cmd_name not in NOUNS:
            return None
        gc.disable()  # what is being loaded stays: collecting it takes a sixth of the time
        try:
            command = get_command(import_module(NOUNS[cmd_name]).app)
        finally:
            gc.enable()
        command.name = cmd_name
        assert isinstance(command, TyperCommand | TyperGroup)
        return command


app = typer.Typer(
    name="passavant",
    cls=Nouns,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("passavant"))
        raise typer.Exit


@app.callback()
def program(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
) -> None:
    """A gateway that lets every action of an AI agent pass by a reviewed rule, on the record."""


def main() -> None:
    """Run one command."""
    app()


if __name__ == "__main__":
    main()
