"""The approval tools: an agent looks after its own requests, as it may over REST.

They are reached through the gate alone, like those of any server, where a policy lets agents use
them. Their definitions are pinned like those of any server too.
"""

from collections.abc import Awaitable, Callable, Mapping

from audit.canonical import Json
from gateway.approval.approvals import Approvals
from gateway.approval.asker import ABSENT, own_request, told
from gateway.approval.request import Request
from gateway.errors import ApprovalRefused
from gateway.links.jsonrpc import dump
from gateway.links.link import Answered, Permit
from gateway.links.local import Handler, OwnTool

SERVER = "approvals"
"""The reserved name of the server that these are tools of."""

_Act = Callable[[Request, Permit], Awaitable[Request]]


def approval_tools(approvals: Approvals) -> Mapping[str, OwnTool]:
    """What they do, by name."""

    async def status(request: Request, _: Permit) -> Request:
        return request

    async def withdraw(request: Request, permit: Permit) -> Request:
        return await approvals.withdraw(request.id, by=f"agent:{permit.caller.agent}")

    return {
        "status": OwnTool(_STATUS, _handler(approvals, status)),
        "withdraw": OwnTool(_WITHDRAW, _handler(approvals, withdraw)),
    }


def _handler(approvals: Approvals, act: _Act) -> Handler:
    async def handle(args: dict[str, Json], permit: Permit) -> Answered:
        request = own_request(approvals, str(args["id"]), permit.caller, permit.session)
        if request is None:
            return _refuses(ABSENT)
        try:
            value = told(await act(request, permit))
        except ApprovalRefused as refused:
            return _refuses(str(refused))
        content: list[Json] = [{"type": "text", "text": dump(value).decode()}]
        return Answered({"content": content, "structuredContent": value, "isError": False})

    return handle


def _refuses(text: str) -> Answered:
    return Answered({"content": [{"type": "text", "text": text}], "isError": True})


def _definition(name: str, title: str, description: str) -> dict[str, Json]:
    request: Json = {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "description": "The id that you were told when you were asked to wait.",
    }
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {"id": request},
            "required": ["id"],
            "additionalProperties": False,
        },
    }


_STATUS = _definition(
    "status", "State of a request", "See what became of a request for approval of yours."
)
_WITHDRAW = _definition(
    "withdraw", "Withdraw a request", "Take back a request for approval that you need no more."
)
