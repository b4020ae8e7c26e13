"""Grants: by which right a token of an upstream is asked for.

The gateway asks for itself with client credentials (RFC 6749, section 4.4), and for a caller by
exchanging a statement of its own about who calls, for whom, and on whose behalf (RFC 8693). Either
way the token is made for that upstream alone (RFC 8707).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.links.link import Caller
from gateway.links.oauth_client import Granted, OAuthClient

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
JWT = "urn:ietf:params:oauth:token-type:jwt"

Grant = Callable[[Caller | None], Awaitable[Granted]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a token is to be good for.

    resource  URI of the upstream
    audience  its name with the issuer, where that knows no resources; for exchange only
    """

    resource: str
    scope: str | None = None
    audience: str | None = None

    def form(self) -> dict[str, str]:
        """The parameters that say so."""
        members = {"resource": self.resource, "scope": self.scope, "audience": self.audience}
        return {name: value for name, value in members.items() if value is not None}


def client_credentials(client: OAuthClient, target: Target) -> Grant:
    """A token for the gateway itself, whoever calls."""

    async def grant(_: Caller | None) -> Granted:
        return await client.ask({"grant_type": "client_credentials", **target.form()})

    return grant


def token_exchange(client: OAuthClient, target: Target, subject: Callable[[Caller], str]) -> Grant:
    """A token for each caller; what is nobody's call is made with client credentials.

    subject  a signed statement about the caller, made for the issuer
    """
    itself = client_credentials(client, target)

    async def grant(caller: Caller | None) -> Granted:
        if caller is None:
            return await itself(None)
        return await client.ask(
            {
                "grant_type": EXCHANGE,
                "subject_token": subject(caller),
                "subject_token_type": JWT,
                "requested_token_type": ACCESS_TOKEN,
                **target.form(),
            }
        )

    return grant
