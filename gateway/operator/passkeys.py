"""`/api/passkeys`: operators register passkeys of theirs, and remove them.

Registering takes a browser in which the operator has proven just now, otherwise than by a passkey,
who they are: whoever finds a browser open makes no way in of their own.
"""

from hashlib import sha256
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from audit.canonical import Json
from audit.errors import AssertionRefused
from gateway.identity.passkeys import MAX_EACH, REGISTERED, REMOVED, Passkey
from gateway.identity.public_keys import base64url
from gateway.operator import registration
from gateway.operator.access import session_of
from gateway.operator.api import Here, Nothing, Routes, Viewer, body_of, peer
from gateway.operator.browser_sessions import BrowserSession
from gateway.operator.challenges import LIFE_S
from gateway.operator.credentials import Operator
from gateway.operator.entrance import now_s
from gateway.operator.errors import OperatorRefused
from gateway.operator.passkey_login import BY, site_of
from gateway.operator.services import Services

REGISTER = "register"

FRESH_S = 600
"""How long after proving who they are somebody may register a passkey."""

router = Routes()


class Answer(BaseModel):
    """What an authenticator answered; its parts in base64url.

    label  what the owner calls it
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    label: Annotated[str, Field(pattern=r"^[!-~](?:[ -~]{0,38}[!-~])?$")]
    passkey: str = Field(max_length=1024)
    client_data: str
    attestation: str


@router.get("")
async def list_passkeys(services: Here, operator: Viewer) -> list[dict[str, Json]]:
    """One's own passkeys; everybody's, for an administrator."""
    room = services.state.passkeys
    shown = room.all() if operator.may("administrator") else room.of(operator.name)
    return [_row(passkey) for passkey in shown]


@router.post("/begin")
async def begin(services: Here, operator: Viewer, http: Request) -> dict[str, Json]:
    """What an authenticator is asked to make."""
    await body_of(http, Nothing)
    site, session = site_of(services), _fresh(services, http)
    own = services.state.passkeys.of(operator.name)
    if len(own) >= MAX_EACH:
        raise OperatorRefused("operator.passkey", f"{MAX_EACH} passkeys are enough: remove one")
    challenge = services.ways_in.challenges.begin(REGISTER, session.csrf, now_s(services))
    return {
        "challenge": base64url(challenge),
        "rp_id": site.rp_id,
        "user": operator.name,
        "user_id": base64url(sha256(operator.name.encode()).digest()),
        "exclude": [passkey.id for passkey in own],
        "timeout_ms": LIFE_S * 1000,
    }


@router.post("")
async def register(services: Here, operator: Viewer, http: Request) -> dict[str, Json]:
    """Register what an authenticator made for the challenge of this session."""
    site, session = site_of(services), _fresh(services, http)
    given = await body_of(http, Answer)
    challenge = services.ways_in.challenges.take(REGISTER, session.csrf, now_s(services))
    try:
        made = registration.read(
            given.client_data, given.attestation, challenge=challenge, site=site
        )
    except AssertionRefused as error:
        raise OperatorRefused("operator.passkey", str(error)) from error
    room = services.state.passkeys
    if made.id != given.passkey or room.get(made.id) is not None:
        raise OperatorRefused("operator.passkey", "this passkey is another, or registered already")
    entry: dict[str, Json] = {
        "operator": operator.name,
        "passkey": made.id,
        "label": given.label,
        "key": str(made.key),
        "rp_id": site.rp_id,
        "count": made.count,
        "by": session.by,
        "source": peer(http),
    }
    await services.recorder.write(REGISTERED, entry)
    return _row(_own(services, operator, made.id))


@router.post("/{passkey}/remove")
async def remove(services: Here, operator: Viewer, http: Request, passkey: str) -> dict[str, Json]:
    """Remove a passkey of one's own; anybody's, as an administrator. It logs nobody in any more."""
    await body_of(http, Nothing)
    found = _own(services, operator, passkey)
    entry: dict[str, Json] = {
        "operator": found.operator,
        "passkey": found.id,
        "by": f"operator:{operator.name}",
        "source": peer(http),
    }
    await services.recorder.write(REMOVED, entry)
    services.ways_in.browsers.end_of(found.operator, by=BY)
    return {"removed": found.id}


def _fresh(services: Services, http: Request) -> BrowserSession:
    """The session of somebody who has just proven who they are."""
    has_key = "authorization" in http.headers
    now = now_s(services)
    session = None if has_key else session_of(services, http, now)
    if session is None or session.by == BY or now > session.began + FRESH_S:
        raise OperatorRefused(
            "operator.fresh", "log in anew, at your provider or with a code, to register a passkey"
        )
    return session


def _own(services: Services, operator: Operator, passkey: str) -> Passkey:
    """A passkey that this operator may speak of. Raises OperatorRefused (`operator.unknown`)."""
    found = services.state.passkeys.get(passkey)
    if found is None or (found.operator != operator.name and not operator.may("administrator")):
        raise OperatorRefused("operator.unknown", "you have no such passkey")
    return found


def _row(passkey: Passkey) -> dict[str, Json]:
    return {
        "passkey": passkey.id,
        "operator": passkey.operator,
        "label": passkey.label,
        "algorithm": passkey.key.algorithm,
        "made": passkey.made,
    }
