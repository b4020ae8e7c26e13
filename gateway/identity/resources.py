"""Resources: what a token may be asked for (RFC 8707): this gateway, or what lies below it."""

import re
from collections.abc import Iterable

from gateway.identity.errors import OAuthError

_BELOW = re.compile(r"(?:/[A-Za-z0-9_-]+)*/?")


def check_resources(named: Iterable[str], public_url: str) -> None:
    """Raise OAuthError (`invalid_target`) unless each of these is the gateway or below it."""
    for resource in named:
        below = resource.removeprefix(public_url)
        if not (resource.startswith(public_url) and _BELOW.fullmatch(below)):
            raise OAuthError("invalid_target", "not a resource of this gateway")
