"""People: those whom agents act for, where they log in, and what they let agents do.

Put together from the issuers of users, the servers that are asked with people's own accounts, and
the applications on their machines; where there is neither of these, nothing of this exists.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateway.catalogue.credential import Journeys, Place, reached
from gateway.errors import SettingsInvalid
from gateway.identity import applications
from gateway.identity.authorizing import Authorizing, AuthorizingSources
from gateway.identity.client_documents import ClientDocuments
from gateway.identity.codes import Codes
from gateway.identity.handing_on import HandingOn, HandingOnSources
from gateway.identity.issuers import TrustedIssuer, oidc_keys
from gateway.identity.log_ins import LogIn, LogIns
from gateway.identity.minting import Record
from gateway.identity.provider import Provider
from gateway.identity.shown_codes import ShownCodes
from gateway.identity.trust import Oidc
from gateway.links.code_flow import CodeFlow, Errand
from gateway.links.connecting import Connecting, ConnectingSources, Reached
from gateway.links.issuer import Issuer
from gateway.links.oauth_client import OAuthClient, Registration
from gateway.operator.credentials import Operators
from gateway.operator.single_sign_on import SingleSignOn
from gateway.parts import Parts
from gateway.settings import Settings
from gateway.upstream import Upstream


def log_ins(parts: Parts) -> LogIns:
    """Where people log in."""
    settings, codes = parts.settings, None
    if parts.show_code is not None:
        person = partial(_first_administrator, parts.operators)
        codes = ShownCodes(person, secrets.token_bytes, parts.show_code)
    found = {}
    for name, user in settings.identity.users.items():
        place = _Place(name, f"{settings.public_url}/oauth/login/{name}/callback")
        found[name] = _log_in(parts, place, user.oidc)
    return LogIns(parts.now_s, found, codes)


def authorizing(parts: Parts) -> Authorizing:
    """How people let applications act for them.

    Raises SettingsInvalid when nobody could log in.
    """
    identity, rooms = parts.settings.identity, parts.rooms
    if identity.applications and not identity.users and parts.show_code is None:
        raise SettingsInvalid("identity.applications need identity.users: people must log in")
    sources = AuthorizingSources(
        applications=applications.declared(identity.applications),
        documents=ClientDocuments(parts.upstream.fetcher, parts.now_s),
        consents=parts.state.consents,
        codes=Codes(secrets.token_bytes, parts.now_s),
        policy=lambda: rooms.worlds.current.snapshot,
        record=rooms.recorder.write,
        now_s=parts.now_s,
        new_id=rooms.recorder.new_id,
        random=secrets.token_bytes,
    )
    return Authorizing(parts.settings.public_url, sources)


def handing_on(parts: Parts) -> HandingOn:
    """How people let one agent hand their work to another."""
    rooms = parts.rooms
    sources = HandingOnSources(
        consents=parts.state.consents,
        policy=lambda: rooms.worlds.current.snapshot,
        record=rooms.recorder.write,
        now_s=parts.now_s,
        new_id=rooms.recorder.new_id,
        random=secrets.token_bytes,
    )
    return HandingOn(sources)


def connecting(
    settings: Settings, upstream: Upstream, record: Record, is_agent: Callable[[str], bool]
) -> Connecting | None:
    """What people connect agents with; None where there is nothing of that kind.

    is_agent  whether an agent of that name is registered

    Raises SettingsInvalid when nobody could log in.
    """
    servers = _servers(settings, upstream)
    if not servers:
        return None
    if not settings.identity.users:
        raise SettingsInvalid("servers with user_oauth need identity.users: people must log in")
    return Connecting(
        ConnectingSources(
            servers=servers,
            connections=upstream.connected.connections,
            files=upstream.connected.files,
            is_agent=is_agent,
            record=record,
            now_s=upstream.means.now_s,
            new_id=upstream.means.new_id,
            random=secrets.token_bytes,
        )
    )


def _first_administrator(operators: Operators) -> str | None:
    """The one person of a development gateway."""
    return next((each.name for each in operators.all() if each.may("administrator")), None)


def _servers(settings: Settings, upstream: Upstream) -> dict[str, Reached]:
    journeys = Journeys(settings.public_url, secrets.token_bytes)
    return {
        name: reached(spec.credential.user_oauth, Place(name, spec.url), upstream.means, journeys)
        for name, spec in settings.servers.items()
        if spec.url is not None and spec.credential is not None and spec.credential.user_oauth
    }


def sign_on(parts: Parts) -> SingleSignOn | None:
    """Where operators log in; None: at no provider."""
    identity = parts.settings.identity
    login = identity.operators
    if login is None:
        return None
    place = _Place(
        identity.operators_issuer,
        f"{parts.settings.operators_url}/login/callback",
        login.oidc.client_secret,
    )
    return SingleSignOn(login, _log_in(parts, place, login.oidc), parts.now_s, secrets.token_bytes)


@dataclass(frozen=True, slots=True)
class _Place:
    """For what people log in at a provider.

    issuer    how their names begin
    callback  where they come back to
    secret    reference to ours there; None: we are a public client
    """

    issuer: str
    callback: str
    secret: str | None = None


def _log_in(parts: Parts, place: _Place, oidc: Oidc) -> LogIn:
    """Identity tokens are made for the audience that is trusted: our client id there."""
    keys = oidc_keys(place.issuer, Provider(oidc, parts.upstream.fetcher))
    issuer = Issuer(oidc.issuer, oidc.allow_private)
    flow: CodeFlow[object] = CodeFlow(
        OAuthClient(Registration(issuer, oidc.audience, place.secret), parts.upstream.means),
        Errand(place.callback, {"scope": "openid"}, says_pkce=False),
        secrets.token_bytes,
        parts.now_s,
    )
    trusted = TrustedIssuer(place.issuer, oidc.issuer, oidc.audience, keys, skew_s=parts.skew_s)
    return LogIn(trusted, flow, oidc.groups_claim)
