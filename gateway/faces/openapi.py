"""The caller's tools as an OpenAPI 3.1 document: for importers that speak no MCP.

One POST for each tool. Schemas stand as the servers gave them (OpenAPI 3.1 takes JSON Schema
2020-12); one that refers to itself gets an identifier, so that `#` still means the schema.
"""

from collections.abc import Sequence

from audit.canonical import Json
from gateway.catalogue.tools import Tool
from gateway.links.jsonrpc import dump

_RESULT: Json = {
    "type": "object",
    "description": "MCP CallToolResult, as the server answered it",
    "properties": {
        "content": {"type": "array", "items": {"type": "object"}},
        "structuredContent": {},
        "isError": {"type": "boolean"},
    },
}
_PROBLEM: Json = {
    "type": "object",
    "description": "Problem detail (RFC 9457)",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "approval": {"type": "string", "description": "id of the request that waits"},
        "expires": {"type": "integer", "description": "when it ends, seconds since 1970"},
    },
}
_REFUSALS = {
    "202": "An approval is pending: send the same call again after it",
    "401": "No valid access token",
    "403": "Denied",
    "422": "The arguments do not fit",
    "429": "Over a limit",
    "502": "The server failed, or its answer is not known",
    "503": "Not possible at the moment; nothing was done",
    "504": "The server gave no answer in time",
}


def describe(tools: Sequence[Tool], *, url: str, version: str) -> dict[str, Json]:
    """The document for these tools, in their order.

    url  where agents find this gateway
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": "Passavant: tools of this caller", "version": version},
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": {f"/v1/tools/{tool.server}/{tool.name}": {"post": _post(tool)} for tool in tools},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"CallToolResult": _RESULT, "Problem": _PROBLEM},
        },
    }


def _post(tool: Tool) -> Json:
    definition = tool.definition
    return {
        "operationId": tool.published,
        "summary": definition.get("title") or tool.published,
        "description": definition.get("description") or "",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _schema(tool)}},
        },
        "responses": {
            "200": {
                "description": "The server's answer; `isError` where it failed at the task",
                "content": {"application/json": {"schema": _ref("CallToolResult")}},
            },
            **{status: _refusal(text) for status, text in _REFUSALS.items()},
        },
    }


def _schema(tool: Tool) -> Json:
    schema = tool.definition.get("inputSchema")
    if not isinstance(schema, dict):
        return {"type": "object"}
    if "$id" in schema or b'"$ref"' not in dump(schema):
        return schema
    return {"$id": f"urn:passavant:schema:{tool.pin}", **schema}


def _refusal(text: str) -> Json:
    content: Json = {"application/problem+json": {"schema": _ref("Problem")}}
    return {"description": text, "content": content}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
