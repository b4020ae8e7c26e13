"""Pins: what a tool was like when a person accepted it.

A pin is the digest of a definition's sorted members. Those that MCP names are title, description,
both schemas and annotations beside the name; any further member is covered too, since it would
otherwise be an unreviewed way to the model.
"""

import hashlib
from collections.abc import Mapping

from audit.canonical import Json
from gateway.links.jsonrpc import dump_sorted


def pin(definition: Mapping[str, Json]) -> str:
    """SHA-256, in hex, of the definition's JSON with sorted members; their order does not count."""
    return hashlib.sha256(dump_sorted(dict(definition))).hexdigest()
