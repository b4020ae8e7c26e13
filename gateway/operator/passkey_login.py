"""`/login/passkey`: log in with a passkey, in two steps.

The browser gets a challenge and a cookie that binds it to this very browser; it comes back with
what the passkey signed. Which passkey, its owner chooses: nothing is told of anybody before that.
"""

from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from audit.assertion import Assertion
from audit.canonical import Json
from audit.errors import AssertionRefused
from gateway.errors import GatewayError
from gateway.identity.passkeys import Passkey, Site
from gateway.identity.public_keys import base64url
from gateway.identity.throttle import network
from gateway.operator.access import cookie_of, is_secure, passkey_cookie
from gateway.operator.api import Here, Nothing, Routes, body_of, peer
from gateway.operator.challenges import LIFE_S
from gateway.operator.credentials import Operator
from gateway.operator.entrance import check_own_page, let_in, now_s, turn_away
from gateway.operator.errors import OperatorRefused
from gateway.operator.pages import SCRIPT
from gateway.operator.services import Services
from gateway.operator.single_sign_on import roles_of

LOG_IN, BY = "log in", "passkey"

VOUCHED_S = 12 * 3600
"""How long what a provider said of somebody's groups is relied upon: a working day. Then they must
log in there once more, since here nobody notices who leaves.
"""

_BROWSER_BYTES = 32
_SCRIPT = Path(__file__).with_name("passkeys.js").read_bytes()

router = Routes(include_in_schema=False)


class Tapped(BaseModel):
    """What a passkey answered; its parts in base64url."""

    model_config = ConfigDict(extra="forbid", strict=True)

    passkey: str = Field(max_length=1024)
    client_data: str
    authenticator_data: str
    signature: str

    def assertion(self) -> Assertion:
        """The three parts. Raises AssertionRefused."""
        return Assertion.read(self.model_dump(exclude={"passkey"}))


@router.post("/login/passkey/begin")
async def begin(services: Here, http: Request) -> JSONResponse:
    """A challenge for any passkey of this site."""
    site = site_of(services)
    check_own_page(http)
    await body_of(http, Nothing)
    now = now_s(services)
    if services.ways_in.attempts.charge(network(peer(http)), now):
        refused = OperatorRefused("operator.slow", "too many log-ins: try again in a minute")
        await turn_away(services, http, refused, by=BY)
        raise refused
    browser = base64url(services.random(_BROWSER_BYTES))
    challenge = services.ways_in.challenges.begin(LOG_IN, browser, now)
    answer = JSONResponse(
        {"challenge": base64url(challenge), "rp_id": site.rp_id, "timeout_ms": LIFE_S * 1000}
    )
    answer.set_cookie(
        passkey_cookie(services),
        browser,
        max_age=LIFE_S,
        secure=is_secure(services),
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/login/passkey")
async def finish(services: Here, http: Request) -> JSONResponse:
    """Log in whose passkey signed the challenge of this browser."""
    site = site_of(services)
    check_own_page(http)
    given = await body_of(http, Tapped)
    answer = JSONResponse({"to": "/login"})
    answer.delete_cookie(passkey_cookie(services), secure=is_secure(services), httponly=True)
    browser = cookie_of(http, passkey_cookie(services))
    try:
        challenge = services.ways_in.challenges.take(LOG_IN, browser, now_s(services))
        passkey, count = _proven(services, given, challenge, site)
        operator = owner(services, passkey)
        proof: dict[str, Json] = {"passkey": passkey.id, "count": count}
        await let_in(services, http, answer, operator, by=BY, proof=proof)
    except GatewayError as error:
        await turn_away(services, http, error, by=BY)
        raise
    return answer


@router.get(SCRIPT)
async def script() -> Response:
    """What runs in the pages that use passkeys."""
    return Response(_SCRIPT, media_type="text/javascript")


def site_of(services: Services) -> Site:
    """What passkeys are made for here. Raises OperatorRefused where they cannot be."""
    if services.ways_in.site is None:
        raise OperatorRefused(
            "operator.unknown", "passkeys need a name: operators_url has an address"
        )
    return services.ways_in.site


def owner(services: Services, passkey: Passkey) -> Operator:
    """Whose passkey it is, with the roles that they have now.

    Who holds a key has the roles of that key. Others have those of the groups that their provider
    last said they are in, for as long as that is relied upon.

    Raises OperatorRefused: `operator.login`, `operator.no-role`.
    """
    name, now = passkey.operator, now_s(services)
    own = next((each for each in services.operators.all() if each.name == name), None)
    if own is not None:
        ends = services.operators.expires(name)
        if ends is not None and now >= ends:
            raise OperatorRefused("operator.no-role", f"the roles of {name} have ended")
        return own
    identity = services.settings.identity
    vouched = services.state.passkeys.vouched(name)
    is_known = identity.operators is not None and name.startswith(f"{identity.operators_issuer}:")
    if not is_known or vouched is None or now >= vouched.at + VOUCHED_S:
        raise OperatorRefused("operator.login", "log in at your provider first")
    assert identity.operators is not None
    roles = roles_of(vouched.groups, identity.operators)
    if not roles:
        raise OperatorRefused("operator.no-role", f"as {name} you are in no group with a role")
    return Operator(name, roles, vouched.groups)


def _proven(services: Services, given: Tapped, challenge: bytes, site: Site) -> tuple[Passkey, int]:
    passkey = services.state.passkeys.get(given.passkey)
    if passkey is None or passkey.rp_id != site.rp_id:
        raise OperatorRefused("operator.login", "this passkey is not registered here")
    try:
        return passkey, passkey.check(given.assertion(), challenge, site)
    except AssertionRefused as error:
        raise OperatorRefused("operator.passkey", f"{passkey.operator}: {error}") from error
