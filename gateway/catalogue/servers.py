"""The upstream MCP servers of a deployment, and the links that reach them.

Only the configuration names servers, their commands and addresses; no request ever does.
"""

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.catalogue import names
from gateway.catalogue.credential import Credential, Place, Subject, authorization
from gateway.errors import NameRefused
from gateway.links.a2a import A2aAgent, A2aTransport
from gateway.links.a2a_card import card_url
from gateway.links.address import Destination, Listener
from gateway.links.authorization import Authorization
from gateway.links.credentials import Reference
from gateway.links.era import MODERN, VERSIONS, Version
from gateway.links.masking import Masks
from gateway.links.mcp import McpLink
from gateway.links.mcp_http import HttpTransport, Upstream
from gateway.links.mcp_stdio import StdioTransport
from gateway.links.oauth_client import Means
from gateway.links.process import Command
from gateway.links.remote import ANSWER_S, MOST_BYTES
from gateway.links.sandbox import Confinement, Sandbox
from gateway.links.transport import Transport
from gateway.links.user_tokens import Connected
from policies.notation import Duration

LONGEST_S = 3600
"""How long an agent over A2A may take for a call, where nothing is said of it."""

_LOOK_AGAIN_S = 60.0  # over HTTP no server can say by itself that its tools changed

Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^\x00]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SecretValue(_Model):
    """A value of a server's environment that is a secret."""

    secret: Reference


class SandboxSpec(_Model):
    """What a local server is given: absolute paths, and a network or none."""

    read: list[AbsolutePath] = Field(default_factory=list)
    write: list[AbsolutePath] = Field(default_factory=list)
    network: Literal["none", "open"] = "none"


_OF_KIND: Mapping[str, frozenset[str]] = {
    "url": frozenset({"credential", "allow_private", "versions"}),
    "command": frozenset({"env", "cwd", "sandbox", "versions"}),
    "a2a": frozenset({"credential", "allow_private", "longest"}),
}
"""What else may be said of a server, by its kind."""

_PARTICULAR = frozenset().union(*_OF_KIND.values())


class ServerSpec(_Model):
    """One server as the configuration describes it: a `command` to start, a `url` to reach, or the
    `a2a` URL of an agent, or of its card, which then is a server of one tool.

    longest  how long an agent may take for one call at most, in seconds
    """

    url: str | None = None
    a2a: str | None = None
    command: list[Text] | None = Field(default=None, min_length=1)
    env: dict[VariableName, Text | SecretValue] = Field(default_factory=dict)
    cwd: AbsolutePath | None = None
    sandbox: SandboxSpec = SandboxSpec()
    credential: Credential | None = None
    allow_private: bool = False
    versions: list[Version] = Field(default=list(VERSIONS), min_length=1)
    longest: Duration = LONGEST_S

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in _OF_KIND if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError("expected either `url`, `command` or `a2a`")
        kind = kinds[0]
        foreign = self.model_fields_set & (_PARTICULAR - _OF_KIND[kind])
        if foreign:
            raise ValueError(f"{', '.join(sorted(foreign))}: not for a server with a `{kind}`")
        return self


@dataclass(frozen=True, slots=True)
class Equipment:
    """What links need of the machine and of the deployment as a whole.

    means        for credentials, which are asked for at each connection
    subject      says to an issuer who calls
    connected    what people let agents use with their own accounts
    masks        what servers say goes through them
    sandbox      how local servers are confined here
    path         PATH of local servers, and where their programs are looked for
    own          where the gateway itself listens: never a legal destination
    tls          for https; made once and shared
    """

    means: Means
    subject: Subject
    connected: Connected
    masks: Masks
    sandbox: Sandbox
    path: str
    own: Callable[[], Iterable[Listener]]
    tls: ssl.SSLContext


def check_names(servers: Iterable[str]) -> None:
    """Raises NameRefused for a malformed or reserved name, or two that look alike."""
    every = tuple(servers)
    for name in every:
        names.check_server(name)
    names.refuse_lookalikes((*every, *names.RESERVED))


def build_links(servers: Mapping[str, ServerSpec], equipment: Equipment) -> dict[str, McpLink]:
    """A link for each server, none of them started yet.

    Raises NameRefused, AddressRefused, SandboxMissing, SettingsInvalid.
    """
    check_names(servers)
    return {name: build_link(name, spec, equipment) for name, spec in servers.items()}


def build_link(name: str, spec: ServerSpec, equipment: Equipment) -> McpLink:
    """The link to one server. Raises as `build_links` does."""
    if spec.url is not None:
        return _remote(name, spec, spec.url, equipment)
    if spec.a2a is not None:
        return _agent(name, spec, spec.a2a, equipment)
    if spec.command is None:
        raise NameRefused(f"servers.{name}: neither `url` nor `command` nor `a2a`")
    return _local(name, spec, tuple(spec.command), equipment)


def _remote(name: str, spec: ServerSpec, url: str, around: Equipment) -> McpLink:
    upstream = Upstream(
        name,
        Destination.parse(url, allow_private=spec.allow_private),
        authorization=_authorization(name, spec, url, around),
        own=around.own,
        tls=around.tls,
    )

    async def connect(on_change: Callable[[], None]) -> Transport:
        return HttpTransport(upstream, on_change)

    return McpLink(
        name,
        connect,
        masks=around.masks,
        versions=spec.versions,
        look_again_s=_LOOK_AGAIN_S,
    )


def _agent(name: str, spec: ServerSpec, url: str, around: Equipment) -> McpLink:
    agent = A2aAgent(
        name,
        Destination.parse(card_url(url), allow_private=spec.allow_private),
        authorization=_authorization(name, spec, url, around),
        fetcher=around.means.fetcher.patient(timeout_s=ANSWER_S, max_bytes=MOST_BYTES),
        sender=around.means.fetcher.patient(timeout_s=spec.longest, max_bytes=MOST_BYTES),
        longest_s=spec.longest,
        now_s=around.means.now_s,
        new_id=around.means.new_id,
    )

    async def connect(_: Callable[[], None]) -> Transport:
        return A2aTransport(agent)

    return McpLink(
        name, connect, masks=around.masks, versions=(MODERN,), look_again_s=_LOOK_AGAIN_S
    )


def _authorization(
    name: str, spec: ServerSpec, url: str, around: Equipment
) -> Authorization | None:
    if spec.credential is None:
        return None
    place = Place(name, url)
    return authorization(spec.credential, place, around.means, around.subject, around.connected)


def _local(name: str, spec: ServerSpec, argv: tuple[str, ...], around: Equipment) -> McpLink:
    cwd = None if spec.cwd is None else Path(spec.cwd)
    what = Confinement(
        read=tuple(map(Path, spec.sandbox.read)),
        write=tuple(map(Path, spec.sandbox.write)),
        network=spec.sandbox.network == "open",
    )
    confined = around.sandbox.confine(name, argv, what, cwd=cwd, path=around.path)

    async def connect(on_change: Callable[[], None]) -> Transport:
        secrets = {
            key: await around.means.credentials.fetch(value.secret)
            for key, value in spec.env.items()
            if isinstance(value, SecretValue)
        }
        plain = {key: value for key, value in spec.env.items() if isinstance(value, str)}
        env = {"PATH": around.path, **plain, **secrets}
        return StdioTransport(name, Command(confined, env, cwd=cwd), on_change, around.masks)

    return McpLink(name, connect, masks=around.masks, versions=spec.versions)
