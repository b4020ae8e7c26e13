"""What A2A clients are told: cards, tasks, events and errors (A2A 1.0, ProtoJSON)."""

from collections.abc import Mapping
from datetime import UTC, datetime

from audit.canonical import Json
from gateway.catalogue.tools import Tool
from gateway.faces import jsonrpc
from gateway.faces.jsonrpc import RpcRefused
from gateway.links.jsonrpc import dump
from gateway.runs.run import Run
from gateway.runs.tasks import Progress, TaskState

VERSION = "1.0"
MODES: tuple[Json, ...] = ("text/plain", "application/json")

TASK_NOT_FOUND = -32001
NOT_CANCELABLE = -32002
UNSUPPORTED = -32004
NO_EXTENDED_CARD = -32007
VERSION_UNSUPPORTED = -32009

_REASONS: Mapping[int, str] = {
    TASK_NOT_FOUND: "TASK_NOT_FOUND",
    NOT_CANCELABLE: "TASK_NOT_CANCELABLE",
    -32003: "PUSH_NOTIFICATION_NOT_SUPPORTED",
    UNSUPPORTED: "UNSUPPORTED_OPERATION",
    -32005: "CONTENT_TYPE_NOT_SUPPORTED",
    NO_EXTENDED_CARD: "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
    VERSION_UNSUPPORTED: "VERSION_NOT_SUPPORTED",
    jsonrpc.INVALID_PARAMS: "INVALID_PARAMS",
    jsonrpc.INVALID_REQUEST: "INVALID_REQUEST",
    jsonrpc.METHOD_NOT_FOUND: "METHOD_NOT_FOUND",
    jsonrpc.PARSE_ERROR: "PARSE_ERROR",
}

STATES: Mapping[TaskState, str] = {
    "working": "TASK_STATE_WORKING",
    "waiting": "TASK_STATE_AUTH_REQUIRED",
    "done": "TASK_STATE_COMPLETED",
    "denied": "TASK_STATE_REJECTED",
    "failed": "TASK_STATE_FAILED",
    "cancelled": "TASK_STATE_CANCELED",
}


def card(agent: Tool, *, public_url: str, version: str) -> dict[str, Json]:
    """What a client has to know to reach an agent through this gateway."""
    url = f"{public_url}/a2a/{agent.name}"
    about = str(agent.definition.get("description", ""))
    oauth: dict[str, Json] = {
        "flows": {"clientCredentials": {"tokenUrl": f"{public_url}/oauth/token", "scopes": {}}},
        "oauth2MetadataUrl": f"{public_url}/.well-known/oauth-authorization-server",
    }
    return {
        "name": agent.name,
        "description": about,
        "version": version,
        "supportedInterfaces": [
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": VERSION}
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "extendedAgentCard": False,
        },
        "securitySchemes": {
            "bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}},
            "oauth": {"oauth2SecurityScheme": oauth},
        },
        "securityRequirements": [
            {"schemes": {"bearer": {"list": []}}},
            {"schemes": {"oauth": {"list": []}}},
        ],
        "defaultInputModes": [*MODES],
        "defaultOutputModes": [*MODES],
        "skills": [{"id": agent.name, "name": agent.name, "description": about, "tags": ["agent"]}],
    }


def task(run: Run, progress: Progress, artifacts: list[Json]) -> dict[str, Json]:
    """A task; its context is the session of who began it."""
    return {**_place(run, "id"), "status": _status(run, progress), "artifacts": artifacts}


def status_update(run: Run, progress: Progress) -> dict[str, Json]:
    """The event that a task stands otherwise than before."""
    return {"statusUpdate": {**_place(run, "taskId"), "status": _status(run, progress)}}


def artifact_update(run: Run, artifact: Json) -> dict[str, Json]:
    """The event that there is an answer."""
    return {"artifactUpdate": {**_place(run, "taskId"), "artifact": artifact, "lastChunk": True}}


def artifact(run: Run, answer: Json) -> dict[str, Json]:
    """What came of a task."""
    part: dict[str, Json] = {"data": answer, "mediaType": "application/json"}
    if isinstance(answer, str):
        part = {"text": answer, "mediaType": "text/plain"}
    return {"artifactId": f"{run.id}-answer", "name": "answer", "parts": [part]}


def error(refused: RpcRefused) -> bytes:
    """The refusal of a request, with a `google.rpc.ErrorInfo` (A2A 1.0, section 9.5)."""
    info: dict[str, Json] = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": _REASONS.get(refused.number, "REFUSED"),
        "domain": "a2a-protocol.org",
        "metadata": {"code": refused.code},
    }
    fault: dict[str, Json] = {"code": refused.number, "message": str(refused), "data": [info]}
    return dump({"jsonrpc": "2.0", "id": refused.id, "error": fault})


def _instant(at: int) -> str:
    """Seconds since 1970 as ProtoJSON has a time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _place(run: Run, own: str) -> dict[str, Json]:
    return {own: run.id, "contextId": run.caller}


def _status(run: Run, progress: Progress) -> dict[str, Json]:
    status: dict[str, Json] = {
        "state": STATES[progress.state],
        "timestamp": _instant(progress.since),
    }
    if progress.detail:
        text = progress.detail
        if progress.approval is not None:
            text = f"{text} Approval {progress.approval}."
        status["message"] = {
            "messageId": f"{run.id}-{progress.state}",
            "role": "ROLE_AGENT",
            "parts": [{"text": text}],
            **_place(run, "taskId"),
        }
    return status
