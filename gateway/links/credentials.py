"""Credentials for upstreams: kept as references, resolved when a connection is made.

A reference is `env:NAME` or `file:PATH`. What was resolved is remembered only so that it can be
masked wherever a server repeats it.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from gateway.errors import CredentialMissing

REFERENCE = r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+"

Reference = Annotated[str, StringConstraints(pattern=f"^(?:{REFERENCE})$", max_length=4096)]

_MAX_BYTES = 16 << 10
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Credentials:
    """Resolves references.

    environ  the process's environment, as it was read at start
    folder   what relative paths are relative to
    learned  told of every secret, so that it can be kept out of diagnostics too
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        folder: Path,
        learned: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._environ = environ
        self._folder = folder
        self._learned = learned
        self._known: set[str] = set()

    @property
    def known(self) -> frozenset[str]:
        """Every secret resolved so far, for masking; never to be shown."""
        return frozenset(self._known)

    def resolve(self, reference: str) -> str:
        """The secret behind a reference, read anew each time, so that it can be changed.

        Raises CredentialMissing when there is none, or it is not one line of printable ASCII.
        """
        kind, _, place = reference.partition(":")
        value = self._environ.get(place) if kind == "env" else self._read(place)
        if value is None:
            raise CredentialMissing(f"{reference}: nothing there")
        if not _VALUE.fullmatch(value):
            raise CredentialMissing(f"{reference}: not one line of printable ASCII")
        if value not in self._known:
            self._known.add(value)
            self._learned(value)
        return value

    def _read(self, place: str) -> str | None:
        try:
            with (self._folder / place).open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except OSError:
            return None
        text = raw.decode("latin-1") if len(raw) <= _MAX_BYTES else ""
        return text.removesuffix("\n").removesuffix("\r")
