"""Messages: what somebody outside sends to start a flow, signed as Standard Webhooks has it.

A message is good for a few minutes; within those its id tells that it is the same one.
Specification: standardwebhooks.com, version 1.
"""

import base64
import hmac
import re
from binascii import Error as NotBase64
from collections.abc import Mapping

from gateway.errors import RequestRefused
from gateway.webhook_signature import PREFIX, signature

MAX_BYTES = 64 * 1024
"""Longest message: what a run can be given."""

TOLERANCE_S = 300
"""How far the time of a message may be from ours, either way."""

_ID = re.compile(r"[!-~]{1,200}")
_TIME = re.compile(r"[1-9][0-9]{0,11}")


def check(headers: Mapping[bytes, bytes], body: bytes, secret: str, now_s: int) -> str:
    """The id of a message that is signed with the secret, and new.

    headers  by name in lower case

    Raises RequestRefused (`trigger.signature`, `trigger.time`).
    """
    message, time = _text(headers, b"webhook-id"), _text(headers, b"webhook-timestamp")
    if not _ID.fullmatch(message) or not _TIME.fullmatch(time):
        raise RequestRefused("trigger.signature", "the message is not signed as it must be")
    expected = signature(_key(secret), message, time, body)
    given = [each for each in _text(headers, b"webhook-signature").split(" ") if each]
    # All are compared, whichever fits.
    if sum(hmac.compare_digest(expected, _signature(each)) for each in given) == 0:
        raise RequestRefused("trigger.signature", "the message is not signed as it must be")
    if abs(now_s - int(time)) > TOLERANCE_S:
        raise RequestRefused("trigger.time", "the message is too old, or of a time to come")
    return message


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _key(secret: str) -> bytes:
    """The bytes of a secret: base64 behind its prefix, or the text itself."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except NotBase64:
        return secret.encode()


def _signature(text: str) -> bytes:
    version, _, written = text.partition(",")
    try:
        return base64.b64decode(written, validate=True) if version == "v1" else b""
    except (NotBase64, ValueError):
        return b""
