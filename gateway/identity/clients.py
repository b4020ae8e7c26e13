"""Clients: the agents that may ask for tokens, and how each proves who it is.

A client is an agent: its client id is the agent's name. Only an operator registers one, in the
deployment's settings; nothing an agent sends adds or changes a client.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from gateway.identity import names
from gateway.identity.scopes import ALL, Scopes
from gateway.identity.secret_hash import SALT_BYTES, SecretHash

_HASH_PREFIX = "$scrypt$"


@dataclass(frozen=True, slots=True)
class Client:
    """One registered agent."""

    agent: str
    secret: SecretHash
    scopes: Scopes = ALL  # the most it may ask for; policy decides on each call besides
    hops: int = 1  # how many further agents its work may reach


class Clients:
    """Every registered client, by name."""

    def __init__(self, *clients: Client) -> None:
        self._clients = {names.agent(client.agent): client for client in clients}
        # What an unknown name is checked against, so that it takes as long as a known one.
        self._decoy = max(
            (client.secret for client in clients),
            key=lambda secret: (secret.log_n, secret.parallel),
            default=SecretHash(14, 1, bytes(SALT_BYTES), bytes(32)),
        )

    @classmethod
    def load(cls, declared: Mapping[str, str], resolve: Callable[[str], str]) -> Self:
        """The clients that a deployment declares.

        declared  agent -> its secret's hash, or a reference to where that is kept
        resolve   the text that a reference (`file:`, `env:`) stands for

        Raises NameInvalid, HashInvalid, and whatever `resolve` does.
        """
        return cls(
            *(
                Client(agent, SecretHash.parse(_resolved(text, resolve).strip()))
                for agent, text in declared.items()
            )
        )

    def verify(self, name: str, secret: str) -> Client | None:
        """The client of that name if the secret is its own; takes as long when there is none.

        Computes for some 40 ms: not to be called where an event loop runs.
        """
        client = self._clients.get(name)
        matches = (self._decoy if client is None else client.secret).matches(secret)
        return client if matches else None


def _resolved(text: str, resolve: Callable[[str], str]) -> str:
    return text if text.startswith(_HASH_PREFIX) else resolve(text)
