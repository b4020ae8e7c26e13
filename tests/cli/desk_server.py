"""A local MCP server whose every text is hostile to a terminal; run by its path."""

import json
import sys
from typing import Any

HOSTILE = "\x1b[2Jgone \u202elaer\x00\r\nok   1  forged line\u2028\x9b31m"

TOOLS = [
    {
        "name": "say",
        "description": HOSTILE,
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
    {
        "name": "pay",
        "description": "moves money",
        "inputSchema": {
            "type": "object",
            "properties": {"amount": {"type": "integer"}, "note": {"type": "string"}},
            "required": ["amount"],
        },
    },
]


def result(method: str | None) -> dict[str, Any] | None:
    match method:
        case "server/discover":
            return {"supportedVersions": ["2026-07-28"]}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return {
                "content": [{"type": "text", "text": HOSTILE}, {"type": "image", "data": ""}],
                "resultType": "complete",
            }
    return None


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        found = result(message.get("method"))
        answer = (
            {"error": {"code": -32601, "message": "no"}} if found is None else {"result": found}
        )
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
