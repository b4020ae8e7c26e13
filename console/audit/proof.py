"""A proof, checked step by step: from the bytes of an entry to the signature over the whole log.

Nothing is taken from the log's word: the hashes are made here, from the entry's bytes upwards, and
the signature is verified with the log's public key. The first step that fails ends it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from audit.checkpoint import Checkpoint
from audit.entry import Entry
from audit.errors import AuditError
from audit.merkle import climb, hash_leaf
from audit.note import Verifier
from audit.proof import Proof


@dataclass(frozen=True, slots=True)
class Checked:
    """One step.

    value  the hash it comes to, or what else it looked at
    """

    what: str
    value: str
    ok: bool


def check(entry: Entry, proof: Proof, vkey: str) -> tuple[Checked, ...]:
    """Every step up to the end, or to the first that fails."""
    found: list[Checked] = []
    try:
        for step in _steps(entry, proof, vkey):
            found.append(step)
            if not step.ok:
                break
    except AuditError as error:
        found.append(Checked(str(error), error.code, ok=False))
    return tuple(found)


def _steps(entry: Entry, proof: Proof, vkey: str) -> Iterator[Checked]:
    leaf = hash_leaf(entry.raw)
    said = f"The {len(entry.raw)} bytes of the entry hash to its leaf (SHA-256 after a zero byte)"
    yield Checked(said, leaf.hex(), leaf == entry.leaf)
    yield Checked("The proof is of this entry", f"index {proof.index}", proof.index == entry.index)
    verifier = Verifier.parse(vkey)
    checkpoint = Checkpoint.parse(verifier.open(proof.note))
    root = leaf
    for at, step in enumerate(climb(leaf, proof.index, checkpoint.size, proof.path), 1):
        side = "left" if step.is_left else "right"
        root = step.node
        said = f"Step {at}: with the sibling {step.sibling.hex()[:16]}... on the {side}"
        yield Checked(said, root.hex(), ok=True)
    said = f"That is the root of the checkpoint over {checkpoint.size} entries"
    yield Checked(said, checkpoint.root.hex(), root == checkpoint.root)
    is_own = checkpoint.origin == verifier.name
    yield Checked("The checkpoint is of this log", checkpoint.origin, is_own)
    said = "The checkpoint is signed with the log's key (Ed25519)"
    yield Checked(said, f"{verifier.name}+{verifier.key_id.hex()}", ok=True)
