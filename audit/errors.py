"""What can go wrong with the evidence.

AuditError
├── MalformedKey          audit.key-malformed         a verifier key (vkey) is unreadable
├── MalformedNote         audit.note-malformed        a signed note is unreadable
├── BadSignature          audit.signature             a note is not signed by the key
├── MalformedCheckpoint   audit.checkpoint-malformed  origin, size and root are unreadable
├── MalformedProof        audit.proof-malformed       a tlog-proof is unreadable
├── MalformedPin          audit.pin-malformed         a receipt or pinned checkpoint is unreadable
├── NotIncluded           audit.not-included          an entry is not where a proof says
├── NotConsistent         audit.not-consistent        a tree is not the beginning of another
└── TileConflict          audit.tile-conflict         a published file differs from the log
"""


class AuditError(Exception):
    """The base of every error of this package; `code` is stable."""

    code = "audit"


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


class NotIncluded(AuditError):
    """An inclusion proof does not lead from the leaf to the root."""

    code = "audit.not-included"


class NotConsistent(AuditError):
    """A consistency proof does not lead to both roots: the tree did not only grow."""

    code = "audit.not-consistent"


class TileConflict(AuditError):
    """A published file exists with other bytes than the log gives: an alarm, never replaced."""

    code = "audit.tile-conflict"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: published bytes differ from the log")
        self.path = path
