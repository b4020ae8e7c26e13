"""The deployment file: `passavant.yaml` from disk to checked settings, or every reason why not.

What only a later version can do is refused by its place (`NOT_YET`), since what is written and not
done would be believed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.catalogue.agents import AgentSpec
from gateway.errors import SettingsInvalid
from gateway.settings import Identity, Settings
from policies.errors import PolicyInvalid
from policies.source import Source

NOT_YET = (
    "audit.witnesses",
    "audit.quorum",
)
"""Places of the format that this version cannot honour; `*` is any name."""


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
