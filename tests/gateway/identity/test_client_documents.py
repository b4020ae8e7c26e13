"""Client documents: an application says itself where its answers go, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.application import REDIRECT, REGISTERED, Application, settings
from tests.harness.browser import Browser, browser
from tests.harness.gateway import Clock, Running, running
from tests.harness.provider import Provider, provider

PATH = "/client.json"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Scene:
    gateway: Running
    corp: Provider
    ana: Browser
    editor: Application

    def says(self, raw: bytes | None = None, *, status: int = 200, **members: Any) -> None:  # noqa: ANN401 - JSON
        """What the document says from now on; None: not that member."""
        said = {
            "client_id": self.editor.id,
            "client_name": "Administrator's Helper",
            "redirect_uris": [REGISTERED],
            **members,
        }
        kept = {name: value for name, value in said.items() if value is not None}
        body = json.dumps(kept).encode() if raw is None else raw
        self.corp.replaced[PATH] = (status, {"content-type": "application/json"}, body)
        self.gateway.clock.pass_s(3601)  # what was read before is forgotten

    async def is_refused(self, **changes: str) -> bool:
        answered = await self.ana.http.get(self.editor.url(**changes))
        return answered.status_code == 400 and "Not let through" in answered.text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Running, Provider]]:
    async with provider() as corp:
        corp.client, clock = "passavant", Clock()
        corp.now = lambda: clock() / 1_000_000
        made = settings(corp, **{f"{corp.url}{PATH}": {"agent": "clerk-2"}})
        folder = tmp_path_factory.mktemp("gateway")
        async with running(folder, settings=made, clock=clock) as gateway:
            yield gateway, corp


@pytest_asyncio.fixture(loop_scope="module")
async def scene(place: tuple[Running, Provider]) -> AsyncIterator[Scene]:
    gateway, corp = place
    async with browser() as ana:
        editor = Application(gateway, f"{corp.url}{PATH}", agent_name="clerk-2")
        made = Scene(gateway, corp, ana, editor)
        made.says()
        yield made


async def test_an_application_is_sent_back_where_its_document_says(scene: Scene) -> None:
    tokens = await scene.editor.authorized(scene.ana)
    assert scene.editor.agent(tokens).name == "clerk-2"
    given = scene.gateway.entries("consent.given")[-1]
    assert (given["client"], given["redirect"]) == (scene.editor.id, REGISTERED)
    assert (await scene.editor.refresh(tokens["refresh_token"])).is_success


async def test_people_are_shown_its_address_and_that_nobody_checked_it(scene: Scene) -> None:
    page = await scene.editor.asked(scene.ana)
    assert scene.editor.id in page.text
    assert "unverified" in page.text
    assert "Helper" not in page.text


async def test_a_document_is_read_once_an_hour(scene: Scene) -> None:
    before = scene.corp.asked.count(PATH)
    for _ in range(3):
        await scene.editor.asked(scene.ana)
    assert scene.corp.asked.count(PATH) == before + 1
    scene.gateway.clock.pass_s(3601)
    await scene.editor.asked(scene.ana)
    assert scene.corp.asked.count(PATH) == before + 2


async def test_many_who_come_at_once_have_it_read_once(scene: Scene) -> None:
    before = scene.corp.asked.count(PATH)
    await asyncio.gather(*(scene.ana.http.get(scene.editor.url(scope="<b>")) for _ in range(8)))
    assert scene.corp.asked.count(PATH) == before + 1


async def test_one_that_cannot_be_read_is_not_asked_for_at_will(scene: Scene) -> None:
    scene.says(status=500)
    before = scene.corp.asked.count(PATH)
    for _ in range(5):
        assert await scene.is_refused()
    assert scene.corp.asked.count(PATH) == before + 1


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"client_id": "https://evil.example/client.json"}, id="another-id"),
        pytest.param({"client_id": None}, id="no-id"),
        pytest.param({"redirect_uris": None}, id="no-addresses"),
        pytest.param({"redirect_uris": []}, id="empty"),
        pytest.param({"redirect_uris": [REGISTERED] * 17}, id="too-many"),
        pytest.param({"redirect_uris": REGISTERED}, id="a-text"),
        pytest.param({"redirect_uris": [7]}, id="a-number"),
        pytest.param({"redirect_uris": [REGISTERED, "javascript:x"]}, id="a-script"),
        pytest.param({"redirect_uris": [REGISTERED, "editor://x/y"]}, id="a-scheme-anyone-takes"),
        pytest.param({"redirect_uris": [REGISTERED, "http://evil.example/"]}, id="unencrypted"),
        pytest.param({"client_secret": "x"}, id="a-secret"),
        pytest.param({"token_endpoint_auth_method": "client_secret_post"}, id="another-proof"),
    ],
)
async def test_a_document_that_could_mislead_is_no_registration(
    members: dict[str, Any], scene: Scene
) -> None:
    scene.says(**members)
    assert await scene.is_refused()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"<html>", id="a-page"),
        pytest.param(b'{"client_id":"x","client_id":"y"}', id="twice"),
        pytest.param(b" " * (300 << 10), id="huge"),
    ],
)
async def test_a_document_that_is_none_is_no_registration(raw: bytes, scene: Scene) -> None:
    scene.says(raw)
    assert await scene.is_refused()


async def test_a_redirect_of_a_document_is_not_followed(scene: Scene) -> None:
    scene.says()
    scene.corp.replaced["/elsewhere.json"] = scene.corp.replaced[PATH]
    scene.corp.replaced[PATH] = (302, {"location": f"{scene.corp.url}/elsewhere.json"}, b"")
    assert await scene.is_refused()
    assert "/elsewhere.json" not in scene.corp.asked


async def test_answers_go_nowhere_else(scene: Scene) -> None:
    for redirect in ("https://evil.example/callback", f"{REDIRECT}x", "http://localhost/callback"):
        assert await scene.is_refused(redirect_uri=redirect)


async def test_a_document_that_nobody_registered_is_not_asked_for(scene: Scene) -> None:
    scene.corp.replaced["/other.json"] = scene.corp.replaced[PATH]
    assert await scene.is_refused(client_id=f"{scene.corp.url}/other.json")
    assert "/other.json" not in scene.corp.asked


async def test_metadata_says_whether_documents_are_read(tmp_path: Path, scene: Scene) -> None:
    path = "/.well-known/oauth-authorization-server"
    name = "client_id_metadata_document_supported"
    said = (await scene.gateway.http.get(f"{scene.gateway.url}{path}")).json()
    assert said[name] is True
    async with running(tmp_path, settings=settings(scene.corp)) as other:
        assert (await other.http.get(f"{other.url}{path}")).json()[name] is False
