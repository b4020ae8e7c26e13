"""Idempotency keys: how a server tells that a call is the one that it has been sent before.

A server of which the policy says so (`idempotency` of a tool, with how long it remembers) is sent a
key with each call that may change something: in `_meta` of an MCP call, and over HTTP in the header
of draft-ietf-httpapi-idempotency-key-header-07 too. The key follows from the call's id alone, so a
step of a run that is made again after a crash goes with the same one, and the server acts once.
"""

import hashlib

HEADER = "Idempotency-Key"

ON_THE_WAY_S = 120
"""How long before its end a server's memory is not counted on any more: a call takes time too."""


def key_of(request_id: str) -> str:
    """The key of a call, from its id with us: 128 bits, hex; tells nothing of the run it is of."""
    return hashlib.sha256(b"passavant idempotency key\n" + request_id.encode()).hexdigest()[:32]


def is_remembered(remembers_s: int | None, sent_s: int | None, now_s: int) -> bool:
    """Whether a call may be sent again with its key, since its server still knows that.

    remembers_s  for how long the server remembers a key; None: it honours none
    sent_s       when the key was first sent, seconds since 1970; None: it never was
    """
    if remembers_s is None or sent_s is None:
        return False
    return now_s + ON_THE_WAY_S < sent_s + remembers_s


def header(key: str) -> dict[str, str]:
    """The header with a key, which is a structured string (section 2.1)."""
    return {HEADER: f'"{key}"'}


def header_line(key: str) -> bytes:
    """The same as a line of a request's head."""
    return b'%s: "%s"\r\n' % (HEADER.encode(), key.encode())
