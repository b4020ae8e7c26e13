"""Log-ins: how it is known who sits in front of a browser that came to the agents' listener.

People log in with an issuer of users and come back in the same browser; in development, where
there is none, by a code that is shown where the gateway was started. Who logged in is told with
what they came for, and with nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.errors import ConnectRefused
from gateway.identity.errors import AuthError
from gateway.identity.issuers import TrustedIssuer, groups, person, read
from gateway.identity.shown_codes import ShownCodes
from gateway.links.code_flow import CodeFlow


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has logged in, as their issuer names them and their groups."""

    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LogIn:
    """One issuer of users, at which people log in for a purpose that is kept meanwhile.

    groups_claim  where it says in which groups somebody is; None: it has no say in that
    """

    issuer: TrustedIssuer
    flow: CodeFlow[object]
    groups_claim: str | None

    async def finish(
        self, answer: Mapping[str, str], browser: str | None, now_s: Callable[[], int]
    ) -> tuple[object, Person]:
        """What somebody who came back came for, and who it is.

        now_s  seconds since 1970, by the log's clock

        Raises ConnectRefused, AuthError, IssuerSilent, TokenRefused, FetchFailed or AddressRefused.
        """
        returned = await self.flow.finish(answer, browser)
        token = returned.members.get("id_token")
        if not isinstance(token, str):
            raise ConnectRefused("your issuer did not say who you are")
        # The time by now: this token was made on the way.
        claims = await self.issuer.verify(read(token), now_s(), nonce=returned.nonce)
        if claims.get("azp", self.issuer.audience) != self.issuer.audience:
            raise AuthError("audience", "given to somebody else")
        claim = self.groups_claim
        member_of = groups([] if claim is None else claims.get(claim, []))
        return returned.about, Person(person(self.issuer.name, claims.get("sub")), member_of)


@dataclass(frozen=True, slots=True)
class LogIns:
    """Where people log in.

    now_s      seconds since 1970, by the log's clock
    by_issuer  by its name in the deployment
    codes      how the one person of a development gateway does; None: not in this way
    """

    now_s: Callable[[], int]
    by_issuer: Mapping[str, LogIn] = field(default_factory=dict)
    codes: ShownCodes | None = None

    @property
    def issuers(self) -> tuple[str, ...]:
        """Where people may be sent."""
        return tuple(sorted(self.by_issuer))

    async def begin(self, issuer: str, purpose: object, browser: str) -> str:
        """Where to send somebody to log in. Raises ConnectRefused, FetchFailed, AddressRefused."""
        return await self._log_in(issuer).flow.begin(purpose, browser)

    async def finish(
        self, issuer: str, answer: Mapping[str, str], browser: str | None
    ) -> tuple[object, Person]:
        """What somebody who came back came for, and who it is. Raises as `LogIn.finish` does."""
        return await self._log_in(issuer).finish(answer, browser, self.now_s)

    def _log_in(self, issuer: str) -> LogIn:
        found = self.by_issuer.get(issuer)
        if found is None:
            raise ConnectRefused("nobody logs in there")
        return found
