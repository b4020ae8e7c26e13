"""A local MCP server that never answers a call; run by its path.

    silent_server.py modern|legacy FILE

What it hears is appended to FILE, so that a test can see what reached it.
"""

import json
import sys
from pathlib import Path
from typing import Any

TOOL: dict[str, Any] = {"name": "think", "inputSchema": {"type": "object"}}


def main(era: str, record: str) -> None:
    for line in sys.stdin:
        with Path(record).open("a") as file:
            file.write(line)
        message = json.loads(line)
        method = message.get("method")
        if method == "server/discover" and era == "modern":
            answer(message, result={"supportedVersions": ["2026-07-28"]})
        elif method == "initialize" and era == "legacy":
            answer(message, result={"protocolVersion": "2025-11-25"})
        elif method == "tools/list":
            answer(message, result={"tools": [TOOL]})
        elif "id" in message and method != "tools/call":
            answer(message, error={"code": -32601, "message": "no"})


def answer(message: dict[str, Any], **members: object) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **members}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
