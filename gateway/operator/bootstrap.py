"""The first operator: made on the machine itself, before any gateway runs that could be asked.

Whoever can write the home may do this and could do worse; it only works while nobody holds a key,
so it is no second way in. The next entry `start` names who it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit.files import OsFiles
from gateway.home import Home
from gateway.identity import private_files
from gateway.operator.credentials import Operator, Operators
from gateway.operator.errors import OperatorRefused


def invite_first(home: Home, operator: Operator, random: bytes) -> str:
    """Give the first operator a key, made of `KEY_BYTES` random bytes, and return it.

    Raises OperatorRefused: `operator.running`, `operator.exists`, `operator.first`; NameInvalid;
    KeyFileRefused.
    """
    if not operator.may("administrator"):
        raise OperatorRefused(
            "operator.first", "the first operator must be an administrator, who can invite others"
        )
    with _alone(home.log):
        operators = Operators.open(home.operators)
        if operators.all():
            raise OperatorRefused(
                "operator.exists", "there are operators: start the gateway, and let one invite"
            )
        return operators.add(operator, random)


def is_running(home: Path) -> bool:
    """Tell whether a gateway runs with this home."""
    folder = home / "log"
    if not folder.is_dir():
        return False
    try:
        with _alone(folder):
            return False
    except OperatorRefused:
        return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock that a running gateway holds."""
    private_files.folder(folder)
    files = OsFiles()
    try:
        lock = files.lock(folder)
    except BlockingIOError:
        raise OperatorRefused("operator.running", "a gateway runs with this home") from None
    try:
        yield
    finally:
        files.close(lock)
