"""Known secrets: texts that nobody but this process may read, in each spelling they usually take.

Whoever is given a credential tells of it here before using it. Whatever goes to agents, operators
or files is searched: results of upstreams (`gateway.links.masking`) and diagnostics
(`gateway.redaction`). Somebody who means to hide a secret can spell it as nobody expects; this
finds what is echoed, quoted, or packed into a URL, into JSON or into base64.
"""

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Characters that a credential must have: a shorter text would be found where it is none."""

_KEPT_IN_URLS = ("", "/", "!*'()", ";,/?:@&=+$!*'()#")  # by various encoders
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_BASE64_VARIANTS = (b"+/", b"-_")
_ESCAPED_BY_SOME = {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e", "+": "\\u002b"}


class KnownSecrets:
    """The secrets of one process; what was told twice is known until it was forgotten twice."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._secrets: Counter[str] = Counter()
        self._spelled: dict[str, frozenset[str]] = {}
        self.spellings: tuple[str, ...] = ()
        self._in_json: tuple[tuple[bytes, str], ...] = ()
        for secret in known:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Take this text out of everything from now on."""
        if not secret:
            return
        self._secrets[secret] += 1
        if secret not in self._spelled:
            self._spelled[secret] = spellings(secret)
            self._order()

    def forget(self, secret: str) -> None:
        """It is a secret no longer: what it opened has ended."""
        self._secrets[secret] -= 1
        if self._secrets[secret] <= 0:
            del self._secrets[secret]
            self._spelled.pop(secret, None)
            self._order()

    def within(self, raw: bytes) -> tuple[str, ...]:
        """The spellings that occur in a JSON text (UTF-8, only what must be is escaped)."""
        return tuple([spelling for needle, spelling in self._in_json if needle in raw])

    def without(self, text: str, mark: str) -> str:
        """The text with `mark` in place of every spelling of every secret."""
        return replaced(text, self.spellings, mark)

    def _order(self) -> None:
        every = frozenset().union(*self._spelled.values())
        # Replaced as wholes by whoever reads in another thread; the longest first, so that of a
        # secret within another none is left over.
        self.spellings = tuple(sorted(every, key=len, reverse=True))
        self._in_json = tuple(
            (_escaped(text).encode("utf-8", "surrogatepass"), text) for text in self.spellings
        )


def replaced(text: str, found: Iterable[str], mark: str) -> str:
    """The text with `mark` in place of each of `found`."""
    for spelling in found:
        if spelling in text:
            text = text.replace(spelling, mark)
    return text


def spellings(secret: str) -> frozenset[str]:
    """The secret as it stands by itself, in URLs, in JSON texts and in base64."""
    plain = {secret, *_in_base64(secret.encode("utf-8", "surrogatepass"))}
    in_urls = {spelled for text in plain for spelled in _in_url(text)}
    return frozenset(spelled for text in plain | in_urls for spelled in _in_json(text))


def _in_url(text: str) -> Iterator[str]:
    raw = text.encode("utf-8", "surrogatepass")
    for quoted in (quote_plus(raw), *(quote(raw, safe=kept) for kept in _KEPT_IN_URLS)):
        yield quoted
        yield _PERCENT.sub(lambda found: found[0].lower(), quoted)


def _in_json(text: str) -> Iterator[str]:
    yield text
    for escaped in (json.dumps(text)[1:-1], _escaped(text)):
        yield escaped
        yield escaped.replace("/", "\\/")
        yield "".join(_ESCAPED_BY_SOME.get(letter, letter) for letter in escaped)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_base64(secret: bytes) -> Iterator[str]:
    """Also within something longer: at each place in a group of three bytes."""
    whole = b64encode(secret).decode()
    yield from (whole.rstrip("="), whole.rstrip("=").translate(str.maketrans("+/", "-_")))
    if len(secret) < SHORTEST:
        return
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        own = (before + len(secret)) * 8 // 6  # characters that hold nothing of what follows
        for variant in _BASE64_VARIANTS:
            yield b64encode(bytes(before) + secret, variant)[shared:own].decode()
