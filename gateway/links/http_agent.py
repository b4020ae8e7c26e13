"""Agents over HTTP: a task is posted as `{"task": ...}`, and an object comes back.

`{"answer": ...}` is what the agent answers; any other status than 2xx, or `{"error": "..."}`, says
that it failed.
"""

from audit.canonical import Json
from gateway import idempotency
from gateway.links.link import Answered, Permit
from gateway.links.local import Handler
from gateway.links.remote import Remote


def http_agent(remote: Remote) -> Handler:
    """The agent behind an endpoint."""

    async def handle(args: dict[str, Json], permit: Permit) -> Answered:
        key = {} if permit.key is None else idempotency.header(permit.key)
        status, members = await remote.ask({"task": args.get("task")}, key)
        if 200 <= status < 300 and "answer" in members:
            answer: dict[str, Json] = {"result": members["answer"]}
            return Answered({"content": [], "structuredContent": answer, "isError": False})
        why = members.get("error") or members.get("detail") or f"it answered with HTTP {status}"
        return Answered({"content": [{"type": "text", "text": str(why)}], "isError": True})

    return handle
