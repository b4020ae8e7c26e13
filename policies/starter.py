"""The starter pack: a policy and its tests, ready to be written into a new home.

The two files lie beside this module and are valid as they are; the words that stand for what
differs from home to home are replaced when they are rendered.
"""

import re
from collections.abc import Sequence
from importlib.resources import files

from policies.errors import StarterRefused
from policies.text import is_plain

_NAMES = ("starter.policy.yaml", "starter.policy.test.yaml")
_REPOSITORY = "/demo/repo"
_APPROVERS = "members: [operator]"

# Inside a text in single quotes inside a text in double quotes: nothing that ends either.
_PATH = re.compile(r"(/(?!\.\.?(/|\Z))[^/'\"\\\x00-\x1f\x7f]+)+")
_PERSON = re.compile(r"[A-Za-z][A-Za-z0-9._@-]{0,63}")


def starter(repository: str, *, approvers: Sequence[str] = ("operator",)) -> dict[str, bytes]:
    """The starter policy and its tests by file name, for one repository.

    repository  absolute and normal path (no `..`, no doubled or final slash), without quotes,
                backslashes and characters that do not show
    approvers   the people who may decide what the policy asks

    Raises StarterRefused.
    """
    if not _PATH.fullmatch(repository) or not is_plain(repository):
        raise StarterRefused("the repository's path is not absolute, normal and free of quotes")
    if not approvers or not all(map(_PERSON.fullmatch, approvers)):
        raise StarterRefused("expected the names of approvers in letters, digits and . _ @ -")
    pack = files("policies") / "packs" / "starter"
    people = "members: [" + ", ".join(f'"{name}"' for name in approvers) + "]"
    return {
        name: (pack / name)
        .read_text("utf-8")
        .replace(_REPOSITORY, repository)
        .replace(_APPROVERS, people)
        .encode()
        for name in _NAMES
    }
