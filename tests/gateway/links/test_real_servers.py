"""Links to public MCP servers, as they are installed, in each era they speak."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.canonical import Json
from gateway.catalogue.pins import Lock
from gateway.catalogue.servers import Equipment, ServerSpec, build_link
from gateway.catalogue.tools import Catalogue
from gateway.links.era import Version
from gateway.links.jsonrpc import dump
from gateway.links.link import Permit
from gateway.links.mcp import McpLink
from tests.gateway.links.conftest import up
from tests.gateway.links.http_upstream import CLERK, permit

PROGRAMS = Path(sys.executable).parent
VERSIONS: list[Version] = ["2026-07-28", "2025-11-25", "2025-06-18", "2024-11-05"]

Reached = Callable[..., Awaitable[McpLink]]


@pytest.fixture
async def reached(equipment: Equipment) -> AsyncIterator[Reached]:
    links: list[McpLink] = []

    async def reached(version: Version, *command: str) -> McpLink:
        around = replace(equipment, path=f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin")
        spec = ServerSpec(command=list(command), versions=[version])
        links.append(build_link("s", spec, around))
        await up(links[-1])
        return links[-1]

    yield reached
    for link in links:
        await link.close()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for argv in (
        ["init", "--quiet", "--initial-branch=main"],
        ["commit", "--quiet", "--allow-empty", "--message=first commit"],
    ):
        identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
        subprocess.run(["git", *identity, *argv], cwd=folder, check=True)
    return folder


async def call(link: McpLink, name: str, **arguments: Json) -> dict[str, Any]:
    definition = next(tool for tool in await link.definitions() if tool["name"] == name)
    return (await link.call(permit(definition, dump(arguments)), timeout_s=20)).result


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_git_server_shows_a_commit(
    version: Version, reached: Reached, repository: Path
) -> None:
    link = await reached(version, "mcp-server-git", "--repository", str(repository))
    result = await call(link, "git_log", repo_path=str(repository))
    assert result["isError"] is False
    assert "first commit" in result["content"][0]["text"]
    refused = await call(link, "git_log", repo_path="/nonexistent")
    assert refused["isError"] is True


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_time_server_tells_the_time(version: Version, reached: Reached) -> None:
    link = await reached(version, "mcp-server-time", "--local-timezone", "UTC")
    results = await asyncio.gather(
        *(call(link, "get_current_time", timezone="Europe/Vienna") for _ in range(5))
    )
    for result in results:
        assert json.loads(result["content"][0]["text"])["timezone"] == "Europe/Vienna"
        assert result["structuredContent"]["timezone"] == "Europe/Vienna"


async def test_a_definition_has_the_same_pin_in_both_eras(
    reached: Reached, repository: Path
) -> None:
    command = ("mcp-server-git", "--repository", str(repository))
    modern = await (await reached("2026-07-28", *command)).definitions()
    legacy = await (await reached("2025-11-25", *command)).definitions()
    lock = Lock().accept("git", modern)
    changes = lock.compare("git", legacy)
    assert (changes.new, changes.changed, changes.removed) == ((), (), ())
    assert json.dumps(modern) != json.dumps(legacy)  # their members stand in another order


async def test_every_tool_of_real_servers_can_be_accepted_and_called_by_its_pin(
    reached: Reached, repository: Path
) -> None:
    git = await reached("2026-07-28", "mcp-server-git", "--repository", str(repository))
    clock = await reached("2026-07-28", "mcp-server-time")
    lock = Lock().accept("git", await git.definitions())
    lock = lock.accept("time", await clock.definitions())
    catalogue = Catalogue.of(lock)
    assert all(tool.callable for tool in catalogue.tools())
    assert len(catalogue.tools("git")) == 12
    tool = catalogue.by_published("git__git_log")
    assert tool is not None
    arguments: dict[str, Json] = {"repo_path": str(repository), "max_count": 1}
    tool.check(arguments)
    allowed = permit(tool.definition, dump(arguments))
    expected = Permit("s", "git_log", tool.pin, dump(arguments), CLERK, "s1", allowed.receipt)
    assert allowed == expected
    assert (await git.call(allowed, timeout_s=20)).result["isError"] is False
