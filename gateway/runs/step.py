"""Steps: what a run wants done."""

from audit.canonical import Json
from audit.value import value_type


@value_type
class Step:
    """One thing that a run wants done.

    grant    the path at which that was given in whose name it is done
    path     its own place in the run: the same place is the same step
    until_s  when the run's time is up, seconds since 1970: no answer of people, or of an agent over
             A2A, is waited for longer
    refers   bytes from which on what it gives is kept, and referred to; None: it never is
    opens    whether references in its arguments are to be what they stand for
    """

    run: str
    grant: str
    path: str
    server: str
    tool: str
    args: dict[str, Json]
    until_s: int
    refers: int | None = None
    opens: bool = True
