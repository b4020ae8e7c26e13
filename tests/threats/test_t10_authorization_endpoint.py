"""T10: at our own authorization endpoint nobody is let through by somebody else's consent.

Consent is asked for each application and request, in the browser and of the person that it is
about; answers go where an operator said, exactly; a code is good once, for who asked for it, with
the secret that only they have; what is copied on the way takes back what it gave.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import pytest_asyncio

from tests.harness.application import REDIRECT, REGISTERED, Application, settings
from tests.harness.browser import FROM_ELSEWHERE, Browser, browser, onwards
from tests.harness.gateway import Clock, Running, running
from tests.harness.provider import Provider, provider
from tests.harness.upstream import desk

EVIL = "https://evil.example/callback"


@dataclass
class Scene:
    """A gateway with two applications, one of which is not what it seems."""

    gateway: Running
    corp: Provider
    ana: Browser
    eve: Browser
    editor: Application
    other: Application

    def consents(self) -> int:
        return len(self.gateway.entries("consent.given"))

    def issued(self) -> int:
        return len(self.gateway.entries("token.issue"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Running, Provider]]:
    other = {"agent": "clerk-2", "redirect_uris": ["https://other.example/back"]}
    folder = tmp_path_factory.mktemp("gateway")
    async with provider() as corp, desk() as upstream:
        corp.client, clock = "passavant", Clock()
        corp.now = lambda: clock() / 1_000_000
        made = settings(corp, other=other)
        async with running(
            folder, servers={"desk": upstream}, settings=made, clock=clock
        ) as gateway:
            yield gateway, corp


@pytest_asyncio.fixture(loop_scope="module")
async def scene(place: tuple[Running, Provider]) -> AsyncIterator[Scene]:
    gateway, corp = place
    gateway.clock.pass_s(61)  # what one place may begin is counted by the minute
    corp.person = {"sub": "ana", "groups": ["finance"]}
    async with browser() as ana, browser() as eve:
        other = Application(gateway, "other", "https://other.example/back", "clerk-2", "w" * 43)
        yield Scene(gateway, corp, ana, eve, Application(gateway), other)


pytestmark = pytest.mark.asyncio(loop_scope="module")


def refused(response: httpx.Response) -> bool:
    """Whether the person is told, and nobody is sent anywhere."""
    return response.status_code >= 400 and onwards(response) is None


def reason(response: httpx.Response) -> str:
    assert response.status_code in {400, 401}, response.text
    return str(response.json()["error"])


# -- where answers go -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "redirect",
    [
        pytest.param(EVIL, id="elsewhere"),
        pytest.param(None, id="not-named"),
        pytest.param("", id="empty"),
        pytest.param("https://127.0.0.1:49152/callback", id="another-scheme"),
        pytest.param("http://localhost:49152/callback", id="another-name-of-here"),
        pytest.param("http://[::1]:49152/callback", id="another-address-of-here"),
        pytest.param("http://127.0.0.1:49152/callback/", id="longer-path"),
        pytest.param("http://127.0.0.1:49152/callback/../x", id="dots"),
        pytest.param("http://127.0.0.1:49152/Callback", id="another-case"),
        pytest.param("http://127.0.0.1:49152/%63allback", id="another-spelling"),
        pytest.param("http://127.0.0.1:49152/callback?next=x", id="with-query"),
        pytest.param("http://127.0.0.1:49152/callback#x", id="with-fragment"),
        pytest.param("http://127.0.0.1:49152@evil.example/callback", id="user-info"),
        pytest.param("http://127.0.0.1.evil.example/callback", id="as-a-prefix"),
        pytest.param("http://127.0.0.1:49152\\@evil.example/callback", id="backslash"),
        pytest.param("http://127.0.0.1:99999/callback", id="no-port"),
        pytest.param("http://127.0.0.1:049152/callback", id="another-number"),
        pytest.param("http://127.0.0.1:49152/callback\n", id="line-end"),
        pytest.param("javascript:alert(1)", id="script"),
        pytest.param("//evil.example/callback", id="without-scheme"),
    ],
)
async def test_t10_an_altered_redirect_is_refused_and_not_followed(
    redirect: str | None, scene: Scene
) -> None:
    answered = await scene.ana.http.get(scene.editor.url(redirect_uri=redirect))
    assert refused(answered)
    assert "evil" not in answered.text


async def test_t10_one_application_is_not_answered_at_anothers_address(scene: Scene) -> None:
    assert refused(await scene.ana.http.get(scene.editor.url(redirect_uri=scene.other.redirect)))
    assert refused(await scene.ana.http.get(scene.other.url(redirect_uri=scene.editor.redirect)))


async def test_t10_on_this_machine_any_port_is_the_applications_own(scene: Scene) -> None:
    """RFC 8252, section 7.3."""
    for redirect in (REGISTERED, "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"):
        editor = Application(scene.gateway, redirect=redirect)
        assert "code" in editor.answer(await editor.back(scene.ana, await editor.asked(scene.ana)))


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(None, id="none"),
        pytest.param("clerk-1", id="an-agent"),
        pytest.param("Editor", id="another-case"),
        pytest.param("editor ", id="padded"),
        pytest.param("https://evil.example/client.json", id="a-document-nobody-registered"),
    ],
)
async def test_t10_an_application_that_nobody_registered_is_refused(
    client: str | None, scene: Scene
) -> None:
    answered = await scene.ana.http.get(scene.editor.url(client_id=client))
    assert refused(answered)


async def test_t10_nobody_registers_an_application_from_outside(scene: Scene) -> None:
    metadata = {"redirect_uris": [EVIL], "client_name": "Editor"}
    for path in ("/oauth/register", "/register", "/oauth/authorize"):
        answered = await scene.gateway.http.post(f"{scene.gateway.url}{path}", json=metadata)
        assert answered.status_code in {404, 405}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": "code id_token"}, "unsupported_response_type", id="hybrid"),
        pytest.param({"response_type": None}, "invalid_request", id="no-type"),
        pytest.param({"response_mode": "fragment"}, "invalid_request", id="fragment"),
        pytest.param({"code_challenge": None}, "invalid_request", id="no-pkce"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain-pkce"),
        pytest.param({"code_challenge_method": None}, "invalid_request", id="pkce-by-default"),
        pytest.param({"code_challenge": "v" * 42}, "invalid_request", id="short-challenge"),
        pytest.param({"code_challenge": "v" * 44}, "invalid_request", id="long-challenge"),
        pytest.param({"code_challenge": "+" * 43}, "invalid_request", id="odd-challenge"),
        pytest.param({"resource": EVIL}, "invalid_target", id="another-resource"),
        pytest.param({"scope": "<b>"}, "invalid_scope", id="no-scope"),
        pytest.param({"request": "eyJ"}, "invalid_request", id="a-request-object"),
        pytest.param({"request_uri": EVIL}, "invalid_request", id="a-request-elsewhere"),
        pytest.param({"dpop_jkt": "x"}, "invalid_request", id="no-thumbprint"),
    ],
)
async def test_t10_a_request_that_is_wrong_is_told_to_its_application_alone(
    changes: dict[str, str | None], error: str, scene: Scene
) -> None:
    before = len(scene.corp.asked)
    answered = await scene.ana.http.get(scene.editor.url(**changes))
    told = scene.editor.answer(onwards(answered))
    assert told == {"error": error, "state": "the-state", "iss": scene.gateway.url}
    assert len(scene.corp.asked) == before, "nobody logs in for it"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "code_challenge", "state", "scope"])
async def test_t10_a_parameter_given_twice_is_refused(name: str, scene: Scene) -> None:
    url = scene.editor.url(scope="*")
    value = dict(parse_qsl(urlsplit(url).query))[name]
    assert refused(await scene.ana.http.get(f"{url}&{name}={value}"))
    assert refused(await scene.ana.http.get(f"{url}&{name}=other"))


# -- consent ----------------------------------------------------------------------------------


async def test_t10_each_application_is_asked_about_by_itself(scene: Scene) -> None:
    await scene.editor.authorized(scene.ana)
    page = await scene.other.asked(scene.ana)
    assert "<strong>other</strong>" in page.text
    assert "other.example" in page.text


async def test_t10_a_consent_spares_nobody_the_question(scene: Scene) -> None:
    await scene.editor.authorized(scene.ana)
    before = scene.consents()
    await scene.editor.asked(scene.ana)
    assert scene.consents() == before


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
async def test_t10_a_form_sent_from_elsewhere_agrees_to_nothing(
    headers: dict[str, str], scene: Scene
) -> None:
    before, page = scene.consents(), await scene.editor.asked(scene.ana)
    assert refused(await scene.ana.post(page, **headers))
    assert scene.consents() == before


async def test_t10_a_form_agrees_once(scene: Scene) -> None:
    page = await scene.editor.asked(scene.ana)
    assert onwards(await scene.ana.post(page)) is not None
    assert refused(await scene.ana.post(page))


async def test_t10_a_form_agrees_in_the_browser_that_was_asked_alone(scene: Scene) -> None:
    before, page = scene.consents(), await scene.editor.asked(scene.ana)
    await scene.editor.asked(scene.eve)
    assert refused(await scene.eve.post(page))
    assert refused(await scene.ana.post(page)), "it is used up"
    assert scene.consents() == before


async def test_t10_a_cookie_that_was_planted_beside_ours_is_none(scene: Scene) -> None:
    before, page = scene.consents(), await scene.editor.asked(scene.ana)
    [ours] = [f"{each.name}={each.value}" for each in scene.ana.http.cookies.jar]
    name = ours.partition("=")[0]
    scene.ana.http.cookies.clear()
    for cookie in (f"{name}=x", f"{name}=x; {ours}", f"{ours}; {name}=x", ""):
        assert refused(await scene.ana.post(page, cookie=cookie))
    assert scene.consents() == before


async def test_t10_a_question_that_waits_too_long_is_over(scene: Scene) -> None:
    page = await scene.editor.asked(scene.ana)
    scene.gateway.clock.pass_s(601)
    assert refused(await scene.ana.post(page))


async def test_t10_a_log_in_of_one_browser_is_none_in_another(scene: Scene) -> None:
    """Else somebody could have their own account used in another person's application."""
    there = (await scene.eve.http.get(scene.editor.url())).headers["location"]
    back = (await scene.eve.http.get(there)).headers["location"]
    await scene.ana.http.get(scene.editor.url())
    assert refused(await scene.ana.open(back))
    assert refused(await scene.eve.open(back)), "it is used up"


async def test_t10_an_answer_of_another_issuer_logs_nobody_in(scene: Scene) -> None:
    there = (await scene.ana.http.get(scene.editor.url())).headers["location"]
    back = (await scene.ana.http.get(there)).headers["location"]
    mixed = re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Fevil.example", back)
    assert refused(await scene.ana.open(mixed))


async def test_t10_agents_agree_to_nothing(scene: Scene) -> None:
    before, clerk = scene.consents(), await scene.gateway.agent("clerk-1", user="corp:ana")
    for path in ("/oauth/authorize", "/oauth/authorize/consent", "/oauth/login/corp/callback"):
        assert (await clerk.post(b"answer=allow", path=path)).http in {403, 405}
    assert scene.consents() == before


# -- codes ------------------------------------------------------------------------------------


async def test_t10_a_code_is_good_once_and_takes_back_what_it_gave(scene: Scene) -> None:
    code = await scene.editor.code(scene.ana)
    tokens = (await scene.editor.exchange(code)).json()
    agent = scene.editor.agent(tokens)
    assert (await agent.call("desk.look", at="x")).done
    assert reason(await scene.editor.exchange(code)) == "invalid_grant"
    assert (await agent.call("desk.look", at="x")).http == 401
    assert reason(await scene.editor.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_t10_of_two_who_come_with_one_code_nobody_keeps_anything(scene: Scene) -> None:
    code = await scene.editor.code(scene.ana)
    answers = await asyncio.gather(*(scene.editor.exchange(code) for _ in range(4)))
    for each in answers:
        if each.is_success:
            agent = Application.agent
            with pytest.raises(Exception, match="withdrawn"):
                agent(scene.editor, each.json())
    assert sum(each.is_success for each in answers) <= 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_verifier": "x" * 43}, id="another-verifier"),
        pytest.param({"code_verifier": ""}, id="no-verifier"),
        pytest.param({"redirect_uri": "http://127.0.0.1:49153/callback"}, id="another-port"),
        pytest.param({"redirect_uri": REGISTERED}, id="as-registered"),
        pytest.param({"redirect_uri": ""}, id="no-address"),
        pytest.param({"client_id": "other"}, id="another-application"),
        pytest.param({"resource": EVIL}, id="another-resource"),
        pytest.param({"scope": "*"}, id="another-scope"),
    ],
)
async def test_t10_a_stolen_code_is_worth_nothing(changes: dict[str, str], scene: Scene) -> None:
    before, code = scene.issued(), await scene.editor.code(scene.ana)
    answered = await scene.editor.exchange(code, **changes)
    assert answered.status_code == 400, answered.text
    assert scene.issued() == before


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_verifier": "x" * 43}, id="another-verifier"),
        pytest.param({"client_id": "other"}, id="another-application"),
    ],
)
async def test_t10_a_code_that_a_thief_tried_is_used_up(
    changes: dict[str, str], scene: Scene
) -> None:
    code = await scene.editor.code(scene.ana)
    assert reason(await scene.editor.exchange(code, **changes)) == "invalid_grant"
    assert reason(await scene.editor.exchange(code)) == "invalid_grant"


async def test_t10_a_code_is_good_for_a_minute(scene: Scene) -> None:
    code = await scene.editor.code(scene.ana)
    scene.gateway.clock.pass_s(60)
    assert reason(await scene.editor.exchange(code)) == "invalid_grant"


@pytest.mark.parametrize("code", ["", "x", "x" * 43, "\N{SNOWMAN}", "x" * 9000])
async def test_t10_a_code_that_was_made_up_is_none(code: str, scene: Scene) -> None:
    assert (await scene.editor.exchange(code)).status_code == 400


async def test_t10_a_code_bound_to_a_key_needs_that_key(scene: Scene) -> None:
    code = await scene.editor.code(scene.ana, dpop_jkt="k" * 43)
    assert reason(await scene.editor.exchange(code)) == "invalid_dpop_proof"


async def test_t10_who_is_no_public_client_redeems_no_code(scene: Scene) -> None:
    code = await scene.editor.code(scene.ana)
    answered = await scene.editor.exchange(code, client_secret="x" * 40)
    assert reason(answered) == "invalid_client"


# -- pages ------------------------------------------------------------------------------------


async def test_t10_no_page_can_be_framed_or_scripted_or_kept(scene: Scene) -> None:
    page = await scene.editor.asked(scene.ana)
    pages = [
        page,
        await scene.ana.http.get(scene.editor.url(redirect_uri=EVIL)),
        await scene.ana.http.get(scene.editor.url()),
        await scene.ana.http.get(scene.editor.url(scope="<b>")),
        await scene.ana.post(page),
    ]
    for each in pages:
        policy = each.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert each.headers["x-frame-options"] == "DENY"
        assert each.headers["cache-control"] == "no-store"
        assert "<script" not in each.text


async def test_t10_the_cookie_is_for_this_journey_and_no_script(scene: Scene) -> None:
    url = scene.editor.url()
    first, second = [(await scene.ana.http.get(url)).headers["set-cookie"] for _ in "12"]
    assert re.search(r"HttpOnly; Max-Age=600; Path=/; SameSite=lax", first, re.IGNORECASE)
    assert first.partition(";")[0] != second.partition(";")[0]


async def test_t10_encrypted_the_cookie_is_of_this_host_alone(tmp_path: Path) -> None:
    async with provider() as corp, browser() as ana:
        corp.client = "passavant"
        made = settings(corp) | {"public_url": "https://agents.acme.example"}
        async with running(tmp_path, settings=made) as gateway:
            url = Application(gateway).url(resource=None)
            cookie = (await ana.http.get(url)).headers["set-cookie"]
            assert cookie.startswith("__Host-")
            assert "secure" in cookie.lower()
            assert "path=/;" in cookie.lower()
            assert "domain" not in cookie.lower()


async def test_t10_log_ins_begun_at_will_are_counted(scene: Scene) -> None:
    answers = [await scene.eve.http.get(scene.editor.url()) for _ in range(40)]
    assert {each.status_code for each in answers} == {303, 429}


async def test_t10_no_code_and_no_token_stands_in_the_log(scene: Scene) -> None:
    code = await scene.editor.code(scene.ana)
    tokens = (await scene.editor.exchange(code)).json()
    written = repr(scene.gateway.entries())
    for secret in (code, tokens["access_token"], tokens["refresh_token"], scene.editor.verifier):
        assert secret not in written
    assert REDIRECT not in written, "only what was registered"
