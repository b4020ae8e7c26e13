"""Messages: what a webhook is sent, and how it is signed (Standard Webhooks, version 1).

A message says that there is something to look at and where; never what the arguments are, who is
concerned, or why. The receiver sees by the signature that it is ours, by the time that it is no old
one sent again, and by the id, which stays the same when we try again, that it had it before.
"""

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from audit.canonical import Json
from gateway.errors import CredentialMissing
from gateway.webhook_signature import PREFIX, signature

_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True)
class Secret:
    """What the messages of one webhook are signed with."""

    key: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the spelling `whsec_<base64>`. Raises CredentialMissing; the message has no part."""
        try:
            key = b64decode(text.removeprefix(PREFIX), validate=True)
        except (NoBase64, ValueError):
            key = b""
        if not text.startswith(PREFIX) or len(key) not in _BYTES:
            raise CredentialMissing(
                "the secret of a webhook is whsec_ and base64 of 24 to 64 bytes"
            )
        return cls(key)

    def headers(self, message_id: str, now_s: int, body: bytes) -> dict[str, str]:
        """The headers that go with `body`."""
        time = str(now_s)
        signed = b64encode(signature(self.key, message_id, time, body)).decode()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": time,
            "webhook-signature": f"v1,{signed}",
        }


def body_of(kind: str, at: int, data: Mapping[str, Json]) -> dict[str, Json]:
    """The body of a message; `at` in microseconds since 1970."""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": kind, "timestamp": moment, "data": dict(data)}
