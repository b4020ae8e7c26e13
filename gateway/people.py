"""People: those whom agents act for, where they log in, and what they let agents do.

Put together from the issuers of users, the servers that are asked with people's own accounts, and
the applications on their machines; where there is neither of these, nothing of this exists.
"""

import secrets
from collections.abc import Callable
from functools import partial

from gateway.catalogue.credential import Journeys, Place, reached
from gateway.errors import SettingsInvalid
from gateway.identity import applications
from gateway.identity.authorizing import Authorizing
from gateway.identity.authorizing import Sources as AuthorizingSources
from gateway.identity.client_documents import ClientDocuments
from gateway.identity.codes import Codes
from gateway.identity.handing_on import HandingOn
from gateway.identity.handing_on import Sources as HandingOnSources
from gateway.identity.issuers import TrustedIssuer, oidc_keys
from gateway.identity.log_ins import LogIn, LogIns
from gateway.identity.minting import Record
from gateway.identity.provider import Provider
from gateway.identity.shown_codes import ShownCodes
from gateway.identity.trust import Oidc
from gateway.links.code_flow import CodeFlow, Errand
from gateway.links.connecting import Connecting, Reached, Sources
from gateway.links.issuer import Issuer
from gateway.links.oauth_client import OAuthClient, Registration
from gateway.operator.credentials import Operators
from gateway.parts import Parts
from gateway.settings import Settings, milliseconds
from gateway.upstream import Upstream


def log_ins(parts: Parts) -> LogIns:
    """Where people log in."""
    settings, codes = parts.settings, None
    if parts.show_code is not None:
        person = partial(_first_administrator, parts.operators)
        codes = ShownCodes(person, secrets.token_bytes, parts.show_code)
    users = settings.identity.users.items()
    found = {name: _log_in(settings, parts.upstream, name, user.oidc) for name, user in users}
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
        Sources(
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


def _log_in(settings: Settings, upstream: Upstream, name: str, oidc: Oidc) -> LogIn:
    """A public client there: its identity tokens are made for the audience that is trusted."""
    skew_s = milliseconds(settings.identity.tokens.skew) // 1000
    keys = oidc_keys(name, Provider(oidc, upstream.fetcher))
    registration = Registration(Issuer(oidc.issuer, oidc.allow_private), oidc.audience)
    callback = f"{settings.public_url}/oauth/login/{name}/callback"
    flow: CodeFlow[object] = CodeFlow(
        OAuthClient(registration, upstream.means),
        Errand(callback, {"scope": "openid"}, says_pkce=False),
        secrets.token_bytes,
        upstream.means.now_s,
    )
    issuer = TrustedIssuer(name, oidc.issuer, oidc.audience, keys, skew_s=skew_s)
    return LogIn(issuer, flow, oidc.groups_claim)
