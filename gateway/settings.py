"""Settings: one deployment, read once from `passavant.yaml` and checked as a whole.

Rules live in policy files, never here: this file says where the gateway listens, what it
reaches and whom it believes. A setting that this version reads but cannot yet honour is refused
at start instead of being ignored: what is written and not done would be believed.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gateway.catalogue.servers import ServerSpec
from gateway.errors import SettingsInvalid
from policies.errors import PolicyInvalid
from policies.source import Source

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(text: str) -> int:
    """A duration as written in files (`15m`, `1s`, `250ms`), in milliseconds. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration such as 15m, 10s or 250ms")
    return int(found["number"]) * _UNIT_MS[found["unit"]]


def _duration(text: str) -> str:
    milliseconds(text)
    return text


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise ValueError(f"{text!r} is no address such as 127.0.0.1:7300")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", text):
        raise ValueError(f"{text!r} is no plain http(s) URL without a path")
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_url)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Listen(_Model):
    """Where the two listeners are; neither is ever a destination of a link."""

    agents: Address = "127.0.0.1:7300"
    operators: Address = "127.0.0.1:7301"


class Client(_Model):
    """How one agent proves who it is."""

    secret_hash: str | None = None  # `file:` or `env:` reference to a hash, or the hash itself
    private_key_jwt: str | None = None


class Tokens(_Model):
    """How long access tokens live."""

    ttl: Duration = "15m"
    max_ttl: Duration = "1h"
    skew: Duration = "10s"


class Operators(_Model):
    """Who may operate: until people log in through their issuer, keys made by the gateway."""

    keys: str = "keys/operators.json"  # below home
    oidc: dict[str, str] | None = None
    roles: dict[str, list[str]] = Field(default_factory=dict)


class Identity(_Model):
    """Whom the gateway believes."""

    clients: dict[str, Client] = Field(default_factory=dict)
    users: dict[str, dict[str, str]] = Field(default_factory=dict)
    operators: Operators = Operators()
    tokens: Tokens = Tokens()


class Audit(_Model):
    """The log and what of it is published."""

    origin: str = Field(default="passavant/node-1", pattern=r"[a-z0-9.\-]+(/[a-z0-9.\-]+)*")
    checkpoint_every: Duration = "1s"
    segment_bytes: int = Field(default=64 << 20, ge=1 << 20, le=1 << 30)
    publish: bool = False
    witnesses: list[dict[str, str]] = Field(default_factory=list)
    quorum: int = Field(default=0, ge=0)


class Settings(_Model):
    """One deployment."""

    api_version: Literal["passavant/v1"] = Field(alias="apiVersion")
    kind: Literal["Gateway"]
    home: Path = Field(default=Path(".passavant"), strict=False)
    public_url: Url = "http://127.0.0.1:7300"
    operators_url: Url = "http://localhost:7301"
    listen: Listen = Listen()
    database: str = "sqlite"
    policy: list[str] = Field(min_length=1)
    servers: dict[str, ServerSpec] = Field(default_factory=dict)
    agents: dict[str, dict[str, object]] = Field(default_factory=dict)
    models: dict[str, dict[str, object]] = Field(default_factory=dict)
    identity: Identity = Identity()
    audit: Audit = Audit()
    insecure_unsandboxed_stdio: bool = False
    insecure_volatile_log: bool = False
    insecure_plain_http: bool = False

    def unsupported(self) -> tuple[str, ...]:
        """Settings that this version cannot honour, by their place in the file."""
        found = [f"agents.{name}" for name in self.agents]
        found += [f"models.{name}" for name in self.models]
        found += ["identity.users.oidc"] if self.identity.users else []
        found += ["identity.operators.oidc"] if self.identity.operators.oidc else []
        found += [
            f"identity.clients.{name}.private_key_jwt"
            for name, client in self.identity.clients.items()
            if client.private_key_jwt is not None
        ]
        found += ["audit.witnesses"] if self.audit.witnesses else []
        return tuple(found)


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
    try:
        settings = Settings.model_validate(source.value)
    except ValidationError as error:
        raise SettingsInvalid(_complaints(source, error)) from error
    unsupported = settings.unsupported()
    if unsupported:
        names = ", ".join(unsupported)
        raise SettingsInvalid(f"{path}: this version cannot do what these settings say: {names}")
    base = path.resolve().parent
    return settings.model_copy(
        update={
            "home": base / settings.home,
            "policy": [str(base / name) for name in settings.policy],
        }
    )


def _complaints(source: Source, error: ValidationError) -> str:
    lines = []
    for found in error.errors(include_input=False, include_url=False):
        place = ".".join(map(str, found["loc"]))
        lines.append(f"{source.at(*found['loc'])}: {place}: {found['msg']}")
    return "\n".join(lines)
