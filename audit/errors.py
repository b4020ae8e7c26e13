"""What can go wrong with the evidence.

AuditError
├── NotStrict             malformed, too_large, too_deep  JSON outside the accepted form
├── EntryRefused          audit.entry-refused         a record that cannot become an entry
├── AuditUnavailable      audit_unavailable           nothing can be promised durable now: deny
├── NoSuchEntry           audit.no-such-entry         an index that is not committed
├── LogUnusable           audit.log-unusable          the log on disk must not be written to
│   ├── LogLocked         audit.log-locked            another process holds it
│   ├── LogDamaged        audit.log-damaged           acknowledged bytes are altered or missing
│   └── LogRolledBack     audit.log-rolled-back       shorter or other than was acknowledged
├── SealError             audit.sealed                an erasable payload cannot be read
│   ├── SubjectErased     audit.sealed-erased         its subject's key is destroyed or unknown
│   └── SealBroken        audit.sealed-broken         wrong key, altered ciphertext or commitment
├── QueryInvalid          audit.query-invalid         a search that cannot be understood
├── MalformedKey          audit.key-malformed         a verifier key (vkey) is unreadable
├── MalformedNote         audit.note-malformed        a signed note is unreadable
├── BadSignature          audit.signature             a note is not signed by the key
├── MalformedCheckpoint   audit.checkpoint-malformed  origin, size and root are unreadable
├── MalformedProof        audit.proof-malformed       a tlog-proof is unreadable
├── MalformedPin          audit.pin-malformed         a receipt or pinned checkpoint is unreadable
├── MalformedBundle       audit.bundle-malformed      an entry bundle ends within an entry
├── Unreadable            audit.unreadable            a published file is not what it must be
├── NotIncluded           audit.not-included          an entry is not where a proof says
├── AssertionRefused      audit.assertion             a passkey did not sign what it should have
├── NotConsistent         audit.not-consistent        a tree is not the beginning of another
└── TileConflict          audit.tile-conflict         a published file differs from the log
"""

from typing import Literal


class AuditError(Exception):
    """The base of every error of this package; `code` is stable."""

    code: str = "audit"


class NotStrict(AuditError):
    """A JSON text or value is outside the form that is read and written here."""

    def __init__(self, code: Literal["malformed", "too_large", "too_deep"], message: str) -> None:
        super().__init__(message)
        self.code = code


class EntryRefused(AuditError):
    """A record cannot become an entry: a float, a key, its size, a reserved field."""

    code = "audit.entry-refused"


class AuditUnavailable(AuditError):
    """The log cannot promise that the entry is durable: whoever waits must deny.

    The entry may still become durable later (a wait that ran out, a crash between sync and
    answer): the log is a superset of what was acknowledged.
    """

    code = "audit_unavailable"


class NoSuchEntry(AuditError):
    """An index is not (yet) committed."""

    code = "audit.no-such-entry"

    def __init__(self, index: int, size: int) -> None:
        super().__init__(f"entry {index} is not in a log of {size} entries")
        self.index, self.size = index, size


class LogUnusable(AuditError):
    """The log on disk must not be written to."""

    code = "audit.log-unusable"


class LogLocked(LogUnusable):
    """Another process holds the log; two writers with one key would fork it."""

    code = "audit.log-locked"


class LogDamaged(LogUnusable):
    """Acknowledged entries are altered, missing or foreign; `place` says where."""

    code = "audit.log-damaged"

    def __init__(self, message: str, *, place: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


class LogRolledBack(LogUnusable):
    """The log is shorter than, or other than, what was acknowledged or published."""

    code = "audit.log-rolled-back"

    def __init__(self, message: str, *, found: int, expected: int) -> None:
        super().__init__(message)
        self.found, self.expected = found, expected


class SealError(AuditError):
    """An erasable payload cannot be read."""

    code = "audit.sealed"


class SubjectErased(SealError):
    """The subject's key was destroyed, or never existed: the payload stays noise."""

    code = "audit.sealed-erased"


class SealBroken(SealError):
    """The key, the ciphertext or the commitment is not the right one."""

    code = "audit.sealed-broken"


class QueryInvalid(AuditError):
    """A search cannot be understood; `term` is the part that was not."""

    code = "audit.query-invalid"

    def __init__(self, message: str, *, term: str) -> None:
        super().__init__(message)
        self.term = term


class MalformedKey(AuditError):
    """A verifier key is not `name+id+key`, or its id belongs to another key."""

    code = "audit.key-malformed"


class MalformedNote(AuditError):
    """Bytes are not a signed note: text, blank line, signature lines."""

    code = "audit.note-malformed"


class BadSignature(AuditError):
    """A note carries no signature of the key, or one that does not verify."""

    code = "audit.signature"


class MalformedCheckpoint(AuditError):
    """A text is not origin, size and root."""

    code = "audit.checkpoint-malformed"


class MalformedProof(AuditError):
    """A text is not a c2sp.org/tlog-proof@v1."""

    code = "audit.proof-malformed"


class MalformedPin(AuditError):
    """A line or note of a pin file is neither a receipt nor a checkpoint."""

    code = "audit.pin-malformed"


class MalformedBundle(AuditError):
    """A published bundle of entries ends within one of them."""

    code = "audit.bundle-malformed"


class Unreadable(AuditError):
    """A path of a published log holds no regular file of an acceptable form."""

    code = "audit.unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path, self.reason = path, reason


class NotIncluded(AuditError):
    """An inclusion proof does not lead from the leaf to the root."""

    code = "audit.not-included"


class AssertionRefused(AuditError):
    """A person's passkey did not sign this, here, with its owner verified; or it is no passkey."""

    code = "audit.assertion"


class NotConsistent(AuditError):
    """A consistency proof does not lead to both roots: the tree did not only grow."""

    code = "audit.not-consistent"


class TileConflict(AuditError):
    """A published file exists with other bytes than the log gives: an alarm, never replaced."""

    code = "audit.tile-conflict"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: published bytes differ from the log")
        self.path = path
