"""The agents' listener: every way in that an agent has, by the first part of the path.

Tool calls go straight to raw ASGI faces; FastAPI serves the authorization server. There is no
administrative route here, and none can be mounted: the table below is closed.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from gateway.faces.http import Receive, Reply, Scope, Send, respond

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PARTS = frozenset({"mcp", "a2a", "v1", "oauth", ".well-known", "audit", "healthz", "readyz"})
"""First parts of the paths that exist on this listener."""


class AgentsApp:
    """Hands each request to the face that its path names.

    faces   by longest matching prefix, such as "/mcp" or "/v1/tools"
    others  answers everything else, among it what does not exist
    ready   whether calls can be made now; told without reasons
    """

    def __init__(self, faces: Mapping[str, App], *, others: App, ready: Callable[[], bool]) -> None:
        for prefix in faces:
            assert prefix.split("/")[1] in PARTS, f"{prefix} has no place on this listener"
        longest_first = sorted(faces.items(), key=lambda face: -len(face[0]))
        self._faces: dict[str, list[tuple[str, App]]] = {part: [] for part in PARTS}
        for prefix, face in longest_first:
            self._faces[prefix.split("/")[1]].append((prefix, face))
        self._others = others
        self._ready = ready
        self._face_of = lru_cache(maxsize=256)(self._find)  # agents use few different paths

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one HTTP request."""
        assert scope["type"] == "http", "the listener speaks HTTP alone"
        path: str = scope["path"]
        if path == "/healthz":
            return respond(receive, send, _plain(200, b"alive"))
        if path == "/readyz":
            ready = _plain(200, b"ready") if self._ready() else _plain(503, b"not")
            return respond(receive, send, ready)
        return self._face_of(path)(scope, receive, send)

    def _find(self, path: str) -> App:
        for prefix, face in self._faces.get(_first_part(path), ()):
            if path == prefix or path.startswith(f"{prefix}/"):
                return face
        return self._others


def _first_part(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


def _plain(status: int, body: bytes) -> Reply:
    return Reply(status, body + b"\n", ((b"content-type", b"text/plain"),))
