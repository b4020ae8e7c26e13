"""Receipts: where an answer says which entry of the log recorded it."""

from gateway.action import Outcome


def receipt_header(outcome: Outcome) -> tuple[tuple[bytes, bytes], ...]:
    """`Audit-Receipt: <node>;<index>;<leaf>`; nothing where there is no entry."""
    if outcome.receipt is None:
        return ()
    return ((b"audit-receipt", str(outcome.receipt).encode()),)
