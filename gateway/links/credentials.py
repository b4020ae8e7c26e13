"""Credentials for upstreams: kept as references, resolved when a connection is made.

A reference is `env:NAME`, `file:PATH` or `keyring:SERVICE/NAME` (the keyring of the account that
the gateway runs as, through the library `keyring`, which is an extra). What was resolved is
remembered only so that it can be taken out of whatever others say (`gateway.known_secrets`).
"""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Protocol, cast

from pydantic import StringConstraints

from gateway.errors import CredentialMissing
from gateway.known_secrets import SHORTEST, KnownSecrets

REFERENCE = r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|keyring:[^/]+/.+"

Reference = Annotated[str, StringConstraints(pattern=f"^(?:{REFERENCE})$", max_length=4096)]

_MAX_BYTES = 16 << 10
_KEYRING_S = 10.0  # it may ask a person to unlock it
_LINE = frozenset(map(chr, range(0x20, 0x7F)))
_PEM_BOUNDARY = "-----"


class Keyring(Protocol):
    """What is used of the library `keyring`."""

    def get_password(self, service_name: str, username: str) -> str | None:
        """The secret of that name, or None."""


class Credentials:
    """Resolves references.

    environ  the process's environment, as it was read at start
    folder   what relative paths are relative to
    known    is told of every secret
    keyring  finds the library; raises ImportError where it is not installed
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        folder: Path,
        known: KnownSecrets,
        keyring: Callable[[], Keyring] = lambda: cast(
            "Keyring", importlib.import_module("keyring")
        ),
    ) -> None:
        self._environ = environ
        self._folder = folder
        self._known = known
        self._keyring = keyring
        self._told: set[str] = set()

    def resolve(self, reference: str) -> str:
        """The secret behind a reference, read anew each time, so that it can be changed.

        Raises CredentialMissing when there is none, or it is not one line of printable ASCII.
        """
        return self._line(reference, self._find(reference))

    async def fetch(self, reference: str) -> str:
        """The same, without holding up the event loop while a keyring is asked."""
        return self._line(reference, await self._found(reference))

    async def fetch_text(self, reference: str) -> str:
        """A secret of several lines, a key in PEM for one. Raises CredentialMissing."""
        text = await self._found(reference)
        lines = text.splitlines()
        if not set("".join(lines)) <= _LINE or not any(map(str.strip, lines)):
            raise CredentialMissing(f"{reference}: not printable ASCII")
        for line in (text, *lines):
            if len(line) >= SHORTEST and not line.startswith(_PEM_BOUNDARY):
                self._tell(line)
        return text

    async def _found(self, reference: str) -> str:
        if not reference.startswith("keyring:"):
            return self._find(reference)
        try:
            async with asyncio.timeout(_KEYRING_S):
                return await asyncio.to_thread(self._find, reference)
        except TimeoutError:
            raise CredentialMissing(f"{reference}: the keyring does not answer") from None

    def _find(self, reference: str) -> str:
        kind, _, place = reference.partition(":")
        if kind == "env":
            value = self._environ.get(place)
        elif kind == "keyring":
            value = self._ask_keyring(reference, place)
        else:
            value = self._read(place)
        if value is None:
            raise CredentialMissing(f"{reference}: nothing there")
        return value

    def _line(self, reference: str, value: str) -> str:
        if not value or not set(value) <= _LINE or value != value.strip():
            raise CredentialMissing(f"{reference}: not one line of printable ASCII")
        if len(value) < SHORTEST:
            # It could not be told from ordinary text, so it could not be kept out of results.
            raise CredentialMissing(f"{reference}: shorter than {SHORTEST} characters")
        self._tell(value)
        return value

    def _tell(self, secret: str) -> None:
        if secret not in self._told:
            self._told.add(secret)
            self._known.learn(secret)

    def _ask_keyring(self, reference: str, place: str) -> str | None:
        service, _, name = place.partition("/")
        try:
            library = self._keyring()
        except ImportError:
            raise CredentialMissing(
                f"{reference}: needs the library `keyring` (pip install 'passavant[keyring]')"
            ) from None
        try:
            return library.get_password(service, name)
        except Exception as error:  # noqa: BLE001 - its backends raise what their services raise
            kind = type(error).__name__
            raise CredentialMissing(f"{reference}: the keyring refuses ({kind})") from None

    def _read(self, place: str) -> str | None:
        try:
            with (self._folder / place).open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except OSError:
            return None
        text = raw.decode("latin-1") if len(raw) <= _MAX_BYTES else ""
        return text.removesuffix("\n").removesuffix("\r")
