"""Approvals, checked again by whoever verifies a log: with nothing but its entries.

The entries say what was asked, of whom, who answered, what was signed and what was done with it. So
a verifier counts every quorum anew and finds an answer that was signed by another key, over another
request or for another verdict; one that is not signed though it had to be; a passkey whose count
went back; and a call that was let through by a request that nobody approved, or twice by one.

Who is in a group, and whose passkey it is, the log alone says: who can write entries can register
a passkey of their own. What a passkey did not sign, they cannot make it have signed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from audit.assertion import PasskeyKey, check, has_grown
from audit.canonical import Json
from audit.errors import AssertionRefused, AuditError
from gateway.approval.emergency import longest_s
from gateway.approval.quorum import answered, must_sign, retracted
from gateway.approval.request import DIGESTED, Request, Vote, digest
from gateway.approval.signature import Said, Signature, Statement
from gateway.identity.passkeys import REGISTERED, REMOVED

_CONCERNED = b'"approval":"', b'"kind":"passkey.', b'"kind":"operator.'

_Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Key:
    operator: str
    key: PasskeyKey
    rp_id: str
    count: int


class SignedAnswers:
    """The `EntryCheck` of approvals; it remembers the requests that are open, and the passkeys."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._open: dict[str, Request] = {}
        self._kinds: Mapping[str, Callable[[_Body], str | None]] = {
            "approval.asked": self._ask,
            "approval.decided": self._decide,
            "approval.retracted": self._retract,
            "approval.escalated": self._escalate,
            "approval.break-glass": self._break,
            "approval.ended": self._end,
            "decision": self._use,
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

    # -- requests

    def _ask(self, body: _Body) -> str | None:
        shown: dict[str, Json] = {name: body[name] for name in DIGESTED if name in body}
        self._open[body["approval"]] = Request.from_entry(body, 0, "")
        if digest(shown, body["nonce"]) != body["digest"]:
            return "its digest is not that of what was asked"
        return None

    def _decide(self, body: _Body) -> str | None:
        request = self._open.get(body["approval"])
        if request is None or body["digest"] != request.digest:
            return "answers what was not asked"
        wrong, signature = None, None
        if body.get("signed") is None:
            is_owed = body["verdict"] == "approve" and must_sign(request, body["groups"])
            wrong = "is not signed, though it had to be" if is_owed else None
        else:
            signature = Signature.from_json(body["signed"])
            wrong = self._check_signature(body, signature, body["verdict"])
        if wrong is not None:
            return wrong
        passkey = None if signature is None else signature.passkey
        after = answered(request, replace(Vote.from_json(body), passkey=passkey))
        self._open[request.id] = after
        if body["state"] == "approved" and after.state != "approved":
            return "says that it is approved, though too few have agreed"
        return None

    def _retract(self, body: _Body) -> None:
        request = self._open.get(body["approval"])
        if request is not None:
            self._open[request.id] = retracted(request, body["by"])

    def _escalate(self, body: _Body) -> None:
        request = self._open.get(body["approval"])
        if request is not None:
            terms = request.escalated.union(body["terms"])
            self._open[request.id] = replace(request, escalated=terms)

    def _break(self, body: _Body) -> str | None:
        request = self._open.get(body["approval"])
        if request is None or request.state != "asked" or body["digest"] != request.digest:
            return "answers what was not asked"
        if not longest_s(request) or body["by"] in request.askers:
            return "is approved alone by whom the terms do not name"
        if body["signed"] is not None:
            signature = Signature.from_json(body["signed"])
            wrong = self._check_signature(body, signature, "break-glass")
        else:
            is_owed = any(each.passkey for each in request.obligations)
            wrong = "is not signed, though it had to be" if is_owed else None
        if wrong is None:
            self._open[request.id] = replace(request, state="approved")
        return wrong

    def _end(self, body: _Body) -> None:
        self._open.pop(body["approval"], None)

    def _use(self, body: _Body) -> str | None:
        """A decision that carries a claim: it is the one use of a request that was approved.

        One that was answered with "wait" or "no" carries none, though it says who is asked.
        """
        if body["approval"] is None:
            return None
        request = self._open.pop(body["approval"], None)
        if request is None or request.state != "approved":
            return "lets a call through by a request that was not approved, or was used"
        return None

    # -- passkeys

    def _register(self, body: _Body) -> None:
        key = PasskeyKey.read(body["key"])
        self._keys.setdefault(
            body["passkey"], _Key(body["operator"], key, body["rp_id"], body["count"])
        )

    def _remove(self, body: _Body) -> None:
        self._keys.pop(body["passkey"], None)

    def _begin_anew(self, body: _Body) -> None:
        for name in [name for name, key in self._keys.items() if key.operator == body["operator"]]:
            del self._keys[name]

    def _check_signature(self, body: _Body, signature: Signature, said: Said) -> str | None:
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
        self._keys[signature.passkey] = replace(known, count=count)
        return None
