"""Single sign-on: an operator logs in at the configured provider and comes back with a code.

The journey is the one of people for whom agents act (`gateway.identity.log_ins`), with a client of
its own there. What somebody may do here follows from their groups there, as the deployment maps
them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.errors import ConnectRefused, TokenRefused
from gateway.identity.issuers import GROUP_PREFIX
from gateway.identity.log_ins import LogIn
from gateway.identity.trust import OperatorLogin
from gateway.links.tickets import secret
from gateway.operator.credentials import Operator, Role
from gateway.operator.errors import OperatorRefused


@dataclass(frozen=True, slots=True)
class Begun:
    """A log-in that has begun.

    url      where the browser is to go
    browser  what it must show again when it comes back
    """

    url: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """Log-ins at one provider.

    now_s   seconds since 1970, by the log's clock
    random  so many bytes that nobody can guess
    """

    login: OperatorLogin
    log_in: LogIn
    now_s: Callable[[], int]
    random: Callable[[int], bytes]

    @property
    def name(self) -> str:
        """The provider, as entries name it."""
        return f"oidc:{self.log_in.issuer.name}"

    async def begin(self) -> Begun:
        """Begin a log-in. Raises FetchFailed or AddressRefused."""
        browser = secret(self.random)
        return Begun(await self.log_in.flow.begin(None, browser), browser)

    async def finish(self, answer: Mapping[str, str], browser: str | None) -> Operator:
        """Who came back, with what they may do here.

        answer   the parameters of the address that they came back to
        browser  what `begin` gave their browser

        Raises OperatorRefused: `operator.login` for a log-in that was not begun like this or did
        not succeed, `operator.no-role` for somebody without a role here; AuthError, IssuerSilent,
        FetchFailed or AddressRefused.
        """
        try:
            _, person = await self.log_in.finish(answer, browser, self.now_s)
        except (ConnectRefused, TokenRefused) as error:
            raise OperatorRefused("operator.login", str(error)) from error
        roles = roles_of(person.groups, self.login)
        if not roles:
            said = f"as {person.name} you are in no group with a role"
            raise OperatorRefused("operator.no-role", said)
        return Operator(person.name, roles, person.groups)


def roles_of(own: frozenset[str], login: OperatorLogin) -> frozenset[Role]:
    """The roles here of whoever is in these groups there."""
    return frozenset(
        role
        for role, given in login.roles.items()
        if not own.isdisjoint(GROUP_PREFIX + group for group in given)
    )
