"""What can go wrong with keys, tokens and clients.

GatewayError
└── IdentityError
    ├── AuthError        auth.<reason>         a credential proves nothing here
    ├── OAuthError       oauth.<error>         a request to the authorization server is refused
    │   ├── DelegationRefused  delegation.<why>    work may not be handed on in this way
    │   ├── CodeReused         oauth.invalid_grant a code came a second time
    │   └── SentBack           oauth.<error>       told to an application by way of the browser
    ├── ApplicationRefused  oauth.application  a browser that no registered application sent
    ├── RedirectRefused  oauth.redirect        an address that nobody may be sent back to
    ├── IssuerSilent     auth.issuer           a trusted issuer gives no keys or tokens now
    ├── ScopeInvalid     auth.scope            a text that is no list of tool patterns
    ├── NameInvalid      auth.name             no name for an agent, a user, a role or an operator
    ├── SecretWeak       auth.secret           a client secret that could be guessed
    ├── PublicKeyRefused auth.public-key       a key of a client that cannot be used to verify
    ├── HashInvalid      auth.hash             a stored secret hash that cannot be used
    ├── TooManyKeys      auth.keys             signing keys were changed too often to change again
    └── KeyFileRefused   auth.key-file         a key that others may know, or that is unreadable

No message holds a token, a secret or a part of either: both may end in logs and answers.
"""

from pathlib import Path
from typing import Literal

from gateway.errors import GatewayError
from gateway.principal import Principal

AuthReason = Literal[
    "missing",
    "expired",
    "audience",
    "algorithm",
    "revoked",
    "replayed",
    "proof",
    "nonce",
    "invalid",
]

OAuthReason = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
    "unsupported_response_type",
    "access_denied",
    "invalid_scope",
    "invalid_target",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "slow_down",
    "temporarily_unavailable",
]
"""RFC 6749 4.1.2.1, 5.2; RFC 7009 2.2.1; RFC 8707 2; RFC 9449 5, 8; the last two: to wait."""


class IdentityError(GatewayError):
    """The base of this room's errors."""

    code = "auth"


class AuthError(IdentityError):
    """A credential that proves nothing here; `code` is `auth.` and the reason.

    reason  missing    no credential
            expired    was good, and its time is over
            audience   made for another resource
            algorithm  not signed the one way that is accepted
            revoked    withdrawn, or of a session or an agent that was stopped
            replayed   good once, and used before
            proof      bound to a key of which possession is not proven (RFC 9449)
            nonce      the proof of possession carries no nonce that is good now
            invalid    anything else: malformed, forged, unknown

    nonce   what the next proof of possession must carry, where one is wanted
    """

    nonce: str | None = None

    def __init__(self, reason: AuthReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = f"auth.{reason}"


class OAuthError(IdentityError):
    """The authorization server refuses a request; `reason` is the `error` of its answer.

    retry_after  seconds after which asking again can help; None: it cannot
    nonce        what the next proof of possession must carry, where that was missing
    """

    def __init__(
        self,
        reason: OAuthReason,
        message: str,
        *,
        retry_after: int | None = None,
        nonce: str | None = None,
    ) -> None:
        super().__init__(message)
        self.reason, self.retry_after, self.nonce = reason, retry_after, nonce
        self.code = f"oauth.{reason}"


class IssuerSilent(IdentityError):
    """A trusted issuer does not answer, and what it last said is too old to be relied upon."""

    code = "auth.issuer"


DelegationWhy = Literal[
    "actor",
    "consent",
    "cycle",
    "depth",
    "edge",
    "fan-out",
    "hops",
    "reused",
    "scope",
    "session",
    "subject",
]


class DelegationRefused(OAuthError):
    """Work may not be handed on to this agent, or not in this way; `code` says why.

    attempted  who would have acted, for whom and through whom, where that much was authenticated
    """

    attempted: Principal | None = None

    def __init__(self, why: DelegationWhy, message: str) -> None:
        super().__init__("invalid_request", message)  # for any of them, RFC 8693, section 2.2.2
        self.code = f"delegation.{why}"


class CodeReused(OAuthError):
    """A code came a second time: whoever got something for it the first time may be a thief.

    session  what it was exchanged for; None: nothing yet
    """

    def __init__(self, session: str | None) -> None:
        super().__init__("invalid_grant", "this code was used before")
        self.session = session


class SentBack(OAuthError):
    """An application is told what is wrong, by way of the browser: at `url`."""

    def __init__(self, error: OAuthError, url: str) -> None:
        super().__init__(error.reason, str(error))
        self.url = url


class ApplicationRefused(IdentityError):
    """A browser was not sent by a registered application, or would be sent elsewhere."""

    code = "oauth.application"


class RedirectRefused(IdentityError):
    """A text is no address that people may be sent back to."""

    code = "oauth.redirect"


class ScopeInvalid(IdentityError):
    """A text is no list of tool patterns."""

    code = "auth.scope"


class NameInvalid(IdentityError):
    """A text cannot name an agent, a user, a role or an operator."""

    code = "auth.name"


class SecretWeak(IdentityError):
    """A client secret is so short that it could be guessed."""

    code = "auth.secret"


class HashInvalid(IdentityError):
    """A stored secret hash is unreadable, or weaker than what is accepted."""

    code = "auth.hash"


class PublicKeyRefused(IdentityError):
    """A text is no public key of a kind that is used here."""

    code = "auth.public-key"


class TooManyKeys(IdentityError):
    """Signing keys were changed so often that old ones must retire first."""

    code = "auth.keys"


class KeyFileRefused(IdentityError):
    """A key file may be known to others, or cannot be read; `path` says which."""

    code = "auth.key-file"

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
