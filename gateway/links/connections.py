"""Connections: which person lets which agent use which server with their own account there.

That there is one is an entry first and folded from the log; the tokens that came with it are in a
file of their own, encrypted (AES-256-GCM), under the connection's id. A file whose connection was
withdrawn is worth nothing, however it comes back.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.canonical import Json
from gateway.identity import private_files
from gateway.identity.errors import KeyFileRefused

GIVEN, WITHDRAWN = "connection.given", "connection.withdrawn"

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Between:
    """A person, the agent that acts for them, and the server."""

    user: str
    agent: str
    server: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a connection is used with.

    until  second from which the access token is not used any more
    """

    access: str | None = field(repr=False)
    until: int
    refresh: str | None = field(repr=False)


class Connections:
    """The connections that stand; a room of the state.

    changed  keys whose row is no longer as last stored
    """

    def __init__(self) -> None:
        self._ids: dict[Between, str] = {}
        self.changed: set[str] = set()

    def find(self, between: Between) -> str | None:
        """Its id; None when there is none."""
        return self._ids.get(between)

    def all(self) -> Iterator[tuple[Between, str]]:
        """Every connection, with its id."""
        return iter(tuple(self._ids.items()))

    def given(self, body: Mapping[str, Json]) -> None:
        """Entry `connection.given`; an earlier one between the same is over."""
        between = _between(body)
        self._ids[between] = str(body["connection"])
        self.changed.add(_key(between))

    def withdrawn(self, body: Mapping[str, Json]) -> None:
        """Entry `connection.withdrawn`."""
        between = _between(body)
        self._ids.pop(between, None)
        self.changed.add(_key(between))

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one connection; None when it is over."""
        between = Between(*json.loads(key))
        found = self._ids.get(between)
        return None if found is None else {"connection": found}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._ids[Between(*json.loads(key))] = cast("str", row["connection"])


class ConnectionFiles:
    """The tokens of connections, a file each.

    key  32 bytes, kept apart from the folder
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._cipher = AESGCM(key)

    async def write(self, connection: str, tokens: Tokens) -> None:
        """Keep them. Raises OSError or KeyFileRefused."""
        plain = json.dumps([tokens.access, tokens.until, tokens.refresh]).encode()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, plain, connection.encode())
        await asyncio.to_thread(self._write, connection, sealed)

    async def read(self, connection: str) -> Tokens | None:
        """The tokens of a connection; None when there are none that can be read."""
        try:
            sealed = await asyncio.to_thread(private_files.read, self._path(connection))
            nonce, cipher = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            plain = self._cipher.decrypt(nonce, cipher, connection.encode())
        except (KeyFileRefused, InvalidTag, ValueError):
            return None
        access, until, refresh = json.loads(plain)
        return Tokens(access, until, refresh)

    async def remove(self, connection: str) -> None:
        """Delete them. Raises OSError."""
        await asyncio.to_thread(self._path(connection).unlink, missing_ok=True)

    def _write(self, connection: str, sealed: bytes) -> None:
        private_files.folder(self._folder)
        private_files.replace(self._path(connection), sealed)

    def _path(self, connection: str) -> Path:
        return self._folder / f"{connection}.connection"


def entry(between: Between, connection: str, **more: Json) -> dict[str, Json]:
    """The members of an entry of either kind."""
    return {
        "actor": {"agent": between.agent, "sub": between.user, "chain": []},
        "server": between.server,
        "connection": connection,
        **more,
    }


def _between(body: Mapping[str, Json]) -> Between:
    actor = cast("Mapping[str, str]", body["actor"])
    return Between(actor["sub"], actor["agent"], str(body["server"]))


def _key(between: Between) -> str:
    return json.dumps([between.user, between.agent, between.server])
