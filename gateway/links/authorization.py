"""Authorizations: what a request to one server over HTTP is sent with, by which it knows us.

Asked for each request, since a credential can be changed, and can be one for whom the call is made.
The caller's own credential is never among what goes to a server.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.links.link import Caller


class Authorization(Protocol):
    """The value of the `Authorization` header of requests to one server.

    per_caller  whether callers have credentials of their own there: then nothing that the server
                keeps between requests may be shared by them
    """

    per_caller: bool

    async def value(self, caller: Caller | None) -> str:
        """The header's value for a call of `caller`; None: for a request of the gateway itself.

        Raises GatewayError when there is none; then nothing may be sent.
        """

    def refused(self, value: str) -> None:
        """The server answered 401 to it: the next request needs another one, if there is one."""


class Bearer:
    """One token for everything, kept where a reference leads to.

    token  reads it; asked again after a server refused it, since it may have been replaced
    """

    per_caller = False

    def __init__(self, token: Callable[[], Awaitable[str]]) -> None:
        self._token = token
        self._value: str | None = None

    async def value(self, caller: Caller | None) -> str:
        """The same for every caller."""
        del caller
        if self._value is None:
            self._value = f"Bearer {await self._token()}"
        return self._value

    def refused(self, value: str) -> None:
        """Read it anew before the next request."""
        if value == self._value:
            self._value = None
