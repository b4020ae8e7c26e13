"""Signed answers, checked again by whoever verifies a log: with nothing but its entries.

The entries of a log say which passkey is whose, what was asked, and what was signed. So a verifier
finds an answer that was signed by another key, over another request or for another verdict, one
whose passkey went back in its count, and one that is not signed though it had to be. Whose passkey
it is, the log alone says: who can write entries can register one of their own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from audit.assertion import PasskeyKey, check, has_grown
from audit.canonical import Json
from audit.errors import AssertionRefused, AuditError
from gateway.approval.request import DIGESTED, digest
from gateway.approval.signature import Said, Signature, Statement
from gateway.identity.passkeys import REGISTERED, REMOVED

_CONCERNED = b'"kind":"approval.', b'"kind":"passkey.', b'"kind":"operator.'


@dataclass(frozen=True, slots=True)
class _Key:
    operator: str
    key: PasskeyKey
    rp_id: str
    count: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked.

    signing     groups of which a yes is signed
    escalating  by terms, those that are asked for a signed yes later
    """

    digest: str
    signing: frozenset[str]
    escalating: Mapping[str, str]


class SignedAnswers:
    """The `EntryCheck` of what people signed."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._asked: dict[str, _Asked] = {}
        self._kinds: Mapping[str, Callable[[dict[str, Any]], str | None]] = {
            "approval.asked": self._ask,
            "approval.decided": self._decide,
            "approval.escalated": self._escalate,
            "approval.break-glass": self._break,
            "approval.ended": self._end,
            REGISTERED: self._register,
            REMOVED: self._remove,
            "operator.invited": self._begin_anew,
            "operator.removed": self._begin_anew,
        }

    def check(self, first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, str]]:
        """See `audit.sequence.EntryCheck`."""
        for index, raw in enumerate(entries, first):
            if any(kind in raw for kind in _CONCERNED):
                complaint = self._complaint(raw)
                if complaint is not None:
                    yield index, complaint

    def _complaint(self, raw: bytes) -> str | None:
        try:
            body = orjson.loads(raw)
            handle = self._kinds.get(body["kind"])
            return None if handle is None else handle(body)
        except AssertionRefused as error:
            return f"its signature: {error}"
        except (AuditError, KeyError, TypeError, ValueError, AttributeError):
            return "does not have the members of its kind"

    def _register(self, body: dict[str, Any]) -> None:
        key = PasskeyKey.read(body["key"])
        self._keys.setdefault(
            body["passkey"], _Key(body["operator"], key, body["rp_id"], body["count"])
        )

    def _remove(self, body: dict[str, Any]) -> None:
        self._keys.pop(body["passkey"], None)

    def _begin_anew(self, body: dict[str, Any]) -> None:
        for name in [name for name, key in self._keys.items() if key.operator == body["operator"]]:
            del self._keys[name]

    def _ask(self, body: dict[str, Any]) -> str | None:
        shown: dict[str, Json] = {name: body[name] for name in DIGESTED if name in body}
        signed = [each for each in body["obligations"] if each["passkey"]]
        signing = frozenset(each["from"] for each in signed)
        escalating = [each for each in signed if each.get("escalate")]
        later = {each["approval"]: each["escalate"]["to"] for each in escalating}
        self._asked[body["approval"]] = _Asked(body["digest"], signing, later)
        if digest(shown, body["nonce"]) != body["digest"]:
            return "its digest is not that of what was asked"
        return None

    def _escalate(self, body: dict[str, Any]) -> None:
        asked = self._asked.get(body["approval"])
        if asked is not None:
            groups = {asked.escalating[name] for name in body["terms"] if name in asked.escalating}
            self._asked[body["approval"]] = replace(asked, signing=asked.signing | groups)

    def _end(self, body: dict[str, Any]) -> None:
        self._asked.pop(body["approval"], None)

    def _decide(self, body: dict[str, Any]) -> str | None:
        asked = self._asked.get(body["approval"])
        if asked is None or body["digest"] != asked.digest:
            return "answers what was not asked"
        if body["state"] != "asked":
            del self._asked[body["approval"]]
        if body.get("signed") is None:
            is_owed = body["verdict"] == "approve" and asked.signing.intersection(body["groups"])
            return "is not signed, though it had to be" if is_owed else None
        return self._check_signature(body, body["verdict"])

    def _break(self, body: dict[str, Any]) -> str | None:
        asked = self._asked.pop(body["approval"], None)
        if asked is None or body["digest"] != asked.digest:
            return "answers what was not asked"
        if body["signed"] is None:
            return "is not signed, though it had to be" if asked.signing else None
        return self._check_signature(body, "break-glass")

    def _check_signature(self, body: dict[str, Any], said: Said) -> str | None:
        signature = Signature.from_json(body["signed"])
        known = self._keys.get(signature.passkey)
        if known is None or known.operator != body["by"]:
            return "is signed with a passkey that was not registered as theirs"
        if urlsplit(signature.origin).hostname != known.rp_id:
            return "is signed on a page of another name"
        statement = Statement(body["approval"], body["digest"], said, body["by"], signature.nonce)
        count = check(
            signature.assertion,
            challenge=statement.challenge(),
            key=known.key,
            rp_id=known.rp_id,
            origin=signature.origin,
        )
        if count != signature.count or not has_grown(known.count, count):
            return "is signed with a passkey whose count went back"
        self._keys[signature.passkey] = _Key(known.operator, known.key, known.rp_id, count)
        return None
