"""Definitions of the memory tools, as agents see them; they are pinned like those of any server.

Whose memory is meant is no argument: it follows from the credential. A key is any text and means
itself alone; it is no pattern and no path.
"""

from audit.canonical import Json

SERVER = "memory"
"""The reserved name of the server that these are tools of."""

MAX_KEY = 256
MAX_VALUE = 256 * 1024
"""Longest key and value, in characters; a value has no more bytes in UTF-8 either."""
MOST_FOUND = 20
"""How many entries a search tells of."""

_KEY: Json = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
_SPACE: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "description": "A shared space that you were told of. Left out: the memory of this session.",
}


def _tool(name: str, title: str, description: str, **properties: Json) -> dict[str, Json]:
    required: list[Json] = [key for key in properties if key != "keep_s"]
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {**properties, "space": _SPACE},
            "required": required,
            "additionalProperties": False,
        },
    }


DEFINITIONS: tuple[dict[str, Json], ...] = (
    _tool(
        "put",
        "Remember",
        "Keep a text under a key, in the place of what was there.",
        key=_KEY,
        value={"type": "string", "maxLength": MAX_VALUE},
        keep_s={
            "type": "integer",
            "minimum": 1,
            "maximum": 366 * 86400,
            "description": "Forget it after so many seconds.",
        },
    ),
    _tool("get", "Recall", "Read what is kept under a key, and who wrote it.", key=_KEY),
    _tool(
        "search",
        "Search memory",
        f"Find up to {MOST_FOUND} entries, newest first, whose key or text holds these words.",
        text=_KEY,
    ),
    _tool("delete", "Forget", "Forget what is kept under a key.", key=_KEY),
)
