"""Signatures: the passkey of a person signed their answer to one request.

No authenticator shows what it signs. So it signs 32 bytes that can have been made from one answer
alone: the digest of the request as it was shown, yes or no, who answers, and a number used once. An
answer with its signature stands whole in the log, where anybody can check it again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, cast

from audit import canonical
from audit.assertion import Assertion
from audit.canonical import Json
from audit.errors import AssertionRefused
from gateway.approval.request import Verdict
from gateway.errors import ApprovalRefused
from gateway.identity.passkeys import Passkeys, Site

MAX_BYTES = 4096
"""Longest assertion, its three parts together: an entry has to hold it beside the rest."""


Said: TypeAlias = Verdict | Literal["break-glass"]
"""What can be signed: an answer, or that one approves alone."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed.

    digest  of what was shown: `gateway.approval.request.digest`
    by      name of the operator who answers
    nonce   32 random bytes that are used once, hex
    """

    approval: str
    digest: str
    verdict: Said
    by: str
    nonce: str

    def challenge(self) -> bytes:
        """The 32 bytes that a passkey signs."""
        said: dict[str, Json] = {name: getattr(self, name) for name in self.__slots__}
        return hashlib.sha256(b"passavant-answer-v1\n" + canonical.write(said)).digest()


@dataclass(frozen=True, slots=True)
class Signature:
    """What a passkey answered to a statement, as the entry of the answer holds it.

    passkey  its id
    count    how often it says that it has signed
    origin   of the page on which it did
    """

    passkey: str
    count: int
    nonce: str
    origin: str
    assertion: Assertion

    def to_json(self) -> dict[str, Json]:
        """The members of `signed` in entry `approval.decided`."""
        return {
            "passkey": self.passkey,
            "count": self.count,
            "nonce": self.nonce,
            "origin": self.origin,
            **self.assertion.to_json(),
        }

    @classmethod
    def from_json(cls, signed: Mapping[str, Json]) -> Self:
        """The inverse of `to_json`. Raises AssertionRefused, KeyError or TypeError."""
        rest = {name: signed[name] for name in Assertion.__slots__}
        return cls(
            passkey=cast("str", signed["passkey"]),
            count=cast("int", signed["count"]),
            nonce=cast("str", signed["nonce"]),
            origin=cast("str", signed["origin"]),
            assertion=Assertion.read(rest),
        )


@dataclass(frozen=True, slots=True)
class Tap:
    """What came from somebody's browser and is still to be checked.

    passkeys  those that stand now
    nonce     which this very browser was given, hex
    """

    passkeys: Passkeys
    site: Site
    passkey: str
    nonce: str
    assertion: Assertion

    def check(self, statement: Statement) -> Signature:
        """The signature over `statement` by a passkey of who makes it.

        Raises ApprovalRefused (`approval.signature`).
        """
        passkey = self.passkeys.get(self.passkey)
        if passkey is None or passkey.operator != statement.by:
            raise ApprovalRefused("approval.signature", "this passkey is not registered as yours")
        if _size(self.assertion) > MAX_BYTES:
            raise ApprovalRefused("approval.signature", f"signed with more than {MAX_BYTES} bytes")
        try:
            count = passkey.check(self.assertion, statement.challenge(), self.site)
        except AssertionRefused as error:
            raise ApprovalRefused("approval.signature", str(error)) from error
        return Signature(passkey.id, count, self.nonce, self.site.origin, self.assertion)


def _size(assertion: Assertion) -> int:
    parts = assertion.client_data, assertion.authenticator_data, assertion.signature
    return sum(map(len, parts))
