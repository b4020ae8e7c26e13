"""A local MCP server that does what its one tool's argument `do` says; run by its path.

    stdio_server.py modern|legacy [FILE]

What it hears is appended to FILE, so that a test can see what reached it.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOOL: dict[str, Any] = {"name": "do", "inputSchema": {"type": "object"}}


def main(era: str, record: str | None) -> None:
    for line in sys.stdin:
        if record is not None:
            with Path(record).open("a") as file:
                file.write(line)
        hear(era, json.loads(line))


def hear(era: str, message: dict[str, Any]) -> None:
    method = message.get("method")
    if method == "server/discover" and era == "modern":
        answer(message, {"supportedVersions": ["2026-07-28"]})
    elif method == "initialize" and era == "legacy":
        answer(message, {"protocolVersion": "2025-11-25"})
    elif method == "tools/list":
        answer(message, {"tools": [TOOL]})
    elif method == "tools/call":
        arguments = message["params"]["arguments"]
        globals()[f"do_{arguments['do']}"](message, arguments)
    elif "id" in message and method is not None:
        say({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}})


def say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def answer(message: dict[str, Any], result: dict[str, Any]) -> None:
    say({"jsonrpc": "2.0", "id": message["id"], "result": result})


def tell(message: dict[str, Any], text: object) -> None:
    answer(message, {"content": [{"type": "text", "text": json.dumps(text)}]})


def do_echo(message: dict[str, Any], arguments: dict[str, Any]) -> None:
    tell(message, arguments)


def do_environment(message: dict[str, Any], _arguments: dict[str, Any]) -> None:
    tell(message, dict(os.environ))


def do_process(message: dict[str, Any], _arguments: dict[str, Any]) -> None:
    tell(message, [os.getpid(), os.getpgid(0), str(Path.cwd())])


def do_wait(_message: dict[str, Any], _arguments: dict[str, Any]) -> None:
    pass


def do_die(_message: dict[str, Any], _arguments: dict[str, Any]) -> None:
    os._exit(3)


def do_linger(message: dict[str, Any], _arguments: dict[str, Any]) -> None:
    """Start a child that holds the output open and does not heed the end of its input."""
    child = subprocess.Popen(["/bin/sleep", "600"])
    tell(message, child.pid)


def do_last_words(message: dict[str, Any], _arguments: dict[str, Any]) -> None:
    tell(message, "last")
    os._exit(0)


def do_print(message: dict[str, Any], arguments: dict[str, Any]) -> None:
    for line in arguments["lines"]:
        sys.stdout.write(line + "\n")
    tell(message, "after")


def do_raw(message: dict[str, Any], arguments: dict[str, Any]) -> None:
    text = arguments["text"].replace("ID", str(message["id"]))
    sys.stdout.buffer.write(text.encode("latin-1") * arguments.get("times", 1) + b"\n")
    sys.stdout.buffer.flush()


def do_flood(message: dict[str, Any], arguments: dict[str, Any]) -> None:
    for _ in range(arguments["times"]):
        say({"jsonrpc": "2.0", "method": arguments["method"]})
    tell(message, "after")


def do_ask(message: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Ask the gateway something, and tell what it said."""
    say({"jsonrpc": "2.0", "id": "q", "method": arguments["method"], "params": {}})
    tell(message, json.loads(sys.stdin.readline()))


def do_complain(message: dict[str, Any], arguments: dict[str, Any]) -> None:
    sys.stderr.write(arguments["text"] * arguments.get("times", 1) + "\n")
    sys.stderr.flush()
    time.sleep(arguments.get("s", 0.05))
    tell(message, "after")


def do_deaf(message: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Stop reading, and ignore everything but a kill."""
    tell(message, "deaf")
    time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
