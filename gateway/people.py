"""People: those whom agents act for, where they log in, and what they connect agents with.

Put together from the issuers of users and the servers that are asked with people's own accounts;
where no server is, nothing of this exists.
"""

import secrets
from collections.abc import Callable

from gateway.catalogue.credential import Journeys, Place, reached
from gateway.errors import SettingsInvalid
from gateway.identity.issuers import TrustedIssuer, oidc_keys
from gateway.identity.minting import Record
from gateway.identity.provider import Provider
from gateway.identity.trust import Oidc
from gateway.links.code_flow import CodeFlow, Errand
from gateway.links.connecting import Connecting, LogIn, Reached, Sources, Wanted
from gateway.links.issuer import Issuer
from gateway.links.oauth_client import OAuthClient, Registration
from gateway.settings import Settings, milliseconds
from gateway.upstream import Upstream


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
    users = settings.identity.users
    if not users:
        raise SettingsInvalid("servers with user_oauth need identity.users: people must log in")
    return Connecting(
        Sources(
            log_ins={
                name: _log_in(settings, upstream, name, user.oidc) for name, user in users.items()
            },
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
    flow: CodeFlow[Wanted] = CodeFlow(
        OAuthClient(registration, upstream.means),
        Errand(callback, {"scope": "openid"}, says_pkce=False),
        secrets.token_bytes,
        upstream.means.now_s,
    )
    return LogIn(TrustedIssuer(name, oidc.issuer, oidc.audience, keys, skew_s=skew_s), flow)
