"""The page of the log: it says whether the log holds, and notices when it does not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from audit.verify import verify_directory
from tests.harness.console import Person
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_page_names_log_key_and_checkpoint(gateway: Running, vera: Person) -> None:
    page = await vera.get("/log")
    assert "gw.example/log" in page.text
    assert "passavant audit verify" in page.text
    assert "signs" in page.text


async def published(gateway: Running) -> Path:
    """The folder, once it holds the whole log."""
    services = gateway.gateway.services
    tiles = services.home.tiles
    await gateway.until((tiles / "checkpoint").exists)

    def is_whole() -> bool:
        report = verify_directory(tiles, services.vkey)
        return report.ok and report.size == services.log.size

    await gateway.until(is_whole)
    return tiles


async def test_the_published_log_is_verified_on_request(gateway: Running, vera: Person) -> None:
    await published(gateway)
    after = await vera.send(await vera.get("/log"), "/log/verify")
    assert 'class="said good"' in after.text


@pytest_asyncio.fixture(loop_scope="module")
async def damaged(gateway: Running, vera: Person) -> AsyncIterator[None]:
    """A published log whose checkpoint says another size.

    All that there is was published before, vera's coming too: a new checkpoint would mend it.
    """
    file = gateway.gateway.services.home.tiles / "checkpoint"
    await gateway.until(
        lambda: file.exists() and file.read_text().splitlines()[1] == str(gateway.size)
    )
    kept = file.read_bytes()
    file.write_bytes(kept.replace(b"\n", b"\n1", 1))
    yield
    file.write_bytes(kept)


async def test_damage_shows(damaged: None, vera: Person) -> None:
    after = await vera.send(await vera.get("/log"), "/log/verify")
    assert 'class="said good"' not in after.text
    assert 'class="said bad"' in after.text


async def test_a_checkpoint_that_was_kept_excludes_a_rollback(
    gateway: Running, vera: Person
) -> None:
    kept = ((await published(gateway)) / "checkpoint").read_text()
    page = await vera.get("/log")
    assert "rollback not excluded" in (await vera.send(page, "/log/verify", kept="")).text
    after = await vera.send(page, "/log/verify", kept=kept.replace("\n", "\r\n"))
    assert "rollback excluded by pin" in after.text


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        pytest.param("<script>", "neither a receipt nor", id="no-pin"),
        pytest.param(f"gw.example/log;0;{'0' * 64}", "failed", id="another-history"),
        pytest.param("gw.example/log;x;y", "line 1", id="no-receipt"),
    ],
)
async def test_what_was_kept_of_another_log_shows(
    gateway: Running, vera: Person, kept: str, said: str
) -> None:
    await published(gateway)
    after = await vera.send(await vera.get("/log"), "/log/verify", kept=kept)
    assert said in after.text
    assert 'class="said good"' not in after.text
    assert "<script>" not in after.text
