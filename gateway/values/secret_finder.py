"""Secrets in arguments: known forms of keys and tokens, and canaries, also where they are encoded.

A canary is a text that an operator has planted where no honest call takes anything from. Looked
through is each text of a call, and what base64, base32, hexadecimal and percent-encoding in it
stand for, some levels deep. Somebody who means to hide a secret can spell it as nobody expects;
this finds what is copied, quoted or packed.
"""

import re
from base64 import b32decode, b64decode
from binascii import Error as NotEncoded
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote_plus

from audit.canonical import Json
from gateway.errors import CredentialMissing
from policies.errors import ConditionFailed
from policies.text import compatible

SHORTEST = 8
"""Letters and digits that a canary must have: a shorter text would be found where it is none."""

MOST = 1_000_000
"""Characters that are looked through for one call, decoded ones included."""

_FORMS: Mapping[str, re.Pattern[str]] = {
    "private-key": re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"),
    "access-key": re.compile(
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}|\b[rs]k_live_[A-Za-z0-9]{16,}"
    ),
    "token": re.compile(
        r"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{20,}|\bnpm_[A-Za-z0-9]{30,}"
        r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bsk-[\w-]{20,}"
        r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
    ),
    "password": re.compile(
        r"\b(?:pass(?:word|wd|phrase)|secret|api[_-]?key)[\"']?\s{0,3}[:=]\s{0,3}[\"']?[^\s\"']{4,}",
        re.IGNORECASE,
    ),
}
_RUNS = re.compile(r"[A-Za-z0-9+/_=-]{12,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){6,}")
_SIGNS = re.compile(r"[\W_]+")
_DEEPEST = 3
_SAMPLE = 256
_PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
_LINE_ENDS = re.compile(r"\s*\n\s*")
_MOST_RUNS = 64
_TO_BASE64 = str.maketrans("-_", "+/")


class SecretFinder:
    """Finds secrets in the arguments of calls.

    canaries  each with at least SHORTEST letters and digits

    Raises CredentialMissing for a shorter one.
    """

    def __init__(self, canaries: Iterable[str] = ()) -> None:
        self._canaries = frozenset(map(_compact, canaries))
        if any(len(canary) < SHORTEST for canary in self._canaries):
            raise CredentialMissing(f"a canary has at least {SHORTEST} letters and digits")

    def kinds(self, args: Mapping[str, Json]) -> frozenset[str]:
        """The kinds of secrets in the arguments: "canary", those with a known form, and
        "unsearched" where there is more than can be looked through.
        """
        texts = list(_texts(dict(args)))
        found: set[str] = set()
        left = MOST
        waiting = [(text, _DEEPEST) for text in (*texts, "".join(texts))]  # cut into several too
        while waiting:
            text, depth = waiting.pop()
            left -= len(text)
            if left < 0:
                return frozenset({*found, "unsearched"})
            found.update(self._in(text))
            if depth and _is_readable(text):
                waiting += [(decoded, depth - 1) for decoded in _decoded(text)]
        return frozenset(found)

    def _in(self, text: str) -> Iterator[str]:
        for kind, form in _FORMS.items():
            if form.search(text):
                yield kind
        if self._canaries:
            compact = _compact(text)
            if any(canary in compact for canary in self._canaries):
                yield "canary"


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for each in value.values():
                yield from _texts(each)
        case _:
            return


def _is_readable(text: str) -> bool:
    """Is it worth decoding further? What was decoded wrongly is noise."""
    if text.isascii():
        return True
    sample = text[:_SAMPLE]
    return sum(map(_PRINTABLE.__contains__, sample)) * 4 >= len(sample) * 3


def _compact(text: str) -> str:
    """Letters and digits alone: what stands between them, and case, is no disguise."""
    if not text.isascii():
        try:
            text = compatible(text)
        except ConditionFailed:
            return ""
    return _SIGNS.sub("", text).lower()


def _decoded(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote_plus(text, errors="replace")
    whole = _LINE_ENDS.sub("", text)  # encoded text is broken into lines
    for run in _HEX.findall(whole)[:_MOST_RUNS]:
        yield bytes.fromhex(run).decode("latin-1")
    for run in _RUNS.findall(whole)[:_MOST_RUNS]:
        yield from _of_run(run.rstrip("="))


def _of_run(run: str) -> Iterator[str]:
    """What a run may stand for, wherever in a group of signs it begins."""
    plain = run.translate(_TO_BASE64)
    for start in range(4):
        part = plain[start:]
        part = part[:-1] if len(part) % 4 == 1 else part
        yield _latin(b64decode, part + "=" * (-len(part) % 4))
    if run.isalnum() and run.upper() == run:
        yield _latin(b32decode, run + "=" * (-len(run) % 8))


def _latin(decode: Callable[[str], bytes], text: str) -> str:
    try:
        return decode(text).decode("latin-1")
    except (NotEncoded, ValueError):
        return ""
