"""Names of servers and tools: which are possible, how a tool is published, what looks alike.

A tool is published to agents as `server__tool`. Names are ASCII, so a look-alike is a matter of
case, of separators and of a few letters and digits.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

from gateway.errors import NameRefused
from policies import own_tools

SERVER = re.compile(r"[a-z][a-z0-9-]{0,19}")
RESERVED = own_tools.SERVERS

_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PUBLISHED = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNPUBLISHABLE = re.compile(r"[^A-Za-z0-9_-]")
_MAX_PUBLISHED = 64
_ALIKE = str.maketrans("iI1oO0", "lllooo", "_-.")


def check_server(name: str) -> None:
    """Raises NameRefused for a malformed or reserved name of a server."""
    if not SERVER.fullmatch(name):
        raise NameRefused(f"server {name!r}: expected {SERVER.pattern}")
    if name in RESERVED:
        raise NameRefused(f"server {name!r}: the name is the gateway's own")


def check_tool(server: str, name: str) -> None:
    """Raises NameRefused for a tool name outside MCP's 1 to 128 of [A-Za-z0-9_.-]."""
    if not _TOOL.fullmatch(name):
        raise NameRefused(f"{server}: a tool is named {name[:128]!a}, expected {_TOOL.pattern}")


def check_published(name: str) -> None:
    """Raises NameRefused for a published name outside 1 to 64 of [A-Za-z0-9_-]."""
    if not _PUBLISHED.fullmatch(name):
        raise NameRefused(f"published as {name[:128]!a}, expected {_PUBLISHED.pattern}")


def publish(server: str, tool: str) -> str:
    """`server__tool` where that fits; else as much of it as fits, and eight digits of a digest."""
    name = f"{server}__{tool}"
    if _PUBLISHED.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{_UNPUBLISHABLE.sub('-', name)[: _MAX_PUBLISHED - 9]}-{digest}"


def skeleton(name: str) -> str:
    """What is left of a name when case, separators and look-alike letters are taken away."""
    return name.translate(_ALIKE).lower()


def refuse_lookalikes(names: Iterable[str]) -> None:
    """Raises NameRefused when two of the names could be mistaken for each other."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(_parts(name), name)
        if other != name:
            raise NameRefused(f"{other!r} and {name!r} could be mistaken for each other")


def refuse_same(names: Sequence[str]) -> None:
    """Raises NameRefused when a name occurs twice."""
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise NameRefused(f"two tools would be published as {twice!r}")


def _parts(name: str) -> str:
    """The skeleton, with the boundary between server and tool kept."""
    server, mark, tool = name.partition("__")
    return f"{skeleton(server)}{mark and '/'}{skeleton(tool)}"
