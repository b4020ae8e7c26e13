"""Names: the spellings that tokens, clients and operators may use, one for each thing.

Visible ASCII only: a look-alike letter must not make a second name that reads like the first.
`agent:clerk` is never the name of a person.
"""

import re

from gateway.identity.errors import NameInvalid

_AGENT = re.compile(r"(?=.{1,64}\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")  # as in policy files
_USER = re.compile(r"(?!agent:)[!-~]{1,255}")  # `ana`, `ana@acme.example`, `idp|42`
_GROUP = re.compile(r"[!-~]{1,200}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what `secrets.token_urlsafe` makes may begin with -


def agent(text: object) -> str:
    """An agent's name, which is also its client id; raises NameInvalid."""
    return _matching(_AGENT, text, "an agent")


def user(text: object) -> str:
    """A person's name, as their identity provider gives it; raises NameInvalid."""
    return _matching(_USER, text, "a user")


def group(text: object) -> str:
    """The name of a group of people; raises NameInvalid."""
    return _matching(_GROUP, text, "a group")


def identifier(text: object) -> str:
    """An id that this gateway made, of a session or a token; raises NameInvalid."""
    return _matching(_ID, text, "an id")


def _matching(pattern: re.Pattern[str], text: object, what: str) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise NameInvalid(f"no name for {what}: expected {pattern.pattern}")
    return text
