"""Clients: the agents that may ask for tokens, and how each proves who it is.

A client is an agent: its client id is the agent's name. Only an operator registers one, in the
deployment's settings; nothing an agent sends adds or changes a client.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.identity import names
from gateway.identity.applications import Application
from gateway.identity.claims import MAX_HOPS
from gateway.identity.errors import KeyFileRefused, PublicKeyRefused
from gateway.identity.public_keys import MAX_FILE, PublicKey, read_keys
from gateway.identity.scopes import ALL, Scopes
from gateway.identity.secret_hash import SALT_BYTES, SecretHash

_HASH_PREFIX = "$scrypt$"


@dataclass(frozen=True, slots=True)
class Client:
    """One registered agent.

    secret, keys  what it proves itself with; without either it cannot
    application   the program on a person's machine that acts as this agent, if it is one
    """

    agent: str
    secret: SecretHash | None = None
    keys: tuple[PublicKey, ...] = ()
    scopes: Scopes = ALL  # the most it may ask for; policy decides on each call besides
    hops: int = MAX_HOPS  # how many further agents its work may reach, if policy lets it
    application: Application | None = None

    @property
    def id(self) -> str:
        """Its client id."""
        return self.agent if self.application is None else self.application.id

    @property
    def said(self) -> str:
        """The client, as entries name it."""
        return f"{'agent' if self.application is None else 'application'}:{self.id}"


class Clients:
    """Every registered client, by name."""

    def __init__(self, *clients: Client) -> None:
        self._clients = {names.agent(client.agent): client for client in clients}
        # What an unknown name is checked against, so that it takes as long as a known one.
        self._decoy = max(
            (client.secret for client in clients if client.secret is not None),
            key=lambda secret: (secret.log_n, secret.parallel),
            default=SecretHash(14, 1, bytes(SALT_BYTES), bytes(32)),
        )

    @classmethod
    def load(
        cls,
        declared: Mapping[str, str],
        resolve: Callable[[str], str],
        key_files: Mapping[str, Path] | None = None,
        workloads: Iterable[str] = (),
    ) -> Self:
        """The clients that a deployment declares.

        declared   agent -> its secret's hash, or a reference to where that is kept
        resolve    the text that a reference (`file:`, `env:`) stands for
        key_files  agent -> file with its public key or keys
        workloads  agents that a trusted issuer vouches for, some of which may have none of these

        Raises NameInvalid, HashInvalid, KeyFileRefused, and whatever `resolve` does.
        """
        with_secret = (
            Client(agent, SecretHash.parse(_resolved(text, resolve).strip()))
            for agent, text in declared.items()
        )
        with_keys = (
            Client(agent, keys=_read_file(path)) for agent, path in (key_files or {}).items()
        )
        with_neither = (Client(agent) for agent in workloads)
        return cls(*with_neither, *with_secret, *with_keys)

    def get(self, name: str) -> Client | None:
        """The client of that name, which has proven itself some other way."""
        return self._clients.get(name)

    def keys(self, name: str) -> tuple[PublicKey, ...]:
        """The keys of the client of that name; none when there is no such client."""
        client = self._clients.get(name)
        return () if client is None else client.keys

    def verify(self, name: str, secret: str) -> Client | None:
        """The client of that name if the secret is its own; takes as long when there is none.

        Computes for some 40 ms: not to be called where an event loop runs.
        """
        client = self._clients.get(name)
        own = None if client is None else client.secret
        matches = (own or self._decoy).matches(secret)
        return client if own is not None and matches else None


def _read_file(path: Path) -> tuple[PublicKey, ...]:
    try:
        with path.open("rb") as file:
            return read_keys(file.read(MAX_FILE + 1))
    except OSError as error:
        raise KeyFileRefused(f"not readable ({error.strerror})", path=path) from error
    except PublicKeyRefused as error:
        raise KeyFileRefused(str(error), path=path) from error


def _resolved(text: str, resolve: Callable[[str], str]) -> str:
    return text if text.startswith(_HASH_PREFIX) else resolve(text)
