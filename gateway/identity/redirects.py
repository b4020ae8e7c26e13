"""Redirects: where an application may have people sent back to, with a code in the address.

Compared letter by letter with what an operator registered (RFC 9700, section 2.1). One thing is
left open: an application that listens on the person's own machine takes whichever port is free
(RFC 8252, section 7.3).
"""

import re
from dataclasses import dataclass
from typing import Self

from gateway.identity.errors import RedirectRefused

MAX_CHARS = 512

_PLAIN = re.compile(r"[!-~]+")
_UNWANTED = frozenset('?#\\"<>^`{|}')
_HTTPS = re.compile(r"https://[a-z0-9.-]+(?::[1-9][0-9]{0,4})?/[^?#]*")
_HERE = re.compile(
    r"http://(?P<host>127\.0\.0\.1|\[::1\]|localhost)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/[^?#]*)?)"
)
_OWN_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{2,63}):(?:/[^/].*|//.+|[^/].*)")
_BROWSERS_OWN = re.compile(
    "about|blob|chrome|data|file|filesystem|ftp|https?|intent|javascript|mailto|resource|sms|tel"
    "|urn|vbscript|view-source|wss?"
)
"""Schemes by which a browser does something itself."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """One registered address: `https`, on this machine, or of a scheme of the application's own.

    uri  as it is registered
    """

    uri: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address that may be registered. Raises RedirectRefused."""
        if not (_PLAIN.fullmatch(text) and len(text) <= MAX_CHARS and _UNWANTED.isdisjoint(text)):
            raise RedirectRefused("a redirect address is visible ASCII without query or fragment")
        own = _OWN_SCHEME.fullmatch(text)
        is_own = own is not None and not _BROWSERS_OWN.fullmatch(own["scheme"])
        if not (is_own or _HTTPS.fullmatch(text) or _HERE.fullmatch(text)):
            raise RedirectRefused(
                "a redirect address is https://HOST/PATH, http://127.0.0.1/PATH, or of a scheme of"
                " the application's own"
            )
        return cls(text)

    @property
    def is_on_the_web(self) -> bool:
        """Whether a browser asks somebody for it; else some program on the machine takes it."""
        return self.uri.startswith("https://")

    @property
    def is_here(self) -> bool:
        """Whether it is on the person's own machine, at any port."""
        return _HERE.fullmatch(self.uri) is not None

    def covers(self, asked: str) -> bool:
        """Tell whether an application that registered this may ask to be sent back to `asked`."""
        if asked == self.uri:
            return True
        registered, found = _HERE.fullmatch(self.uri), _HERE.fullmatch(asked)
        if registered is None or found is None or not _UNWANTED.isdisjoint(asked):
            return False
        same = (registered["host"], registered["path"]) == (found["host"], found["path"])
        return same and int(found["port"] or 0) <= 65_535 and _PLAIN.fullmatch(asked) is not None
