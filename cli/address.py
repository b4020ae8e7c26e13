"""Where a running gateway listens: left in its home for commands on the same machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.errors import stop
from gateway.identity import private_files

ADDRESS_FILE = "address.json"


@dataclass(frozen=True, slots=True)
class Address:
    """`host:port` of both listeners."""

    agents: str
    operators: str

    @classmethod
    def read(cls, home: Path) -> "Address":
        """Read what the gateway of this home wrote at its start, or end the command."""
        try:
            found = json.loads((home / ADDRESS_FILE).read_bytes())
            return cls(str(found["agents"]), str(found["operators"]))
        except (OSError, ValueError, KeyError, TypeError):
            stop(
                f"no gateway is running with home {home}: start `passavant dev` or `serve`, or"
                " pass --home or --url"
            )

    @contextmanager
    def announced(self, home: Path) -> Iterator[None]:
        """Keep the address in the home for as long as the gateway listens there."""
        path = home / ADDRESS_FILE
        private_files.replace(path, json.dumps(asdict(self)).encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
