"""T10: the gateway is one client at an upstream for many agents and people, and mixes up none.

Consent is asked for each agent, in the browser and of the person that it is about; states and
forms are good once; an answer counts only from whom it was asked of.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest

from gateway.home import Home
from tests.harness.agent import Agent
from tests.harness.authorization_server import IssuerStub, issuer
from tests.harness.browser import FROM_ELSEWHERE, Browser, browser, onwards
from tests.harness.gateway import Running, accept, running
from tests.harness.provider import Provider, provider
from tests.harness.upstream import Desk, desk

SECRET = "the-secret-of-the-gateway"
START = "/oauth/upstream/desk/start?agent=clerk-1"


@dataclass
class Scene:
    gateway: Running
    idp: IssuerStub
    corp: Provider
    ana: Browser
    eve: Browser

    @property
    def start(self) -> str:
        return f"{self.gateway.url}{START}"

    async def question(self, person: Browser) -> httpx.Response:
        page = await person.open(self.start)
        assert "May the agent" in page.text, page.text
        return page

    async def way_back(self, person: Browser) -> str:
        """Where the upstream's authorization server sends a person who agreed."""
        page = await person.agree(await self.question(person), until="/authorize")
        there = onwards(page)
        assert there is not None
        back = (await person.http.get(there)).headers["location"]
        assert back.startswith(f"{self.gateway.url}/oauth/upstream/desk/callback?")
        return str(back)

    def nothing(self) -> bool:
        """Whether nobody has connected anything, and no code was exchanged."""
        exchanged = [f for f in self.idp.forms if f["grant_type"] == "authorization_code"]
        return not exchanged and not self.gateway.entries("connection.given")


@pytest.fixture
async def upstream() -> AsyncIterator[Desk]:
    async with desk() as server:
        yield server


@pytest.fixture
async def scene(tmp_path: Path, upstream: Desk) -> AsyncIterator[Scene]:
    (tmp_path / "gw.secret").write_text(SECRET)
    accept(Home.at(tmp_path / "home"), {"desk": upstream})
    async with issuer() as idp, provider() as corp, browser() as ana, browser() as eve:
        idp.secrets["gw"], corp.client = SECRET, "passavant"
        credential = {"issuer": idp.url, "client": "gw", "secret": "file:../gw.secret"}
        servers = {"desk": {"url": upstream.url, "credential": {"user_oauth": credential}}}
        users = {"corp": {"oidc": {"issuer": corp.url, "audience": "passavant"}}}
        async with running(
            tmp_path, servers=servers, settings={"identity": {"users": users}}
        ) as gateway:
            yield Scene(gateway, idp, corp, ana, eve)


def changed(url: str, **parameters: str | None) -> str:
    """The address with other parameters; None: without that one."""
    parts = urlsplit(url)
    kept = {**dict(parse_qsl(parts.query)), **parameters}
    given = {name: value for name, value in kept.items() if value is not None}
    return parts._replace(query=urlencode(given)).geturl()


def refused(response: httpx.Response) -> bool:
    said = re.search("<h1>Not (connected|logged in)", response.text)
    return response.status_code >= 400 and said is not None


# -- consent --------------------------------------------------------------------------------


async def test_t10_each_agent_is_asked_about_by_itself(scene: Scene) -> None:
    await scene.ana.open(await scene.way_back(scene.ana))
    assert len(scene.gateway.entries("connection.given")) == 1
    second = await scene.gateway.agent("clerk-2", user="corp:ana")
    answered = await second.call("desk.look", at="x")
    assert answered.code == "upstream.consent"
    page = await scene.ana.open(f"{scene.gateway.url}/oauth/upstream/desk/start?agent=clerk-2")
    assert "May the agent" in page.text
    assert "clerk-2" in page.text


async def test_t10_nobody_is_sent_on_without_having_agreed(scene: Scene) -> None:
    await scene.question(scene.ana)
    assert not any(target.startswith("/authorize") for target in scene.idp.targets())


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
async def test_t10_a_form_sent_from_elsewhere_agrees_to_nothing(
    headers: dict[str, str], scene: Scene
) -> None:
    page = await scene.question(scene.ana)
    assert refused(await scene.ana.post(page, **headers))
    assert scene.nothing()


async def test_t10_a_form_agrees_once_and_in_the_browser_that_was_asked(scene: Scene) -> None:
    page = await scene.question(scene.ana)
    await scene.question(scene.eve)
    assert refused(await scene.eve.post(page))
    assert refused(await scene.ana.post(page)), "it is used up"
    assert scene.nothing()


async def test_t10_a_form_without_its_secret_agrees_to_nothing(scene: Scene) -> None:
    page = await scene.question(scene.ana)
    action = f"{scene.gateway.url}/oauth/upstream/desk/consent"
    for data in ({}, {"ticket": "x"}, {"ticket": "x" * 3000}):
        answered = await scene.ana.http.post(
            action, data=data, headers={"origin": scene.gateway.url}
        )
        assert refused(answered)
    assert "May the agent" in page.text
    assert scene.nothing()


async def test_t10_a_question_that_waits_too_long_is_over(scene: Scene) -> None:
    page = await scene.question(scene.ana)
    scene.gateway.clock.pass_s(601)
    assert refused(await scene.ana.post(page))


# -- coming back ----------------------------------------------------------------------------


async def test_t10_an_answer_counts_once(scene: Scene) -> None:
    back = await scene.way_back(scene.ana)
    assert "Connected" in (await scene.ana.open(back)).text
    assert refused(await scene.ana.open(back))
    assert len(scene.gateway.entries("connection.given")) == 1


async def test_t10_an_answer_for_one_browser_is_none_in_another(scene: Scene) -> None:
    """Else somebody could have their own account used for another person."""
    back = await scene.way_back(scene.eve)
    await scene.question(scene.ana)
    assert refused(await scene.ana.open(back))
    assert refused(await scene.eve.open(back)), "it is used up"
    assert scene.nothing()


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"state": "x" * 43}, id="another-state"),
        pytest.param({"state": None}, id="no-state"),
        pytest.param({"iss": "https://evil.example"}, id="another-issuer"),
        pytest.param({"iss": None}, id="issuer-that-does-not-name-itself"),
        pytest.param({"code": None}, id="no-code"),
        pytest.param({"error": "access_denied"}, id="said-no"),
    ],
)
async def test_t10_an_answer_that_is_not_the_one_asked_for_is_refused(
    parameters: dict[str, str | None], scene: Scene
) -> None:
    back = await scene.way_back(scene.ana)
    assert refused(await scene.ana.open(changed(back, **parameters)))
    assert scene.nothing()


async def test_t10_a_parameter_given_twice_is_refused(scene: Scene) -> None:
    back = await scene.way_back(scene.ana)
    assert refused(await scene.ana.open(f"{back}&code=another"))
    assert scene.nothing()


@pytest.mark.parametrize("path", ["/oauth/upstream/other/callback", "/oauth/login/corp/callback"])
async def test_t10_an_answer_to_another_place_is_refused(path: str, scene: Scene) -> None:
    back = await scene.way_back(scene.ana)
    query = urlsplit(back).query
    assert refused(await scene.ana.open(f"{scene.gateway.url}{path}?{query}"))
    assert scene.nothing()


async def test_t10_people_come_back_to_one_address_exactly_with_proof(scene: Scene) -> None:
    await scene.way_back(scene.ana)
    asked = {
        name: values[0]
        for name, values in parse_qs(
            next(t for t in scene.idp.targets() if t.startswith("/authorize")).partition("?")[2]
        ).items()
    }
    assert asked["redirect_uri"] == f"{scene.gateway.url}/oauth/upstream/desk/callback"
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert len(asked["state"]) == len(asked["code_challenge"]) == 43


# -- who it is ------------------------------------------------------------------------------


async def test_t10_a_log_in_of_one_browser_is_none_in_another(scene: Scene) -> None:
    page = await scene.eve.http.get(scene.start)
    there = page.headers["location"]
    back = (await scene.eve.http.get(there)).headers["location"]
    await scene.ana.http.get(scene.start)
    assert refused(await scene.ana.open(back))
    assert refused(await scene.eve.open(back))


@pytest.mark.parametrize(
    "person",
    [
        pytest.param({"sub": "ana", "nonce": "another"}, id="another-log-in"),
        pytest.param({"sub": "ana", "aud": "passavant-console"}, id="for-somebody-else"),
        pytest.param({"sub": "ana", "azp": "another-client"}, id="given-to-somebody-else"),
        pytest.param({"sub": "ana", "iss": "https://evil.example"}, id="of-another-issuer"),
        pytest.param({"sub": ""}, id="nobody"),
    ],
)
async def test_t10_whoever_cannot_be_known_is_asked_nothing(
    person: dict[str, Any], scene: Scene
) -> None:
    scene.corp.claims = lambda subject, **more: claims(subject, **{**more, **person})  # type: ignore[method-assign]  # a provider that errs
    claims = Provider.claims.__get__(scene.corp)
    assert refused(await scene.ana.open(scene.start))


async def test_t10_the_connection_is_of_whoever_logged_in(scene: Scene) -> None:
    """A link that somebody else passed on gives away nothing of whom it was meant for."""
    scene.corp.person = {"sub": "eve"}
    await scene.eve.open(await scene.way_back(scene.eve))
    of_ana = await scene.gateway.agent("clerk-1", user="corp:ana")
    assert (await of_ana.call("desk.look", at="x")).code == "upstream.consent"
    assert [e["actor"]["sub"] for e in scene.gateway.entries("connection.given")] == ["corp:eve"]


@pytest.mark.parametrize(
    "path",
    [
        "/oauth/upstream/desk/start",
        "/oauth/upstream/desk/start?agent=nobody",
        "/oauth/upstream/desk/start?agent=%3Cscript%3E",
        "/oauth/upstream/other/start?agent=clerk-1",
        "/oauth/upstream/desk/start?agent=clerk-1&at=other",
        "/oauth/upstream/desk/start?agent=clerk-1&agent=clerk-2",
        "/oauth/login/other/callback?code=x&state=y",
    ],
)
async def test_t10_nobody_is_sent_anywhere_for_what_is_not_there(path: str, scene: Scene) -> None:
    answered = await scene.ana.http.get(f"{scene.gateway.url}{path}")
    assert refused(answered)
    assert "<script" not in answered.text
    assert scene.corp.asked == []


# -- pages ----------------------------------------------------------------------------------


async def test_t10_no_page_can_be_framed_or_scripted_or_kept(scene: Scene) -> None:
    pages = [await scene.question(scene.ana), await scene.ana.http.get(f"{scene.start}x")]
    pages.append(await scene.ana.http.get(scene.start))
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert "<script" not in page.text


async def test_t10_the_cookie_is_for_this_journey_and_no_script(scene: Scene) -> None:
    first, second = [(await scene.ana.http.get(scene.start)).headers["set-cookie"] for _ in "12"]
    assert re.search(r"HttpOnly; Max-Age=600; Path=/; SameSite=lax", first, re.IGNORECASE)
    assert first.partition(";")[0] != second.partition(";")[0]


async def test_t10_log_ins_begun_at_will_are_counted(scene: Scene) -> None:
    answers = [await scene.eve.http.get(scene.start) for _ in range(40)]
    assert {a.status_code for a in answers} == {303, 429}


async def test_t10_agents_reach_nothing_by_these_pages(scene: Scene) -> None:
    clerk: Agent = await scene.gateway.agent("clerk-1", user="corp:ana")
    for path in ("/oauth/upstream/desk/consent", "/oauth/upstream/desk/callback"):
        assert (await clerk.post(b"{}", path=path)).http in {403, 405}
    assert scene.nothing()


async def test_t10_where_no_server_works_like_that_there_is_no_such_page(
    tmp_path: Path, upstream: Desk
) -> None:
    async with running(tmp_path, servers={"desk": upstream}) as gateway, browser() as ana:
        assert (await ana.http.get(f"{gateway.url}{START}")).status_code == 404
