"""User proofs: tokens in which another issuer vouches for a person, and that are taken once.

With a user's own token an agent gets to act for that user, and an operator to speak for them. It is
good once, whoever presents it: what was copied on the way opens no second session.
"""

from hashlib import sha256

from gateway.identity.errors import AuthError
from gateway.identity.issuers import User, UserIssuers
from gateway.identity.single_use import SingleUse


class UserProofs:
    """Takes tokens of users."""

    def __init__(self, issuers: UserIssuers, single_use: SingleUse) -> None:
        self._issuers = issuers
        self._single_use = single_use

    async def take(self, token: str, now_s: int, *, source: str) -> User:
        """Who is vouched for; the token is used up.

        source  peer address of who presents it

        Raises AuthError (`replayed` when it was used before), IssuerSilent, OAuthError (`slow_down`
        when one person's tokens are too many at a time), and AuditUnavailable.
        """
        user = await self._issuers.verify_user(token, now_s)
        digest = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        is_first = await self._single_use.use(
            user.name, f"user token {digest}", until_s=user.expires, source=source
        )
        if not is_first:
            raise AuthError("replayed", "good once, and used before")
        return user
