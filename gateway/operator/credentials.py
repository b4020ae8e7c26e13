"""Operator keys: how a person proves to be one who may operate this gateway.

A key is `pvo_` and 32 random bytes, shown once; only its SHA-256 is kept, in one private file. It
looks like no access token and is none: each listener refuses the credential of the other.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit import canonical
from audit.errors import NotStrict
from gateway.identity import names, private_files
from gateway.identity.errors import AuthError, KeyFileRefused, NameInvalid

Role: TypeAlias = Literal["viewer", "approver", "author", "administrator"]
"""viewer         reads: requests, the log, policies, states
approver       decides on requests for approval
author         tests and proposes policies
administrator  activates policies, accepts tools, hands out and ends credentials and sessions
"""

ROLES: frozenset[Role] = frozenset(get_args(Role))

KEY_BYTES = 32

_PREFIX = "pvo_"
_KEY = re.compile(r"pvo_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Operator:
    """A person with roles here.

    groups  of which policies say who decides, `finance-leads`
    """

    name: str
    roles: frozenset[Role]
    groups: frozenset[str] = frozenset()

    def may(self, role: Role) -> bool:
        """Tell whether this person acts in that role; whoever has one may look."""
        return role in self.roles or (role == "viewer" and bool(self.roles))

    def check_names(self) -> None:
        """Raises NameInvalid for a name or a group that nobody can have."""
        names.user(self.name)
        for group in self.groups:
            names.group(group)


@dataclass(frozen=True, slots=True)
class _Registered:
    operator: Operator
    digest: str  # SHA-256 of the key, hex
    expires: int | None  # seconds since 1970


class Operators:
    """Everyone who holds a key, in memory and in one file."""

    def __init__(self, path: Path, registered: tuple[_Registered, ...] = ()) -> None:
        self._path = path
        self._registered = registered

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the file; where there is none nobody has a key.

        Raises KeyFileRefused when others may read it, or it is malformed.
        """
        if not (path.exists() or path.is_symlink()):
            return cls(path)
        try:
            value = canonical.read(private_files.read(path), max_bytes=private_files.MAX_BYTES)
            rows = _File.model_validate(value).operators
            return cls(path, tuple(row.registered() for row in rows))
        except (NotStrict, ValidationError, NameInvalid) as error:
            raise KeyFileRefused("not a list of operators", path=path) from error

    def all(self) -> tuple[Operator, ...]:
        """Everyone, by name."""
        return tuple(sorted((each.operator for each in self._registered), key=lambda o: o.name))

    def expires(self, name: str) -> int | None:
        """When this person's key ends, in seconds since 1970; None: never, or there is none."""
        return next((r.expires for r in self._registered if r.operator.name == name), None)

    def check(self, bearer: str, now_s: int) -> Operator:
        """Whose key this is.

        Raises AuthError: `missing`, `expired`, or `invalid` for everything else, an access token
        among it.
        """
        if not bearer:
            raise AuthError("missing", "an operator's key is needed")
        if not _KEY.fullmatch(bearer):
            raise AuthError("invalid", "not an operator's key")
        # Digests are compared, not keys: how long that takes says nothing about any key.
        digest = _digest(bearer)
        found = next((each for each in self._registered if each.digest == digest), None)
        if found is None:
            raise AuthError("invalid", "not an operator's key")
        if found.expires is not None and now_s >= found.expires:
            raise AuthError("expired", "this operator's key has ended")
        return found.operator

    def add(self, operator: Operator, random: bytes, *, expires: int | None = None) -> str:
        """Give an operator a key, made of `KEY_BYTES` random bytes; an earlier one ends.

        Returns the key: this is the only time that it is seen. Raises NameInvalid.
        """
        if len(random) != KEY_BYTES:
            raise ValueError(f"a key is made of {KEY_BYTES} random bytes")
        operator.check_names()
        key = _PREFIX + urlsafe_b64encode(random).rstrip(b"=").decode()
        others = self._without(operator.name)
        self._write((*others, _Registered(operator, _digest(key), expires)))
        return key

    def remove(self, name: str) -> None:
        """End an operator's key; nothing when there is none."""
        self._write(self._without(name))

    def _without(self, name: str) -> tuple[_Registered, ...]:
        return tuple(each for each in self._registered if each.operator.name != name)

    def _write(self, registered: tuple[_Registered, ...]) -> None:
        rows = [_Row.of(each) for each in registered]
        content = _File(operators=rows).model_dump(mode="json")
        private_files.replace(self._path, canonical.write(content))
        self._registered = registered


class _Row(BaseModel):
    """One operator as the file has it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    roles: list[Role]
    groups: list[str]
    key_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    expires: int | None

    @classmethod
    def of(cls, registered: _Registered) -> Self:
        operator = registered.operator
        return cls(
            name=operator.name,
            roles=sorted(operator.roles),
            groups=sorted(operator.groups),
            key_sha256=registered.digest,
            expires=registered.expires,
        )

    def registered(self) -> _Registered:
        operator = Operator(self.name, frozenset(self.roles), frozenset(self.groups))
        operator.check_names()
        return _Registered(operator, self.key_sha256, self.expires)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    operators: list[_Row]


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()
