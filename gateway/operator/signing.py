"""Signing: how an answer to a request comes to be signed with a passkey, in two steps.

The browser of somebody who is logged in gets a challenge that is made from their very answer, once;
with the answer it brings what the passkey has signed. A key for the command line can do neither.
"""

from starlette.requests import Request as HttpRequest

from audit.canonical import Json
from audit.errors import AssertionRefused
from gateway.approval.request import Request
from gateway.approval.signature import Said, Statement, Tap
from gateway.errors import ApprovalRefused
from gateway.identity.public_keys import base64url
from gateway.operator.access import session_of
from gateway.operator.browser_sessions import BrowserSession
from gateway.operator.challenges import LIFE_S
from gateway.operator.entrance import now_s
from gateway.operator.errors import OperatorRefused
from gateway.operator.passkey_login import Tapped, site_of
from gateway.operator.services import Services


def begin(
    services: Services, session: BrowserSession | None, request: Request, said: Said
) -> dict[str, Json]:
    """What a passkey of who is logged in is asked to sign, for this answer and once.

    session  None: a key was shown, and no browser is there

    Raises ApprovalRefused (`approval.passkey`) where nothing can be signed.
    """
    if session is None:
        raise ApprovalRefused("approval.passkey", how(services, request))
    site, name = site_of(services), session.operator.name
    own = [each.id for each in services.state.passkeys.of(name) if each.rp_id == site.rp_id]
    if not own:
        raise ApprovalRefused("approval.passkey", "you have no passkey yet: register one at /login")
    nonce = services.ways_in.challenges.begin(
        _purpose(request, said), session.csrf, now_s(services)
    )
    statement = Statement(request.id, request.digest, said, name, nonce.hex())
    return {
        "challenge": base64url(statement.challenge()),
        "rp_id": site.rp_id,
        "allow": list[Json](own),
        "timeout_ms": LIFE_S * 1000,
    }


def tap_of(
    services: Services,
    session: BrowserSession | None,
    request: Request,
    said: Said,
    tapped: Tapped,
) -> Tap:
    """What came back, with the number that this browser was given, which is used up.

    Raises ApprovalRefused.
    """
    if session is None:
        raise ApprovalRefused("approval.passkey", how(services, request))
    try:
        nonce = services.ways_in.challenges.take(
            _purpose(request, said), session.csrf, now_s(services)
        )
        assertion = tapped.assertion()
    except (OperatorRefused, AssertionRefused) as error:
        raise ApprovalRefused("approval.signature", str(error)) from error
    passkeys, site = services.state.passkeys, site_of(services)
    return Tap(passkeys, site, tapped.passkey, nonce.hex(), assertion)


def how(services: Services, request: Request) -> str:
    """What to do about an answer that has to be signed."""
    if services.ways_in.site is None:
        return "this approval is signed with a passkey, for which operators_url needs a name"
    place = f"{services.settings.operators_url}/approvals/{request.id}"
    return f"this approval is signed with a passkey, in a browser with scripts, at {place}"


def session_behind(services: Services, http: HttpRequest) -> BrowserSession | None:
    """The browser session of a request to the API; None where a key was shown."""
    has_key = "authorization" in http.headers
    return None if has_key else session_of(services, http, now_s(services))


def _purpose(request: Request, said: Said) -> str:
    return f"{said} {request.id}"
