"""Authorization requests: what an application wants a person to be asked (RFC 6749, 4.1.1).

Read in the order that decides who is told of a mistake: until application and address are known,
only the person in the browser; from then on the application, by way of that browser.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from gateway.identity import scopes
from gateway.identity.applications import Application
from gateway.identity.errors import (
    ApplicationRefused,
    OAuthError,
    OAuthReason,
    ScopeInvalid,
    SentBack,
)
from gateway.identity.resources import check_resources
from gateway.identity.scopes import Scopes

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
"""Of SHA-256, as a code challenge (RFC 7636, 4.2) and a key's thumbprint (RFC 9449, 10) are."""

Parameters = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request, of a registered application and to an address of its own.

    redirect    where the answer goes, as asked for
    registered  the registered address that covers it
    scopes      what is asked for, within what the application may have
    challenge   SHA-256 of what must be shown with the code (RFC 7636, S256)
    bound_to    thumbprint of the key that the tokens are to be bound to, if one was named
    """

    application: Application
    redirect: str
    registered: str
    scopes: Scopes
    challenge: str
    state: str | None
    bound_to: str | None

    @classmethod
    def read(cls, parameters: Parameters, application: Application, public_url: str) -> Self:
        """Read what a browser brings, sent by an application.

        Raises ApplicationRefused, and SentBack for what the application is to be told.
        """
        redirect = _one(parameters, "redirect_uri") or ""
        registered = application.redirect(redirect)
        if registered is None:
            raise ApplicationRefused("this application is not registered with this address")
        try:
            _check(parameters, public_url)
            return cls(
                application=application,
                redirect=redirect,
                registered=registered.uri,
                scopes=_scopes(parameters, application),
                challenge=_challenge(parameters),
                state=_one(parameters, "state"),
                bound_to=_bound_to(parameters),
            )
        except OAuthError as error:
            state = _one(parameters, "state")
            url = answer_url(redirect, public_url, state, error=error.reason)
            raise SentBack(error, url) from error


def answer_url(redirect: str, issuer: str, state: str | None, **members: str) -> str:
    """Where a browser goes with the answer, which says whose it is (RFC 9207)."""
    told = {**members, **({} if state is None else {"state": state}), "iss": issuer}
    return f"{redirect}?{urlencode(told)}"


def _one(parameters: Parameters, name: str) -> str | None:
    values = parameters.get(name)
    return values[0] if values else None


def _check(parameters: Parameters, public_url: str) -> None:
    kind = _one(parameters, "response_type")
    if kind != "code":
        reason: OAuthReason = "unsupported_response_type" if kind else "invalid_request"
        raise OAuthError(reason, "the one response_type is `code`")
    if _one(parameters, "response_mode") not in (None, "query"):
        raise OAuthError("invalid_request", "the answer stands in the query")
    if _one(parameters, "request") or _one(parameters, "request_uri"):
        raise OAuthError("invalid_request", "no request objects are read")
    check_resources(parameters.get("resource", ()), public_url)


def _scopes(parameters: Parameters, application: Application) -> Scopes:
    text = _one(parameters, "scope")
    if text is None:
        return application.scopes
    try:
        granted = scopes.intersect(scopes.parse(text), application.scopes)
    except ScopeInvalid as error:
        raise OAuthError("invalid_scope", str(error)) from error
    if not granted:
        raise OAuthError("invalid_scope", "nothing of this can be granted")
    return granted


def _challenge(parameters: Parameters) -> str:
    # The method must be stated: without it RFC 7636 means `plain`, which proves nothing.
    if _one(parameters, "code_challenge_method") != "S256":
        raise OAuthError("invalid_request", "code_challenge_method must be S256")
    challenge = _one(parameters, "code_challenge") or ""
    if not _THUMBPRINT.fullmatch(challenge):
        raise OAuthError("invalid_request", "code_challenge is no SHA-256 in base64url")
    return challenge


def _bound_to(parameters: Parameters) -> str | None:
    thumbprint = _one(parameters, "dpop_jkt")
    if thumbprint is not None and not _THUMBPRINT.fullmatch(thumbprint):
        raise OAuthError("invalid_request", "dpop_jkt is no thumbprint")
    return thumbprint
