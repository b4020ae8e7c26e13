"""What of the suite concerns this gateway, and what it may fail, with the reason."""

AUTHORIZATION_SERVER = ("authorization-server-metadata-endpoint", "authorization-code-grant")
"""Asked of us: the authorization server of agents and applications."""

CLIENT = (
    "auth/client-credentials-basic",
    "auth/client-credentials-jwt",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-post",
    "auth/token-endpoint-auth-none",
    "auth/pre-registration",
    "auth/iss-supported",
    "auth/iss-not-advertised",
    "auth/iss-supported-missing",
    "auth/iss-wrong-issuer",
    "auth/iss-unexpected",
    "auth/iss-normalized",
    "auth/metadata-issuer-mismatch",
)
"""Asked of our side towards upstreams. The rest of `auth/*` is about clients that find issuers and
register by themselves; here an operator names the issuer, the client and the scope."""

EXPECTED: dict[str, str] = {}
"""Checks that fail, `scenario: check`, and why. One that is here and passes fails the run too."""
