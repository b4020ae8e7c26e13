"""Somebody else's JSON endpoint: an agent over HTTP, a provider of models.

Asked once, through the guard of `gateway.links.fetch`, with a bearer token of ours where there is
one; what comes back is without our secrets before anybody sees it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from audit.canonical import Json
from gateway.errors import (
    AddressRefused,
    CredentialMissing,
    CredentialRefused,
    FetchFailed,
    FetchUnreached,
    LinkDown,
    LinkGarbage,
    LinkLost,
)
from gateway.links.address import Destination
from gateway.links.fetch import Fetcher
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means

ANSWER_S = 55.0
"""Seconds from looking the name up to the last byte; a little less than the gate waits."""

MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Remote:
    """One such endpoint.

    server   what errors call it
    bearer   reference to a token; None: none is sent
    fetcher  asks it
    """

    server: str
    destination: Destination
    bearer: str | None
    fetcher: Fetcher
    means: Means
    masks: Masks

    @classmethod
    def at(
        cls, server: str, destination: Destination, bearer: str | None, means: Means, masks: Masks
    ) -> "Remote":
        """The endpoint at a destination, with the patience that its answers need."""
        fetcher = means.fetcher.patient(timeout_s=ANSWER_S, max_bytes=MOST_BYTES)
        return cls(server, destination, bearer, fetcher, means, masks)

    async def ask(
        self, body: dict[str, Json], headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, dict[str, Json]]:
        """Send one request; HTTP status and members of the answer.

        Raises LinkError, of which only LinkDown says that nothing was sent.
        """
        headers = dict(headers)
        try:
            if self.bearer is not None:
                token = await self.means.credentials.fetch(self.bearer)
                headers["Authorization"] = f"Bearer {token}"
        except CredentialMissing as error:
            raise CredentialRefused(self.server, str(error)) from error
        try:
            answer = await self.fetcher.post_json(self.destination, body, headers)
        except (AddressRefused, FetchUnreached) as error:
            raise LinkDown(self.server, str(error)) from error
        except FetchFailed as error:
            raise LinkLost(self.server, str(error)) from error
        try:
            members = answer.members(max_depth=64)
        except FetchFailed as error:
            raise LinkGarbage(self.server, str(error)) from error
        return answer.status, self.masks.clean(members)
