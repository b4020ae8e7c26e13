"""Signatures of webhooks (Standard Webhooks, version 1), on what we send and what we are sent."""

import hmac

PREFIX = "whsec_"
"""Before a secret that is written in base64."""


def signature(key: bytes, message_id: str, time: str, body: bytes) -> bytes:
    """HMAC-SHA-256 over a message's id, time and bytes: none of them can be exchanged.

    time  seconds since 1970, as its header spells them
    """
    return hmac.digest(key, f"{message_id}.{time}.".encode() + body, "sha256")
