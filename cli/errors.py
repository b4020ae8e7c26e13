"""How a command ends: the exit codes of the program, and nothing else.

0 done or allowed · 1 failed · 2 usage · 3 denied, or verification failed · 4 authentication
needed · 5 undecided
"""

from enum import IntEnum
from typing import NoReturn

import typer

from cli.output import say


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DENIED = 3
    AUTHENTICATION = 4
    UNDECIDED = 5


def stop(message: str, code: Exit = Exit.FAILED) -> NoReturn:
    """Say why on standard error, and end the command."""
    say(message)
    raise typer.Exit(code)
