"""Pins: what was accepted, and the file that says so.

A pin is the digest of a tool's definition. The catalogue lock holds each accepted definition with
its pin and published name, so that the gateway starts, checks and lists without asking a server;
what a server says now is only compared with it.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.canonical import Json
from gateway.catalogue import names
from gateway.catalogue.arguments import ArgumentCheck
from gateway.errors import GatewayError, LockUnreadable, NameRefused, NotUnderstood
from gateway.links.jsonrpc import dump_sorted, read

_MAX_LOCK = 64 << 20
_HEAD: dict[str, Json] = {"apiVersion": "passavant/v1", "kind": "CatalogueLock"}


def pin(definition: Mapping[str, Json]) -> str:
    """SHA-256, in hex, of the definition's JSON with sorted members.

    MCP names title, description, both schemas and annotations beside the name. A member that it
    does not name is covered too: it would otherwise be an unreviewed way to the model.
    """
    return hashlib.sha256(dump_sorted(dict(definition))).hexdigest()


@dataclass(frozen=True, slots=True)
class Accepted:
    """One tool as it was accepted.

    risk  digest of how the policy classed it then; None where that was not recorded
    """

    published: str
    definition: Mapping[str, Json] = field(repr=False)
    pin: str
    risk: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """How what a server offers differs from what was accepted; names of its tools.

    refused  those that could not be accepted, with the reason
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def blocked(self) -> frozenset[str]:
        """The accepted tools that may not be called while this is so."""
        return frozenset(self.changed + self.removed)


@dataclass(frozen=True, slots=True)
class Lock:
    """All accepted tools, by server and name."""

    servers: Mapping[str, Mapping[str, Accepted]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the lock's canonical JSON: it names the catalogue in a snapshot."""
        return hashlib.sha256(dump_sorted(_document(self))).hexdigest()

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """The lock in that file; an empty one where there is no file.

        Raises LockUnreadable, also when a definition is not the one that its pin names.
        """
        try:
            document = read(path.read_bytes(), max_bytes=_MAX_LOCK)
        except FileNotFoundError:
            return cls()
        except (OSError, NotUnderstood) as error:
            raise LockUnreadable(f"{path}: {error}") from error
        try:
            return cls(_servers(document))
        except GatewayError as error:
            raise LockUnreadable(f"{path}: {error}") from error

    def write(self, path: Path) -> None:
        """Replace that file as a whole: a reader sees the old lock or the new one."""
        handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(dump_sorted(_document(self)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def compare(self, server: str, definitions: Sequence[Mapping[str, Json]]) -> Changes:
        """How `definitions`, as the server gives them now, differ from what was accepted."""
        accepted = self.servers.get(server, {})
        offered = {str(definition["name"]): definition for definition in definitions}
        changed = [
            name
            for name, tool in accepted.items()
            if name in offered and pin(offered[name]) != tool.pin
        ]
        new = [name for name in offered if name not in accepted]
        return Changes(
            new=tuple(sorted(new)),
            changed=tuple(sorted(changed)),
            removed=tuple(sorted(accepted.keys() - offered.keys())),
            refused=_refused(server, [offered[name] for name in (*new, *changed)]),
        )

    def accept(
        self,
        server: str,
        definitions: Sequence[Mapping[str, Json]],
        *,
        risks: Mapping[str, str] | None = None,
        published: Mapping[str, str] | None = None,
    ) -> "Lock":
        """The lock with these definitions, and no others, accepted for `server`.

        risks      digest of each tool's class in the policy, by tool
        published  names to publish tools under instead of `server__tool`, by tool

        Raises NameRefused or SchemaRefused when one of them cannot be.
        """
        names.check_server(server)
        tools = {}
        for definition in definitions:
            name = str(definition["name"])
            _check(server, definition)
            if name in tools:
                raise NameRefused(f"{server}: two tools are named {name}")
            chosen = (published or {}).get(name) or names.publish(server, name)
            names.check_published(chosen)
            tools[name] = Accepted(chosen, definition, pin(definition), (risks or {}).get(name))
        lock = Lock({**self.servers, server: tools})
        _refuse_lookalikes(lock.servers)
        return lock

    def forget(self, server: str) -> "Lock":
        """The lock without that server."""
        return Lock({name: tools for name, tools in self.servers.items() if name != server})


def _check(server: str, definition: Mapping[str, Json]) -> None:
    name = definition.get("name")
    names.check_tool(server, name if isinstance(name, str) else "")
    ArgumentCheck.compile(f"{server}.{name}", definition.get("inputSchema"))


def _refused(server: str, definitions: Sequence[Mapping[str, Json]]) -> Mapping[str, str]:
    reasons = {}
    for definition in definitions:
        try:
            _check(server, definition)
        except GatewayError as error:
            reasons[str(definition["name"])] = str(error)
    return reasons


def _refuse_lookalikes(servers: Mapping[str, Mapping[str, Accepted]]) -> None:
    names.refuse_lookalikes((*servers, *names.RESERVED))
    every = [tool.published for tools in servers.values() for tool in tools.values()]
    names.refuse_same(every)
    names.refuse_lookalikes(every)
    for server, tools in servers.items():
        names.refuse_lookalikes(f"{server}__{name}" for name in tools)


def _document(lock: Lock) -> Json:
    return {
        **_HEAD,
        "servers": {
            server: {
                "tools": {
                    name: {
                        "published": tool.published,
                        "pin": tool.pin,
                        "risk": tool.risk,
                        "definition": dict(tool.definition),
                    }
                    for name, tool in tools.items()
                }
            }
            for server, tools in lock.servers.items()
        },
    }


def _servers(document: Json) -> Mapping[str, Mapping[str, Accepted]]:
    members = _members(document, "the lock", {*_HEAD, "servers"})
    if {name: members[name] for name in _HEAD} != _HEAD:
        raise LockUnreadable(f"expected {_HEAD['kind']} of {_HEAD['apiVersion']}")
    servers = {}
    for server, entry in _members(members["servers"], "servers").items():
        names.check_server(server)
        tools = _members(_members(entry, server, {"tools"})["tools"], server)
        servers[server] = {name: _accepted(server, name, tool) for name, tool in tools.items()}
    _refuse_lookalikes(servers)
    return servers


def _accepted(server: str, name: str, entry: Json) -> Accepted:
    place = f"{server}.{name}"
    members = _members(entry, place, {"published", "pin", "risk", "definition"})
    definition = _members(members["definition"], place)
    published, risk = members["published"], members["risk"]
    names.check_tool(server, name)
    if definition.get("name") != name or pin(definition) != members["pin"]:
        raise LockUnreadable(f"{place}: the definition is not the one that its pin names")
    if not isinstance(published, str) or not (risk is None or isinstance(risk, str)):
        raise LockUnreadable(f"{place}: `published` and `risk` are texts")
    names.check_published(published)
    return Accepted(published, definition, pin(definition), risk)


def _members(value: Json, place: str, expected: set[str] | None = None) -> dict[str, Json]:
    if not isinstance(value, dict) or (expected is not None and value.keys() != expected):
        wanted = "an object" if expected is None else f"exactly {', '.join(sorted(expected))}"
        raise LockUnreadable(f"{place}: expected {wanted}")
    return value
