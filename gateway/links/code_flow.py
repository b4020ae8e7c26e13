"""The code flow: a person is sent to an authorization server and comes back with a code.

Authorization code (RFC 6749, section 4.1) with PKCE (RFC 7636, S256), a state that is good once
and in the browser that asked for it, and an answer that must come from whom it was asked of
(RFC 9207). The code is exchanged by the gateway, whose address it was sent to, exactly.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Generic, TypeVar
from urllib.parse import urlencode

from audit.canonical import Json
from gateway.errors import ConnectRefused, FetchFailed
from gateway.links.oauth_client import OAuthClient
from gateway.links.tickets import Tickets, secret

About = TypeVar("About")


@dataclass(frozen=True, slots=True)
class _Sent(Generic[About]):
    about: About
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Returned(Generic[About]):
    """Somebody came back.

    about    what they were sent for
    members  what the token endpoint gave for their code
    nonce    what an identity token in it must carry
    """

    about: About
    members: dict[str, Json] = field(repr=False)
    nonce: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Errand:
    """What people are sent for.

    callback  where they come back to, exactly
    asked     further parameters: scope, resource
    says_pkce whether the issuer must say that it does S256, as those of upstreams must (MCP)
    """

    callback: str
    asked: Mapping[str, str]
    says_pkce: bool


class CodeFlow(Generic[About]):
    """Journeys to one authorization server and back."""

    def __init__(
        self,
        client: OAuthClient,
        errand: Errand,
        random: Callable[[int], bytes],
        now_s: Callable[[], int],
    ) -> None:
        self._client = client
        self._errand = errand
        self._random = random
        self._tickets: Tickets[_Sent[About]] = Tickets(random, now_s)

    async def begin(self, about: About, browser: str) -> str:
        """Where to send that browser. Raises FetchFailed or AddressRefused."""
        metadata = await self._client.metadata()
        issuer, challenges = self._client.issuer, metadata.challenges
        if metadata.authorization is None:
            raise FetchFailed(f"{issuer.url}: sends nobody back with a code")
        if "S256" not in challenges and (challenges or self._errand.says_pkce):
            raise FetchFailed(f"{issuer.url}: does not do PKCE with S256")
        issuer.endpoint(metadata.authorization)
        sent = _Sent(about, secret(self._random), secret(self._random))
        challenge = urlsafe_b64encode(sha256(sent.verifier.encode()).digest()).rstrip(b"=")
        asked = {
            **self._errand.asked,
            "response_type": "code",
            "client_id": self._client.client,
            "redirect_uri": self._errand.callback,
            "state": self._tickets.issue(sent, browser),
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        if "openid" in self._errand.asked.get("scope", "").split(" "):
            asked["nonce"] = sent.nonce
        joint = "&" if "?" in metadata.authorization else "?"
        return f"{metadata.authorization}{joint}{urlencode(asked)}"

    async def finish(self, answer: Mapping[str, str], browser: str | None) -> Returned[About]:
        """What a browser that came back brings.

        answer  the parameters of the address that it came to

        Raises ConnectRefused, or what `OAuthClient.exchange` does.
        """
        sent = self._tickets.take(answer.get("state", ""), browser)
        metadata = await self._client.metadata()
        named = answer.get("iss")
        if named not in (None, self._client.issuer.url) or (
            named is None and metadata.names_itself
        ):
            raise ConnectRefused("this answer is another server's")
        if "error" in answer or "code" not in answer:
            raise ConnectRefused("you were not let through there, or said no")
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self._errand.callback,
            "code_verifier": sent.verifier,
        }
        resource = {
            name: self._errand.asked[name] for name in ("resource",) if name in self._errand.asked
        }
        members = await self._client.exchange({**form, **resource})
        return Returned(sent.about, members, sent.nonce)
