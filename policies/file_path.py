"""Paths in conditions: is one file below another, whatever way it is written?

Only the text is known here. Symbolic links, mounts and the working directory of whoever opens the
file are not: a root that a stranger can plant links in is no boundary.
"""

import re
import unicodedata

from policies.errors import ConditionFailed
from policies.text import is_plain

MAX_LENGTH = 4_096

_ENCODED = re.compile(r"%(?:[0-9A-Fa-f]{2}|[uU])")
# Two or more dots, also with blanks around, which some systems drop: `..`, `...`, `.. `.
_UPWARDS = re.compile(r"[ .]*\.[ .]*\.[ .]*")
_SYNTAX = "/\\.%\x00"


def normal(path: str) -> str:
    """The absolute path without `.`, empty steps and a final slash.

    Raises ConditionFailed for what means different files to different readers: a relative path,
    a step upwards, a backslash, percent-encoding, NUL and other invisible characters, `//` in
    front, and letters that some normalisation turns into one of these.
    """
    if len(path) > MAX_LENGTH:
        raise ConditionFailed(f"a path has at most {MAX_LENGTH} characters")
    if not is_plain(path):
        raise ConditionFailed("path holds invisible characters or is not in NFC")
    if not path.startswith("/") or path.startswith("//"):
        raise ConditionFailed("path does not start with one slash")
    if "\\" in path or _ENCODED.search(path):
        raise ConditionFailed("path holds a backslash or percent-encoding")
    if not path.isascii() and _hides_syntax(path):
        raise ConditionFailed("path holds a letter that may be read as a dot or a slash")
    steps = [step for step in path.split("/") if step not in {"", "."}]
    if any(_UPWARDS.fullmatch(step) for step in steps):
        raise ConditionFailed("path steps upwards")
    return "/" + "/".join(steps)


def is_under(path: str, root: str) -> bool:
    """Is the normal path `root` itself or something below it?"""
    return path == root or path.startswith(root if root == "/" else root + "/")


def _hides_syntax(path: str) -> bool:
    compatible = unicodedata.normalize("NFKC", path)
    return any(compatible.count(sign) != path.count(sign) for sign in _SYNTAX)
