"""Settings: one deployment, read once (`gateway.deployment`) and checked as a whole.

Rules live in policy files, never here: this file says where the gateway listens, what it
reaches and whom it believes. Every setting of the models is honoured.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.catalogue.agents import AgentSpec, ModelSpec
from gateway.catalogue.servers import ServerSpec
from gateway.guard.rules import Guards
from gateway.identity import trust
from gateway.identity.applications import ApplicationId, ApplicationSpec, check_redirects
from gateway.links.credentials import Reference
from gateway.notation import Address, Interval, Life, Url, WholeSeconds, is_loopback, milliseconds
from gateway.notices.hooks import HookName, WebhookSpec
from gateway.runs.spec import RunsSpec

_LABELS = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*"
_ORIGIN = rf"^{_LABELS}(?:/{_LABELS})*$"  # also a path below /audit/log/: no part is `..`
_SQLITE = "sqlite:///"


def _sqlite(text: str) -> str:
    if not text.startswith(_SQLITE) or len(text) == len(_SQLITE) or "?" in text:
        raise ValueError(f"{text!r} is no SQLite file, as sqlite:////srv/fleet/fleet.db")
    return text


AgentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


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
