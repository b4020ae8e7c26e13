"""Agents that answer offline and always alike, and a model that does; stand-ins for your own.

An agent is posted `{"task": ...}` at its name and answers `{"answer": ...}`, or `{"error": "..."}`.
The model speaks chat completions below `/v1`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Task = Any
MOST_BYTES = 1 << 20


class Failed(Exception):
    """An agent says that it cannot do what it was asked."""


@contextmanager
def serving(port: int) -> Iterator[str]:
    """Serve on loopback (0: any free port) until the end of the block; the address."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one task."""
        raw = self.rfile.read(min(int(self.headers.get("content-length", 0)), MOST_BYTES))
        status, answer = _answered(self.path, json.loads(raw))
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed: what happens stands in the gateway's log."""


def _answered(path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
    if path == "/v1/chat/completions":
        return 200, _completion(body)
    agent = AGENTS.get(path.removeprefix("/"))
    if agent is None:
        return 404, {"error": "there is no such agent"}
    try:
        return 200, {"answer": agent(body["task"])}
    except Failed as error:
        return 200, {"error": str(error)}


def _completion(body: Mapping[str, Any]) -> Any:
    """A model that looks at the accounts once, where it may, and then sums up."""
    messages = body["messages"]
    tools = body.get("tools", [])
    if tools and messages[-1]["role"] != "tool":
        function = {"name": tools[0]["function"]["name"], "arguments": "{}"}
        call = {"id": "call-1", "type": "function", "function": function}
        message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [call]}
    else:
        message = {"role": "assistant", "content": "The notes agree with each other."}
    words = sum(len(str(each["content"]).split()) for each in messages)
    return {
        "choices": [{"message": message}],
        "usage": {"prompt_tokens": words, "completion_tokens": 8},
    }


# -- content pipeline


def _writer(task: Task) -> Any:
    facts = "; ".join(task["task"]["facts"])
    return facts if task["feedback"] is None else f"{facts}. {task['feedback']}"


def _proofreader(task: Task) -> Any:
    if task["draft"].endswith("."):
        return {"approved": True}
    return {"approved": False, "feedback": "That is all there is to say."}


# -- contract review


def _financial(task: Task) -> Any:
    return {"financial": "high" if task.get("value", 0) > 100_000 else "low"}


def _counsel(task: Task) -> Any:
    return {"risk": "high" if "high" in task.values() else "low", "found": task}


# -- support triage


def _triage(task: Task) -> Any:
    text = task["text"].casefold()
    billing, technical = "invoice" in text, "crash" in text
    return {"route": "billing" if billing else "technical" if technical else "other"}


def _first_line(task: Task) -> Any:
    if "crash" in task["text"].casefold():
        return {"handoff": "specialist", "input": {**task, "tried": "restart"}}
    return {"reply": "Thank you, we have noted it."}


def _specialist(task: Task) -> Any:
    if "data" in task["text"].casefold():
        return {"handoff": "people", "input": {**task, "urgent": True}}
    return {"reply": "The next version mends it."}


# -- research


def _lead(task: Task) -> Any:
    results = task["results"]
    if not results:
        return {"tasks": [_look(name, task["task"]) for name in ("web", "papers")]}
    if len(results) == 2:  # both have looked
        notes = [each.get("result") for each in results]
        return {"tasks": [{"worker": "analyst", "input": {"notes": notes}}]}
    return {"forward": len(results) - 1}


def _look(worker: str, question: str) -> Any:
    """A task with what its worker may use for it, and what is to come of it."""
    result = {
        "type": "object",
        "properties": {"found": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
        "required": ["found"],
    }
    contract = {"goal": "Say what was written about it.", "result": result, "calls": 2}
    return {"worker": worker, "input": question, "contract": {**contract, "wall": "5m"}}


def _web(task: Task) -> Any:
    """Somebody who finds so much that it is better passed on than read by everybody."""
    pages = ("of the moon", "in the harbour", "and the moon", "at night", "and the fishermen")
    found = [f"A page on {task['input']} {page}, at length. " * 6 for page in pages]
    return {"found": found}


def _papers(task: Task) -> Any:
    """Somebody who reads a contract only when it is held against them."""
    found = [f"{number} paper on {task['input']}" for number in ("one", "another")]
    return {"found": found} if "objection" in task else found


# -- refund


def _refund_clerk(task: Task) -> Any:
    reason = "the paper was wet" if task["feedback"] else ""
    return {"payment": task["task"]["payment"], "reason": reason}


def _refund_auditor(task: Task) -> Any:
    if task["draft"]["reason"]:
        return {"approved": True}
    return {"approved": False, "feedback": "Say why."}


# -- open task


def _planner(task: Task) -> Any:
    if task["do"] in {"plan", "replan"}:
        return {"steps": ["write it", "try it"]}
    said = [each["said"] for each in task["history"]]
    if task["do"] == "final":
        return {"task": task["task"], "done": said}
    if "passes" in said:
        return {"done": True}
    return {"done": False, "next": "tester" if said else "coder", "input": task["task"]}


# -- debate


def _votes(at_once: str) -> Callable[[Task], Any]:
    """A member who says something the first time, and then votes as most would."""

    def speak(task: Task) -> Any:
        return {"vote": "go, but slowly"} if len(task["said"]) >= 3 else at_once

    return speak


def _courier(_: Task) -> Any:
    raise Failed("no courier has time")


def _bookkeeper(payments: Task) -> Any:
    kept = [each["amount"] for each in payments if not each["refunded"]]
    return {"payments": len(payments), "sum": sum(kept)}


AGENTS: Mapping[str, Callable[[Task], Any]] = {
    "archive": lambda task: {"archived": True, **task},
    "billing-desk": lambda task: {"reply": f"We look at the invoice of {task['from']}."},
    "bookkeeper": _bookkeeper,
    "coder": lambda task: f"code for {task}",
    "compliance": lambda _: {"compliance": "low"},
    "counsel": _counsel,
    "courier": _courier,
    "courier-recall": lambda task: {"called_off": task},
    "financial": _financial,
    "first-line": _first_line,
    "lead": _lead,
    "legal": lambda _: {"legal": "low"},
    "optimist": _votes("go"),
    "papers": _papers,
    "planner": _planner,
    "proofreader": _proofreader,
    "realist": _votes("go, but slowly"),
    "refund-auditor": _refund_auditor,
    "refund-clerk": _refund_clerk,
    "researcher": lambda task: {"facts": [f"{task['topic']} are old", f"{task['topic']} are blue"]},
    "sceptic": _votes("stay"),
    "site": lambda task: {"published": task},
    "specialist": _specialist,
    "tester": lambda _: "passes",
    "triage": _triage,
    "web": _web,
    "writer": _writer,
}
