"""Operators in a browser: at their provider, and what a cookie is good for."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from gateway.operator.browser_sessions import LIFE_S
from tests.gateway.operator.browsing import CODE, Browser, browsing, developing, identity
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.provider import METADATA, Provider, make_key, provider
from tests.harness.upstream import desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Provider, Running]]:
    folder = tmp_path_factory.mktemp("gateway")
    async with provider("ES256") as corp, running(folder, settings=identity(corp)) as gateway:
        yield corp, gateway


@pytest.fixture
def corp(shared: tuple[Provider, Running]) -> Provider:
    """The provider, as if nobody had been there."""
    shared[0].forget()
    return shared[0]


@pytest.fixture
def gateway(corp: Provider, shared: tuple[Provider, Running]) -> Running:
    shared[1].gateway.services.ways_in.attempts._windows.clear()
    return shared[1]


@pytest_asyncio.fixture(loop_scope="module")
async def browser(gateway: Running) -> AsyncIterator[Browser]:
    async with browsing(gateway) as made:
        yield made


# -- at the provider ---------------------------------------------------------------------------


async def test_an_operator_logs_in_at_the_provider(browser: Browser, gateway: Running) -> None:
    page = await browser.log_in()
    assert page.status_code == 200
    found = (await browser.get("/api/whoami")).json()
    assert (found["name"], found["roles"]) == ("operators:ana", ["approver"])
    (entry,) = browser.entries("operator.login")
    assert entry["operator"] == "operators:ana"
    assert (entry["roles"], entry["by"]) == (["approver"], "oidc:operators")
    assert "operators:ana" in (await browser.get("/login")).text


async def test_the_browser_is_sent_with_proofs_that_are_made_anew(
    browser: Browser, corp: Provider
) -> None:
    asked = []
    for _ in range(2):
        begun = await browser.get("/login/oidc")
        parts = urlsplit(begun.headers["location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{corp.url}/authorize"
        asked.append({name: values[0] for name, values in parse_qs(parts.query).items()})
    for one in asked:
        assert one["response_type"] == "code"
        assert one["code_challenge_method"] == "S256"
        assert one["redirect_uri"] == f"{browser.url}/login/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name]) == 43


async def test_a_cookie_is_kept_from_scripts_and_from_other_sites(browser: Browser) -> None:
    begun = await browser.get("/login/oidc")
    (pending,) = begun.headers.get_list("set-cookie")
    assert {"HttpOnly", "SameSite=lax"} <= set(pending.split("; "))
    back = (await browser.get(begun.headers["location"])).headers["location"]
    lines = (await browser.get(back)).headers.get_list("set-cookie")
    (session,) = [line for line in lines if line.startswith("passavant=")]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(session.split("; "))


async def test_over_https_cookies_are_bound_to_the_very_host(
    tmp_path: Path, corp: Provider
) -> None:
    settings = {**identity(corp), "operators_url": "https://console.acme.example"}
    async with running(tmp_path, settings=settings) as gateway, browsing(gateway) as browser:
        begun = await browser.get("/login/oidc")
        (line,) = begun.headers.get_list("set-cookie")
        assert line.startswith("__Host-passavant-login=")
        assert {"Secure", "Path=/"} <= set(line.split("; "))
        assert "Domain" not in line


async def test_pages_hold_no_script_and_cannot_be_framed(browser: Browser) -> None:
    for page in (await browser.log_in(), await browser.get("/login")):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert "<script" not in page.text
        assert page.headers["cache-control"] == "no-store"


async def test_a_name_cannot_become_a_tag(browser: Browser, corp: Provider) -> None:
    corp.person["sub"] = "<script>alert(1)</script>"
    await browser.log_in()
    page = (await browser.get("/login")).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_a_state_is_good_once(browser: Browser, gateway: Running) -> None:
    back = await browser.go()
    assert (await browser.get(back)).status_code == 200
    assert (await browser.get(back)).status_code == 401
    assert len(browser.entries("operator.login")) == 1


async def test_a_log_in_ends_in_the_browser_that_began_it(
    browser: Browser, gateway: Running
) -> None:
    back = await browser.go()
    async with browsing(gateway) as other:
        await other.get("/login/oidc")  # it has a cookie, of another log-in
        assert (await other.get(back)).status_code == 401
        assert "passavant" not in other.cookies
    assert (await browser.get(back)).status_code == 401, "the state was used up"


async def test_an_address_that_nobody_began_logs_nobody_in(
    browser: Browser, gateway: Running, corp: Provider
) -> None:
    before = gateway.refusals("operator.login")
    for query in ("", "?state=x&code=y", "?code=y", "?state=", "?state=x&state=y&code=z"):
        assert (await browser.get(f"/login/callback{query}")).status_code == 401
    assert gateway.refusals("operator.login") == before + 5
    assert "/token" not in corp.asked


async def changed(browser: Browser, **members: str) -> httpx.Response:
    """Come back to the address with some parameters changed; empty ones left out."""
    url = httpx.URL(await browser.go())
    params = {name: each for name, each in {**url.params, **members}.items() if each}
    return await browser.get(str(url.copy_with(params=params)))


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"iss": "https://evil.example"}, id="another-issuer"),
        pytest.param({"iss": ""}, id="no-issuer-though-it-says-it-names-itself"),
        pytest.param({"code": ""}, id="no-code"),
        pytest.param({"code": "another"}, id="another-code"),
        pytest.param({"error": "access_denied"}, id="the-person-declined"),
    ],
)
async def test_another_answer_logs_nobody_in(
    browser: Browser, gateway: Running, members: dict[str, str]
) -> None:
    assert (await changed(browser, **members)).status_code == 401
    assert browser.entries("operator.login") == []
    assert (await browser.get("/api/whoami")).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"nonce": "another"}, id="another-nonce"),
        pytest.param({"aud": "passavant"}, id="another-audience"),
        pytest.param({"iss": "https://evil.example"}, id="another-issuer"),
        pytest.param({"azp": "another"}, id="given-to-another"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"sub": ""}, id="nobody"),
    ],
)
async def test_another_identity_token_logs_nobody_in(
    browser: Browser, corp: Provider, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any]
) -> None:
    proper = corp.claims

    def altered(subject: str, *, audience: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - claims
        return {**proper(subject, audience=audience, **more), **claims}

    monkeypatch.setattr(corp, "claims", altered)
    assert (await browser.log_in()).status_code in {400, 401}
    assert browser.entries("operator.login") == []


async def test_a_token_that_the_provider_did_not_sign_logs_nobody_in(
    browser: Browser, gateway: Running, corp: Provider
) -> None:
    await browser.log_in()
    corp.keys.append(make_key(corp.keys[0].id, "ES256"))  # its metadata shows keys of one id
    async with browsing(gateway) as other:
        assert (await other.log_in()).status_code == 401


async def test_a_code_that_was_asked_for_elsewhere_is_worth_nothing(
    browser: Browser, gateway: Running, corp: Provider
) -> None:
    async with browsing(gateway) as victim:
        stolen = httpx.URL(await victim.go()).params["code"]
        assert (await changed(browser, code=stolen)).status_code == 401
    assert corp.forms[-1]["code"] == stolen


async def test_under_another_address_the_browser_is_sent_to_the_one_that_forms_are_good_at(
    tmp_path: Path, corp: Provider
) -> None:
    settings = {**identity(corp), "operators_url": "http://localhost:9"}
    async with running(tmp_path, settings=settings) as gateway, browsing(gateway) as browser:
        sent = await browser.get("/login")
        assert (sent.status_code, sent.headers["location"]) == (303, "http://localhost:9/login")


async def test_somebody_without_a_role_is_refused_and_recorded(
    browser: Browser, gateway: Running, corp: Provider
) -> None:
    corp.person = {"sub": "Eve", "groups": ["visitors"]}
    page = await browser.log_in()
    assert page.status_code == 403
    assert "As operators:Eve you are in no group with a role." in page.text
    assert "passavant" not in browser.cookies
    (entry,) = browser.entries("operator.refused")
    assert entry["code"] == "operator.no-role"
    assert "operators:Eve" in entry["detail"]


async def test_a_secret_of_ours_proves_who_asks(tmp_path: Path, corp: Provider) -> None:
    corp.secret = "the-secret-of-the-console"
    (tmp_path / "secret").write_text(corp.secret)
    settings = identity(corp, client_secret=f"file:{tmp_path / 'secret'}")
    async with running(tmp_path / "gw", settings=settings) as gateway:
        async with browsing(gateway) as browser:
            assert (await browser.log_in()).status_code == 200
        assert corp.secret not in json.dumps(browser.entries())


async def test_a_provider_that_is_away_logs_nobody_in(tmp_path: Path, corp: Provider) -> None:
    corp.replaced[METADATA] = (500, {}, b"")
    async with (
        running(tmp_path, settings=identity(corp)) as gateway,
        browsing(gateway) as browser,
    ):
        assert (await browser.get("/login/oidc")).status_code == 503
        assert gateway.refusals("fetch.failed") == 1


async def test_one_place_begins_so_many_log_ins_a_minute(browser: Browser) -> None:
    seen = {(await browser.get("/login/oidc")).status_code for _ in range(32)}
    assert seen == {303, 429}


async def test_nothing_secret_stands_in_the_log(
    browser: Browser, gateway: Running, corp: Provider
) -> None:
    back = httpx.URL(await browser.go())
    await browser.get(str(back))
    csrf = await browser.csrf()
    written = json.dumps(browser.entries())
    secrets = (back.params["code"], back.params["state"], csrf, *browser.cookies.values())
    assert not [secret for secret in secrets if secret in written]


# -- what a cookie is good for -----------------------------------------------------------------


async def test_a_cookie_reads_what_its_role_allows(browser: Browser) -> None:
    await browser.log_in()
    assert (await browser.get("/api/approvals")).status_code == 200
    token = {"agent": "idle"}
    headers = {"x-csrf-token": await browser.csrf()}
    refused = await browser.post("/api/tokens", json=token, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "operator.role")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="nothing"),
        pytest.param([("x-csrf-token", "")], id="empty"),
        pytest.param([("x-csrf-token", "A" * 43)], id="another"),
        pytest.param([("x-csrf-token", "@"), ("x-csrf-token", "@")], id="twice"),
    ],
)
async def test_a_change_needs_the_second_secret(
    browser: Browser, gateway: Running, corp: Provider, headers: list[tuple[str, str]]
) -> None:
    corp.person = {"sub": "pat", "groups": ["platform"]}
    await browser.log_in()
    csrf = await browser.csrf()
    lines = [("origin", browser.url), *((name, v.replace("@", csrf)) for name, v in headers)]
    wanted = {"agent": "idle"}
    refused = await browser.http.post(f"{browser.url}/api/tokens", json=wanted, headers=lines)
    assert (refused.status_code, refused.json()["code"]) == (403, "operator.csrf")
    assert browser.entries("token.issue") == []
    done = await browser.post("/api/tokens", json=wanted, headers={"x-csrf-token": csrf})
    assert done.status_code == 200
    assert browser.entries("token.issue")[0]["by"] == "operator:operators:pat"


async def test_another_page_changes_nothing_even_with_the_secret(
    browser: Browser, corp: Provider
) -> None:
    corp.person = {"sub": "pat", "groups": ["platform"]}
    await browser.log_in()
    headers = {"x-csrf-token": await browser.csrf(), "origin": "https://evil.example"}
    refused = await browser.post("/api/tokens", json={"agent": "idle"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "operator.origin")


async def test_a_key_needs_no_second_secret(gateway: Running) -> None:
    await gateway.operate("POST", "/api/tokens", {"agent": "idle"})


async def test_two_cookies_of_one_name_are_none(browser: Browser) -> None:
    await browser.log_in()
    cookie = browser.cookies["passavant"]
    headers = {"cookie": f"passavant={cookie}; passavant=planted"}
    async with httpx.AsyncClient(trust_env=False) as http:
        refused = await http.get(f"{browser.url}/api/whoami", headers=headers)
    assert refused.status_code == 401


async def test_a_cookie_is_worth_nothing_to_agents(browser: Browser, gateway: Running) -> None:
    await browser.log_in()
    cookie = browser.cookies["passavant"]
    for headers in ({"cookie": f"passavant={cookie}"}, {"authorization": f"Bearer {cookie}"}):
        answered = await gateway.http.post(f"{gateway.url}/mcp", json={}, headers=headers)
        assert answered.status_code == 401


async def test_an_agents_token_is_no_cookie(browser: Browser, gateway: Running) -> None:
    token = (await gateway.agent("idle")).token
    headers = {"cookie": f"passavant={token}"}
    assert (await browser.get("/api/whoami", headers=headers)).status_code == 401


async def test_logging_in_again_ends_the_session_before(browser: Browser) -> None:
    await browser.log_in()
    earlier = browser.cookies["passavant"]
    await browser.log_in()
    assert browser.cookies["passavant"] != earlier
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"cookie": f"passavant={earlier}"}
        assert (await http.get(f"{browser.url}/api/whoami", headers=headers)).status_code == 401


async def test_logging_out_needs_the_second_secret_and_ends_the_session(
    browser: Browser, gateway: Running
) -> None:
    await browser.log_in()
    cookie = browser.cookies["passavant"]
    assert (await browser.post("/logout")).status_code == 403
    page = (await browser.get("/login")).text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    done = await browser.post("/logout", data={"csrf": found[1]})
    assert done.status_code == 303
    assert "passavant" not in browser.cookies
    headers = {"cookie": f"passavant={cookie}"}
    assert (await browser.get("/api/whoami", headers=headers)).status_code == 401
    (entry,) = browser.entries("operator.logout")
    assert entry["operator"] == "operators:ana"


async def test_a_session_ends_with_its_time(tmp_path: Path) -> None:
    async with developing(tmp_path) as (gateway, browser):
        await browser.post("/login", data={"code": CODE})
        gateway.clock.pass_s(LIFE_S)
        refused = await browser.get("/api/whoami")
        assert refused.json()["code"] == "auth.expired"


async def test_a_person_answers_in_the_groups_of_their_provider(
    tmp_path: Path, corp: Provider
) -> None:
    policy = DESK.replace("people: {members: [omar, ines]}", 'people: {from: "oidc:group/finance"}')
    settings = identity(corp)
    async with (
        desk() as upstream,
        running(tmp_path, policy, {"desk": upstream}, settings=settings) as gateway,
        browsing(gateway) as browser,
    ):
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", amount=400, to="paper")
        shown = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
        body = {"digest": shown["digest"], "reason": "seen"}
        await browser.log_in()
        headers = {"x-csrf-token": await browser.csrf()}
        path = f"/api/approvals/{asked.approval}/approve"
        answered = await browser.post(path, json=body, headers=headers)
        assert (answered.status_code, answered.json()["state"]) == (200, "approved")
        assert browser.entries("approval.decided")[0]["by"] == "operators:ana"


async def test_who_asked_through_an_agent_cannot_answer_as_an_operator(
    tmp_path: Path, corp: Provider
) -> None:
    policy = DESK.replace("people: {members: [omar, ines]}", 'people: {from: "oidc:group/finance"}')
    settings = identity(corp)
    settings["identity"]["users"] = {
        "corp": {"oidc": {"issuer": corp.url, "audience": "passavant"}}
    }
    async with (
        desk() as upstream,
        running(tmp_path, policy, {"desk": upstream}, settings=settings) as gateway,
        browsing(gateway) as browser,
    ):
        clerk = await gateway.agent(user="corp:ana")
        asked = await clerk.call("desk.pay", amount=400, to="paper")
        await browser.log_in()
        shown = (await browser.get(f"/api/approvals/{asked.approval}")).json()
        refused = await browser.post(
            f"/api/approvals/{asked.approval}/approve",
            json={"digest": shown["digest"]},
            headers={"x-csrf-token": await browser.csrf()},
        )
        assert refused.json()["code"] == "approval.self"
