"""OAuth requests: a form and an Authorization header, read strictly into one value (RFC 6749)."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote_plus

from gateway.identity.errors import OAuthError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

MAX_BODY = 32 * 1024
"""Bytes of a form: a token of 8 KiB, percent-encoded, and little else."""

_MAX_FIELDS = 32
_REPEATABLE = frozenset({"resource"})  # RFC 8707, section 2
_CREDENTIALS = frozenset({"client_secret", "client_assertion"})
_FORM = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")
_BASIC = re.compile(rb"basic ([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_PAIR = re.compile(r"((?:[!-$&-9;-~]|%[0-9A-Fa-f]{2})+):((?:[!-$&-~]|%[0-9A-Fa-f]{2})+)")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says to prove who it is."""

    client: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a client signed to prove who it is (RFC 7523).

    client  as whom it presents itself beside; None: it does not say
    """

    text: str = field(repr=False)
    client: str | None


@dataclass(frozen=True, slots=True)
class OAuthRequest:
    """One request to the authorization server.

    parameters  values by name, in order; empty ones are left out
    credentials from the header or the form; None: there were none
    source      peer address, "127.0.0.1:41022"
    proof       proof of possession of a key (RFC 9449), unread
    """

    parameters: Mapping[str, tuple[str, ...]]
    credentials: Credentials | Assertion | None
    source: str
    proof: bytes | None = None

    @classmethod
    def read(
        cls, body: bytes, *, authorization: bytes | None, source: str, proof: bytes | None = None
    ) -> Self:
        """Read the form of a POST request and its Authorization header.

        Raises OAuthError (`invalid_request`): not a form, a parameter twice, two ways of
        authentication at once.
        """
        parameters = _read_form(body)
        credentials = _read_credentials(parameters, authorization)
        public = {name: each for name, each in parameters.items() if name not in _CREDENTIALS}
        return cls(public, credentials, source, proof)

    def one(self, name: str) -> str | None:
        """The value of a parameter; None when it is not given."""
        values = self.parameters.get(name)
        return values[0] if values else None

    def needed(self, name: str) -> str:
        """The value of a parameter; raises OAuthError (`invalid_request`) when it is not given."""
        value = self.one(name)
        if value is None:
            raise OAuthError("invalid_request", f"{name} is missing")
        return value


def _read_form(body: bytes) -> dict[str, tuple[str, ...]]:
    text = body.decode("latin-1")
    if not _FORM.fullmatch(text):
        raise OAuthError("invalid_request", "the body is no form")
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:  # also for percent-encoded bytes that are not UTF-8
        raise OAuthError("invalid_request", "the body is no form") from None
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if name in fields and name not in _REPEATABLE:
            raise OAuthError("invalid_request", "a parameter appears twice")
        fields[name] = (*fields.get(name, ()), value)
    # RFC 6749, section 3.2: without a value is as if omitted.
    kept = {name: tuple(filter(None, values)) for name, values in fields.items()}
    return {name: values for name, values in kept.items() if values}


def _read_credentials(
    parameters: Mapping[str, tuple[str, ...]], authorization: bytes | None
) -> Credentials | Assertion | None:
    named = parameters.get("client_id", (None,))[0]
    posted = parameters.get("client_secret", (None,))[0]
    asserted = parameters.get("client_assertion", (None,))[0]
    if sum(each is not None for each in (authorization, posted, asserted)) > 1:
        raise OAuthError("invalid_request", "two ways of client authentication at once")
    if asserted is not None:
        if parameters.get("client_assertion_type") != (ASSERTION_TYPE,):
            raise OAuthError("invalid_client", "no client_assertion_type that is taken here")
        return Assertion(asserted, named)
    if authorization is None:
        return None if named is None or posted is None else Credentials(named, posted)
    credentials = _read_basic(authorization)
    if named not in (None, credentials.client):
        raise OAuthError("invalid_request", "two client ids")
    return credentials


def _read_basic(authorization: bytes) -> Credentials:
    """`client_secret_basic`: both parts are form-encoded first (RFC 6749, section 2.3.1)."""
    header = _BASIC.fullmatch(authorization)
    try:
        pair = _PAIR.fullmatch(b64decode(header[1]).decode("latin-1")) if header else None
        parts = [unquote_plus(part, errors="strict") for part in pair.groups()] if pair else None
    except (NotBase64, UnicodeDecodeError):
        parts = None
    if parts is None:
        raise OAuthError("invalid_client", "the Authorization header is not readable")
    return Credentials(*parts)
