import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from audit.canonical import Json
from gateway.catalogue.servers import Equipment, ServerSpec, build_link, build_links
from gateway.errors import AddressRefused, NameRefused, SandboxMissing, SettingsInvalid
from gateway.known_secrets import KnownSecrets
from gateway.links.masking import Masks
from gateway.links.sandbox import Sandbox
from tests.gateway.links.conftest import make_connected, make_means


@pytest.fixture
def equipment(tmp_path: Path) -> Equipment:
    known = KnownSecrets()
    return Equipment(
        means=make_means(tmp_path, known, {}),
        subject=lambda caller, audience: f"{caller.agent} to {audience}",
        connected=make_connected(tmp_path),
        masks=Masks(known),
        sandbox=Sandbox(None, tmp_path, allow_unsandboxed=True),
        path="/usr/bin:/bin",
        own=lambda: (),
        tls=ssl.create_default_context(),
    )


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"url": "https://crm.example/mcp"}, id="url"),
        pytest.param(
            {"url": "https://crm.example/mcp", "credential": {"bearer": "file:/run/crm"}}, id="file"
        ),
        pytest.param({"command": ["sh"]}, id="command"),
        pytest.param(
            {
                "command": ["sh", "-c", ""],
                "env": {"A": "b", "C": {"secret": "env:C"}},
                "sandbox": {"write": ["/srv/repo"], "network": "none"},
                "cwd": "/srv/repo",
            },
            id="all-of-a-command",
        ),
        pytest.param({"url": "https://x.example/", "versions": ["2026-07-28"]}, id="versions"),
    ],
)
def test_a_server_is_described_by_a_url_or_a_command(document: Json) -> None:
    ServerSpec.model_validate(document)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"url": "https://x.example/", "command": ["sh"]}, id="both"),
        pytest.param({"command": []}, id="no-program"),
        pytest.param({"command": "sh -c id"}, id="command-as-text"),
        pytest.param({"command": ["sh", 1]}, id="argument-as-number"),
        pytest.param({"command": ["sh", "a\x00b"]}, id="nul"),
        pytest.param({"command": ["sh"], "shell": True}, id="unknown-setting"),
        pytest.param({"command": ["sh"], "env": {"A": 1}}, id="environment-as-number"),
        pytest.param({"command": ["sh"], "env": {"A=B": "1"}}, id="variable-name"),
        pytest.param({"command": ["sh"], "env": {"A": {"secret": "plain"}}}, id="no-reference"),
        pytest.param({"command": ["sh"], "credential": {"bearer": "env:A"}}, id="bearer-to-stdio"),
        pytest.param({"command": ["sh"], "allow_private": True}, id="private-stdio"),
        pytest.param({"command": ["sh"], "cwd": "srv"}, id="relative-folder"),
        pytest.param({"command": ["sh"], "sandbox": {"read": ["srv"]}}, id="relative-path"),
        pytest.param({"command": ["sh"], "sandbox": {"network": "all"}}, id="network"),
        pytest.param({"url": "https://x.example/", "env": {}}, id="environment-of-url"),
        pytest.param({"url": "https://x.example/", "sandbox": {}}, id="sandbox-of-url"),
        pytest.param({"url": "https://x.example/", "credential": {"bearer": "abc"}}, id="secret"),
        pytest.param(
            {"url": "https://x.example/", "credential": {"bearer": "env:A;B"}}, id="bad-reference"
        ),
        pytest.param({"url": "https://x.example/", "versions": []}, id="no-version"),
        pytest.param({"url": "https://x.example/", "versions": ["2023-01-01"]}, id="version"),
        pytest.param({"url": "https://x.example/", "allow_private": "yes"}, id="text-for-boolean"),
    ],
)
def test_any_other_description_is_refused(document: Json) -> None:
    with pytest.raises(ValidationError):
        ServerSpec.model_validate(document)


@pytest.mark.parametrize(
    ("servers", "error"),
    [
        pytest.param({"Git": {"command": ["sh"]}}, NameRefused, id="name"),
        pytest.param({"agents": {"command": ["sh"]}}, NameRefused, id="reserved"),
        pytest.param({"mem0ry": {"command": ["sh"]}}, NameRefused, id="like-a-reserved-one"),
        pytest.param({"agent-s": {"command": ["sh"]}}, NameRefused, id="reserved-but-for-a-hyphen"),
        pytest.param(
            {"crm1": {"command": ["sh"]}, "crml": {"command": ["sh"]}}, NameRefused, id="look-alike"
        ),
        pytest.param({"a": {"url": "https://u:p@x.example/"}}, AddressRefused, id="address"),
        pytest.param({"a": {"command": ["no-such-program"]}}, SettingsInvalid, id="program"),
        pytest.param({"a": {"command": [""]}}, SettingsInvalid, id="empty-program"),
    ],
)
def test_servers_that_cannot_be_are_refused_before_anything_starts(
    servers: dict[str, Any], error: type[Exception], equipment: Equipment
) -> None:
    specs = {name: ServerSpec.model_validate(document) for name, document in servers.items()}
    with pytest.raises(error):
        build_links(specs, equipment)


def test_links_are_built_without_reaching_anything(equipment: Equipment) -> None:
    specs = {
        "git": ServerSpec(command=["sh"]),
        "crm": ServerSpec(url="https://crm.example/mcp"),
    }
    links = build_links(specs, equipment)
    assert {(link.name, link.state) for link in links.values()} == {
        ("git", "down"),
        ("crm", "down"),
    }


def test_a_local_server_is_not_built_where_nothing_confines_it(
    equipment: Equipment, tmp_path: Path
) -> None:
    strict = replace(equipment, sandbox=Sandbox(None, tmp_path))
    with pytest.raises(SandboxMissing):
        build_link("git", ServerSpec(command=["sh"]), strict)
    assert build_link("crm", ServerSpec(url="https://crm.example/"), strict).state == "down"
