"""Settings: one deployment, read once from `passavant.yaml` and checked as a whole.

Rules live in policy files, never here: this file says where the gateway listens, what it
reaches and whom it believes. Every setting of the models is honoured; what only a later version
can do is refused by its place (`NOT_YET`), since what is written and not done would be believed.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from gateway.catalogue.agents import AgentSpec, ModelSpec
from gateway.catalogue.servers import ServerSpec
from gateway.errors import SettingsInvalid
from gateway.guard.rules import Guards
from gateway.identity import trust
from gateway.identity.applications import ApplicationId, ApplicationSpec, check_redirects
from gateway.links.credentials import Reference
from gateway.notices.hooks import HookName, WebhookSpec
from gateway.runs.spec import RunsSpec
from policies.errors import PolicyInvalid
from policies.source import Source

NOT_YET = (
    "audit.witnesses",
    "audit.quorum",
)
"""Places of the format that this version cannot honour; `*` is any name."""

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
)
_SQLITE = "sqlite:///"
_USUAL_PORT = {"http": "80", "https": "443"}
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LEAST_INTERVAL_MS = 100
_LABELS = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*"
_ORIGIN = rf"^{_LABELS}(?:/{_LABELS})*$"  # also a path below /audit/log/: no part is `..`


def milliseconds(text: str) -> int:
    """A duration as written in files (`15m`, `1s`, `250ms`), in milliseconds. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration such as 15m, 10s or 250ms")
    return int(found["number"]) * _UNIT_MS[found["unit"]]


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine and nowhere else, whatever a resolver says."""
    found = _URL.match(url)
    host = "" if found is None else found["host"].strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _whole_seconds(text: str) -> str:
    if milliseconds(text) % 1000:
        raise ValueError(f"{text!r} is not a whole number of seconds")
    return text


def _life(text: str) -> str:
    if not milliseconds(_whole_seconds(text)):
        raise ValueError("a token must live for a second at least")
    return text


def _interval(text: str) -> str:
    if milliseconds(text) < _LEAST_INTERVAL_MS:
        raise ValueError(f"{text!r} is shorter than {_LEAST_INTERVAL_MS}ms")
    return text


def _sqlite(text: str) -> str:
    if not text.startswith(_SQLITE) or len(text) == len(_SQLITE) or "?" in text:
        raise ValueError(f"{text!r} is no SQLite file, as sqlite:////srv/fleet/fleet.db")
    return text


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise ValueError(f"{text!r} is no address such as 127.0.0.1:7300")
    return text


def _url(text: str) -> str:
    found = _URL.fullmatch(text)
    if found is None or int(found["port"] or 0) > 65_535:
        raise ValueError(f"{text!r} is no http(s) URL of a host in lower case, without a path")
    if found["port"] == _USUAL_PORT[found["scheme"]]:
        raise ValueError(f"{text!r} names the usual port, which no client sends: leave it out")
    return text


AgentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
WholeSeconds = Annotated[str, AfterValidator(_whole_seconds)]
Life = Annotated[str, AfterValidator(_life)]
Interval = Annotated[str, AfterValidator(_interval)]
Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_url)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Listen(_Model):
    """Where the two listeners are; neither is ever a destination of a link."""

    agents: Address = "127.0.0.1:7300"
    operators: Address = "127.0.0.1:7301"


class Client(_Model):
    """How one agent proves who it is, in one way.

    secret_hash      hash of a secret, or a `file:` or `env:` reference to one
    private_key_jwt  file with the agent's public key or keys, as JWK or JWK Set
    """

    secret_hash: str | None = None
    private_key_jwt: Path | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.secret_hash is None) == (self.private_key_jwt is None):
            raise ValueError("expected either secret_hash or private_key_jwt")
        return self


class Tokens(_Model):
    """How long access tokens live."""

    ttl: Life = "15m"
    max_ttl: Life = Field(default="1h", validate_default=True)  # against `ttl`
    skew: WholeSeconds = "10s"

    @field_validator("max_ttl")
    @classmethod
    def _at_least_ttl(cls, text: str, info: ValidationInfo) -> str:
        ttl = info.data.get("ttl")  # absent where it is itself refused
        if ttl is not None and milliseconds(text) < milliseconds(ttl):
            raise ValueError(f"{text!r} is shorter than ttl, {ttl!r}")
        return text


class Identity(_Model):
    """Whom the gateway believes. Operators hold keys that it makes (`passavant operator`).

    applications  programs on people's machines that act as an agent, by their client id
    users      who vouches for people on whose behalf agents act, by a name of ours
    workloads  who vouches for programs that are agents, by a name of ours
    operators  where operators log in with a browser; None: only keys are good
    """

    clients: dict[str, Client] = Field(default_factory=dict)
    applications: dict[ApplicationId, ApplicationSpec] = Field(default_factory=dict)
    users: trust.Users = Field(default_factory=dict)
    workloads: trust.Workloads = Field(default_factory=dict)
    operators: trust.OperatorLogin | None = None
    tokens: Tokens = Tokens()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        trust.check_apart(self.users, self.workloads, self.operators)
        check_redirects(self.applications)
        both = self.applications.keys() & (self.clients.keys() | self.workload_agents)
        if both:
            raise ValueError(f"{', '.join(sorted(both))}: an application and another client")
        return self

    @property
    def secret_hashes(self) -> dict[str, str]:
        """Clients that have a secret, with its hash or a reference to it."""
        return {n: c.secret_hash for n, c in self.clients.items() if c.secret_hash is not None}

    @property
    def key_files(self) -> dict[str, Path]:
        """Clients that have keys, with the file of those."""
        return {
            n: c.private_key_jwt for n, c in self.clients.items() if c.private_key_jwt is not None
        }

    @property
    def operators_issuer(self) -> str:
        """How names of operators begin: as the same people's do for whom agents act, if any do.

        Else an asker could answer their own question under another name.
        """
        url = None if self.operators is None else self.operators.oidc.issuer
        named = (name for name, each in self.users.items() if each.oidc.issuer == url)
        return next(named, trust.OPERATORS)

    @property
    def workload_agents(self) -> frozenset[str]:
        """Agents that a workload's token can prove to be."""
        return frozenset(
            agent for each in self.workloads.values() for agent in each.jwt.subjects.values()
        )


class Audit(_Model):
    """The log and what of it is published to agents.

    publish  serve checkpoint and hash tiles, never entries, on the agents' listener
    """

    origin: str = Field(default="passavant/node-1", pattern=_ORIGIN)
    checkpoint_every: Interval = "1s"
    segment_bytes: int = Field(default=64 << 20, ge=1 << 20, le=1 << 30)
    publish: bool = False


class Fleet(_Model):
    """What gateways that are one fleet share. The policy files and accepted tools are the same too.

    database    a SQLite file that all of them reach, private to the account they run as
    token_keys  folder of the keys that sign access tokens; None: each has its own, in its home
    """

    database: Annotated[str, AfterValidator(_sqlite)]
    token_keys: Path | None = Field(default=None, strict=False)

    @property
    def file(self) -> Path:
        """The database as a file."""
        return Path(self.database.removeprefix(_SQLITE))

    def below(self, base: Path) -> Self:
        """The same, found from that folder."""
        keys = None if self.token_keys is None else base / self.token_keys
        database = f"{_SQLITE}{base / self.file}"
        return self.model_copy(update={"database": database, "token_keys": keys})


class Settings(_Model):
    """One deployment.

    flows                       files of flows that can be run, one flow each
    agents, models              what flows reach, by name
    webhooks                    whom is told that people are needed, by a name of ours
    runs                        where they are kept, and the workers that carry them
    insecure_unsandboxed_stdio  start local servers where nothing can confine them
    insecure_volatile_log       keep the log on a file system in memory, which a restart loses
    insecure_plain_http         let agents and operators use http:// beyond this machine
    canaries                    references to texts that are planted where no honest call takes
                                anything from: `secrets` in conditions tells of them
    """

    api_version: Literal["passavant/v1"] = Field(alias="apiVersion")
    kind: Literal["Gateway"]
    insecure_unsandboxed_stdio: bool = False
    insecure_volatile_log: bool = False
    insecure_plain_http: bool = False
    home: Path = Field(default=Path(".passavant"), strict=False)
    public_url: Url = "http://127.0.0.1:7300"
    operators_url: Url = "http://localhost:7301"
    listen: Listen = Listen()
    database: Literal["sqlite"] = "sqlite"
    policy: list[str] = Field(min_length=1)
    flows: list[str] = Field(default_factory=list)
    agents: dict[AgentName, AgentSpec] = Field(default_factory=dict)
    models: dict[AgentName, ModelSpec] = Field(default_factory=dict)
    servers: dict[str, ServerSpec] = Field(default_factory=dict)
    identity: Identity = Identity()
    audit: Audit = Audit()
    fleet: Fleet | None = None
    runs: RunsSpec = RunsSpec()
    guards: Guards = Guards()
    webhooks: dict[HookName, WebhookSpec] = Field(default_factory=dict)
    canaries: list[Reference] = Field(default_factory=list)

    @model_validator(mode="after")
    def _tells_apart(self) -> Self:
        if self.fleet is not None and self.audit.origin == Audit().origin:
            raise ValueError("each gateway of a fleet needs an audit.origin of its own")
        return self

    @field_validator("public_url", "operators_url")
    @classmethod
    def _encrypted(cls, url: str, info: ValidationInfo) -> str:
        plain = url.startswith("http://") and not is_loopback(url)
        if plain and not info.data.get("insecure_plain_http"):
            raise ValueError(
                f"{url!r} sends credentials to another machine unencrypted: use https, or set"
                " insecure_plain_http"
            )
        return url

    @field_validator("database", mode="before")
    @classmethod
    def _is_here(cls, database: object) -> object:
        if database != "sqlite":
            raise ValueError("this version keeps its state in sqlite alone")
        return database


def load(path: Path) -> Settings:
    """Read a deployment file; relative paths in it are relative to its folder.

    Raises SettingsInvalid, which names every place that is wrong.
    """
    try:
        source = Source.read(str(path), path.read_bytes())
    except OSError as error:
        raise SettingsInvalid(f"{path}: {error.strerror}") from error
    except PolicyInvalid as error:
        raise SettingsInvalid(str(error)) from error
    early = tuple(_not_yet(source.value))
    if early:
        raise SettingsInvalid("\n".join(_refusal(source, place) for place in early))
    try:
        settings = Settings.model_validate(source.value)
    except ValidationError as error:
        raise SettingsInvalid(_complaints(source, error)) from error
    base = path.resolve().parent
    return settings.model_copy(
        update={
            "home": base / settings.home,
            "policy": [str(base / name) for name in settings.policy],
            "flows": [str(base / name) for name in settings.flows],
            "agents": _instructed(settings.agents, base),
            "identity": _rooted(settings.identity, base),
            "fleet": None if settings.fleet is None else settings.fleet.below(base),
        }
    )


def _instructed(agents: Mapping[str, AgentSpec], base: Path) -> dict[str, AgentSpec]:
    """The same with the instructions of prompt agents read. Raises SettingsInvalid."""
    try:
        return {name: spec.below(base) for name, spec in agents.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"agents: instructions cannot be read: {error}") from error


def _rooted(identity: Identity, base: Path) -> Identity:
    """The same with the keys of clients and workloads found from the file's folder."""
    clients = {
        name: client.model_copy(update={"private_key_jwt": base / client.private_key_jwt})
        if client.private_key_jwt is not None
        else client
        for name, client in identity.clients.items()
    }
    workloads = {name: issuer.below(base) for name, issuer in identity.workloads.items()}
    return identity.model_copy(update={"clients": clients, "workloads": workloads})


Place = tuple[str, ...]


def _not_yet(value: object) -> Iterator[Place]:
    """The places of `NOT_YET` that the file has something at."""
    for pattern in NOT_YET:
        yield from _present(value, tuple(pattern.split(".")), ())


def _present(value: object, pattern: Place, at: Place) -> Iterator[Place]:
    if not pattern:
        yield at
    elif isinstance(value, Mapping):
        names = tuple(value) if pattern[0] == "*" else (pattern[0],)
        for name in names:
            if name in value:
                yield from _present(value[name], pattern[1:], (*at, name))


def _refusal(source: Source, place: Place) -> str:
    return f"{source.at_key(*place)}: {'.'.join(place)}: this version cannot honour it"


def _complaints(source: Source, error: ValidationError) -> str:
    return "\n".join(
        f"{source.at(*found['loc'])}: {'.'.join(map(str, found['loc']))}: {_said(found)}"
        for found in error.errors(include_input=False, include_url=False)
    )


def _said(found: ErrorDetails) -> str:
    """Pydantic's words, or ours where they would not help who writes the file."""
    return "there is no such setting" if found["type"] == "extra_forbidden" else found["msg"]
