"""Redaction: takes credentials, arguments and bodies out of what operators may read.

Three nets, each for what slips through the others: secrets that are known by their text, texts
that look like a credential, and members whose name says that they hold one or somebody's words.
What is no plain value is shown as the name of its type, since its text could hold anything.
"""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from types import TracebackType

from gateway.known_secrets import KnownSecrets

REDACTED = "[redacted]"
WITHHELD = "[withheld]"

LONGEST = 2000
"""Characters of one text that are shown."""
_EXAMINED = 16 * 1024  # longer texts are withheld: a cut could leave the head of a secret
_DEEPEST = 6
_MOST = 100  # members of one list or mapping
_FRAMES = 25

_CREDENTIAL_NAME = re.compile(
    r"password|passwd|passphrase|secret|token|authorization|cookie|credential|assertion"
    r"|api_?key|private_?key|dpop|jwt|\bkek\b"
)
_WORDS_NAME = re.compile(
    r"args|arguments|body|content|headers|input|params|parameters|payload|purpose|result|words"
)
_LOOKS_SECRET = (
    re.compile(
        r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL
    ),
    re.compile(r"(?<=://)[^/?#\s]+(?=@)"),
    re.compile(r"(?i)\b(?:bearer|basic|dpop|digest|negotiate)[ +]+[A-Za-z0-9._~+/=%-]{6,}"),
    re.compile(r"(?i)\b(?:authorization|cookie)\b[\\\"']{0,3}\s{0,8}[:=,][^\r\n]+"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,4}"),
    re.compile(r"\bpv[a-z]_[A-Za-z0-9_-]{6,}"),
    re.compile(r"\b(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}|\bgh[a-z]_[A-Za-z0-9]{16,}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{16,}|\bxox[a-z]-[A-Za-z0-9-]{8,}|\bAKIA[A-Z0-9]{16}\b"),
    re.compile(r"\$(?:scrypt|argon2id?|2[aby])\$[^\s\"']+"),
    re.compile(
        r"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|assertion)"
        r"\\*[\"']?\s{0,8}[=:]\s{0,8}(?:\\*\"[^\"]*\"?|\\*'[^']*'?|[^\s&,;]+)"
    ),
)
_OURS = frozenset({"audit", "policies", "gateway", "orchestration", "console", "cli"})

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


class Redaction:
    """Makes values fit to be read by people.

    known  the secrets of this process; whoever is given one tells it
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.known = KnownSecrets(known)

    def text(self, text: str) -> str:
        """The text without anything that is, or looks like, a credential; cut at LONGEST."""
        if len(text) > _EXAMINED:
            return f"[withheld: {len(text)} characters]"
        text = self.known.without(text, REDACTED)
        for pattern in _LOOKS_SECRET:
            text = pattern.sub(REDACTED, text)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"

    def members(self, members: Mapping[str, object], depth: int = 0) -> dict[str, Plain]:
        """Every member by its own name: credentials redacted, people's words withheld."""
        shown: dict[str, Plain] = {}
        for name, value in list(members.items())[:_MOST]:
            lower = str(name).lower().replace("-", "_")
            if value is None or isinstance(value, bool):
                shown[self.text(str(name))] = value
            elif _CREDENTIAL_NAME.search(lower):
                shown[self.text(str(name))] = REDACTED
            elif _WORDS_NAME.fullmatch(lower):
                shown[self.text(str(name))] = WITHHELD
            else:
                shown[self.text(str(name))] = self.value(value, depth)
        return shown

    def value(self, value: object, depth: int = 0) -> Plain:
        """Any value, as something that JSON holds."""
        if depth > _DEEPEST:
            return WITHHELD
        match value:
            case None | bool():
                return value
            case str() | PurePath():
                return self.text(str(value))
            case int():
                return value if self.text(str(value)) == str(value) else REDACTED
            case float():
                return value if math.isfinite(value) else str(value)
            case Mapping():
                return self.members(value, depth + 1)
            case list() | tuple() | set() | frozenset():
                return [self.value(item, depth + 1) for item in list(value)[:_MOST]]
            case BaseException():
                return self.error(value, depth + 1)
            case _:
                return f"<{type(value).__name__}>"

    def error(self, error: BaseException, depth: int = 0) -> Plain:
        """What an error is and where it came from.

        Its message is shown only when the error is one of ours, which promise to hold nothing
        secret; another library's may quote what it was given. No value of a frame is ever shown.
        """
        if depth > _DEEPEST:
            return WITHHELD
        kind = type(error)
        shown: dict[str, Plain] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
        if kind.__module__.partition(".")[0] in _OURS:
            shown["message"] = self.text(str(error))
        elif isinstance(error, OSError):
            shown["message"] = self.text(error.strerror or "")
        shown["at"] = _places(error.__traceback__)
        if isinstance(error, BaseExceptionGroup):
            shown["errors"] = [self.error(inner, depth + 1) for inner in error.exceptions[:_MOST]]
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            shown["cause"] = self.error(cause, depth + 1)
        return shown


def _places(trace: TracebackType | None) -> list[Plain]:
    """Module, line and function of the innermost frames, outermost first."""
    places: list[Plain] = []
    while trace is not None:
        frame = trace.tb_frame
        module = frame.f_globals.get("__name__", "?")
        places.append(f"{module}:{trace.tb_lineno} {frame.f_code.co_qualname}")
        trace = trace.tb_next
    return places[-_FRAMES:]
