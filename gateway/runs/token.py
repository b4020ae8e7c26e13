"""The token of a worker: short-lived, had from the gateway that it works for, and renewed in time.

The worker proves to be its agent as any client does (`gateway.links.oauth_client`): by a secret or
by a key, each behind a reference. What it gets gives it no right but to be heard as a worker.
"""

import asyncio
from collections.abc import Callable

from gateway.errors import FetchFailed, GatewayError
from gateway.links.oauth_client import OAuthClient

_FRESH_S = 30
_FORM = {"grant_type": "client_credentials"}


class WorkerToken:
    """The present token of one worker.

    clock  seconds that only grow
    """

    def __init__(self, client: OAuthClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def get(self, used: str | None) -> str:
        """A token that is good for a while.

        used  one that was refused: then it is another one

        Raises FetchFailed while there is none.
        """
        async with self._one_at_a_time:
            if self._token == used or self._clock() >= self._until:
                try:
                    granted = await self._client.ask(_FORM)
                except GatewayError as error:  # a key that is away comes back, as does a gateway
                    raise FetchFailed(str(error)) from error
                self._token = granted.token
                self._until = self._clock() + max(1, granted.lifetime_s - _FRESH_S)
            return self._token
