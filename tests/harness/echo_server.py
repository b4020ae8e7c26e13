"""A local MCP server that tells everybody its secret, in the way its one argument `at` names.

TOKEN=... echo_server.py

raw, url, base64, json, structured, error, rpc-error: in the answer
stderr, halves, stderr-base64: on standard error, at once or in two parts
"""

import json
import os
import sys
import time
from base64 import b64encode
from typing import Any
from urllib.parse import quote

SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}


def spelled(secret: str) -> dict[str, str]:
    """The ways a text can hold the secret."""
    return {
        "raw": f"it is {secret}.",
        "url": f"https://x.example/?token={quote(secret, safe='')}&y=1",
        "base64": b64encode(f"gw:{secret}".encode()).decode(),
        "json": json.dumps({"token": secret}),
    }


def result(secret: str, at: str) -> dict[str, Any]:
    """A CallToolResult that holds the secret as `at` says; of others a plain one."""
    text = spelled(secret).get(at, "done" if at != "error" else f"cannot use {secret}")
    made: dict[str, Any] = {
        "content": [{"type": "text", "text": text}],
        "isError": at == "error",
        "resultType": "complete",
    }
    if at == "structured":
        made["structuredContent"] = {"held": {secret: [1, {"again": secret}]}}
        made["_meta"] = {"example/held": secret}
        made["content"].append({"type": "blob", "data": spelled(secret)["base64"]})
    return made


def tools(secret: str) -> list[dict[str, Any]]:
    """Definitions that hold the secret; the name of the last one does."""
    schema = {**SCHEMA, "title": secret, "default": {"at": secret}}
    return [
        {"name": "look", "description": f"knows {secret}", "inputSchema": SCHEMA},
        {"name": "extra", "description": f"shows {secret}", "inputSchema": schema},
        {"name": f"use {secret}", "inputSchema": SCHEMA},
    ]


def main(secret: str) -> None:
    """Answer line by line."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            told = {"jsonrpc": "2.0", "id": message["id"], **reply(secret, message)}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


def reply(secret: str, message: dict[str, Any]) -> dict[str, Any]:
    """Result or error."""
    if message["method"] == "server/discover":
        return {"result": {"supportedVersions": ["2026-07-28"]}}
    if message["method"] == "tools/list":
        return {"result": {"tools": tools(secret)}}
    if message["method"] != "tools/call":
        return {"error": {"code": -32601, "message": f"no, by {secret}"}}
    at = message["params"]["arguments"].get("at", "")
    complain(secret, at)
    if at == "rpc-error":
        return {"error": {"code": -32000, "message": f"bad {secret}", "data": secret}}
    return {"result": result(secret, at)}


def complain(secret: str, at: str) -> None:
    """Say it on standard error."""
    texts = {
        "stderr": [f"token {secret} is bad\n"],
        "halves": ["x" * 990 + secret[:9], secret[9:] + " is bad\n"],
        "stderr-base64": [spelled(secret)["base64"] + "\n"],
    }
    for text in texts.get(at, ()):
        sys.stderr.write(text)
        sys.stderr.flush()
        time.sleep(0.02)  # so that it arrives in two parts


if __name__ == "__main__":
    main(os.environ["TOKEN"])
