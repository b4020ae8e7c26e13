"""Applications: a person logs in, agrees, and the application acts for them, until it may not."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.errors import SettingsInvalid
from tests.gateway.identity.signing import Key
from tests.harness.application import REDIRECT, Application, settings
from tests.harness.browser import Browser, browser, onwards
from tests.harness.client import Holder
from tests.harness.gateway import Running, running
from tests.harness.provider import Provider, provider
from tests.harness.upstream import Desk, desk

NARROW = {"agent": "clerk-2", "redirect_uris": [REDIRECT], "tools": ["desk.look"]}


@pytest.fixture
async def ana() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest.fixture
async def corp() -> AsyncIterator[Provider]:
    async with provider() as made:
        made.client = "passavant"
        yield made


@pytest.fixture
async def upstream() -> AsyncIterator[Desk]:
    async with desk() as made:
        yield made


@pytest.fixture
async def gateway(tmp_path: Path, corp: Provider, upstream: Desk) -> AsyncIterator[Running]:
    made = settings(corp, narrow=NARROW)
    async with running(tmp_path, servers={"desk": upstream}, settings=made) as found:
        yield found


@pytest.fixture
def editor(gateway: Running) -> Application:
    return Application(gateway)


# -- what it gets -----------------------------------------------------------------------------


async def test_an_application_acts_for_whoever_agreed(
    editor: Application, ana: Browser, upstream: Desk
) -> None:
    tokens = await editor.authorized(ana)
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 900, "*")
    answered = await editor.agent(tokens).call("desk.pay", amount=40, to="paper")
    assert answered.done
    assert upstream.paid == [40]
    decision = editor.gateway.entries("decision")[-1]
    assert decision["actor"] == {"agent": "clerk-1", "sub": "corp:ana", "chain": []}
    assert decision["facts"]["groups"] == ["oidc:group/finance"]


async def test_what_was_agreed_to_is_recorded_before_there_is_a_code(
    editor: Application, ana: Browser
) -> None:
    page = await editor.asked(ana)
    assert editor.gateway.entries("consent.given") == []
    await editor.back(ana, page)
    [given] = editor.gateway.entries("consent.given")
    assert given["actor"] == {"agent": "clerk-1", "sub": "corp:ana", "chain": []}
    assert (given["client"], given["scope"]) == ("editor", "*")
    assert given["redirect"] == "http://127.0.0.1/callback"


async def test_an_answer_names_whose_it_is(editor: Application, ana: Browser) -> None:
    answer = editor.answer(await editor.back(ana, await editor.asked(ana)))
    assert answer["iss"] == editor.gateway.url
    assert answer["state"] == "the-state"
    assert len(answer["code"]) == 43


async def test_an_application_without_state_gets_none(editor: Application, ana: Browser) -> None:
    answer = editor.answer(await editor.back(ana, await editor.asked(ana, state=None)))
    assert answer.keys() == {"code", "iss"}


async def test_a_no_is_told_to_the_application(editor: Application, ana: Browser) -> None:
    answer = editor.answer(await editor.back(ana, await editor.asked(ana), "deny"))
    assert answer == {
        "error": "access_denied",
        "state": "the-state",
        "iss": editor.gateway.url,
    }
    assert editor.gateway.entries("consent.given") == []


@pytest.mark.parametrize("answer", ["", "yes", "Allow"])
async def test_whatever_is_no_yes_is_a_no(answer: str, editor: Application, ana: Browser) -> None:
    told = editor.answer(await editor.back(ana, await editor.asked(ana), answer))
    assert told["error"] == "access_denied"


async def test_the_page_says_what_operators_wrote(editor: Application, ana: Browser) -> None:
    page = (await editor.asked(ana, client_name="Trusted Helper", logo_uri="x")).text
    assert "corp:ana" in page
    assert "editor" in page
    assert "clerk-1" in page
    assert "team" in page
    assert "a program on this machine" in page
    assert "Trusted Helper" not in page
    assert page.index('value="deny"') < page.index('value="allow"')


async def test_everybody_is_asked_each_time(editor: Application, ana: Browser) -> None:
    await editor.authorized(ana)
    await editor.asked(ana)
    await editor.authorized(ana)
    first, second = editor.gateway.entries("consent.given")
    assert first["consent"] == second["consent"], "it still stands"


async def test_an_application_may_ask_for_less(
    editor: Application, ana: Browser, upstream: Desk
) -> None:
    tokens = await editor.authorized(ana, scope="desk.look")
    assert tokens["scope"] == "desk.look"
    agent = editor.agent(tokens)
    assert (await agent.call("desk.look", at="x")).done
    assert not (await agent.call("desk.pay", amount=40, to="paper")).done
    assert upstream.paid == []


async def test_an_application_gets_no_more_than_it_is_registered_for(
    gateway: Running, ana: Browser
) -> None:
    narrow = Application(gateway, "narrow", agent_name="clerk-2")
    assert (await narrow.authorized(ana))["scope"] == "desk.look"
    back = onwards(await ana.http.get(narrow.url(scope="desk.pay")))
    assert narrow.answer(back)["error"] == "invalid_scope"


async def test_where_several_log_people_in_they_choose(
    tmp_path: Path, corp: Provider, ana: Browser
) -> None:
    async with provider() as other:
        other.client, other.person = "passavant", {"sub": "ana"}
        made = settings(corp)
        made["identity"]["users"]["other"] = {
            "oidc": {"issuer": other.url, "audience": "passavant", "groups_claim": None}
        }
        async with running(tmp_path, settings=made) as gateway:
            editor = Application(gateway)
            choice = await ana.http.get(editor.url())
            links = re.findall(r'href="([^"]+)"', choice.text)
            assert len(links) == 2
            page = await ana.open(f"{gateway.url}{links[1].replace('&amp;', '&')}")
            assert "other:ana" in page.text


async def test_the_state_and_what_rests_on_it_outlive_a_restart(
    tmp_path: Path, corp: Provider, upstream: Desk, ana: Browser
) -> None:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running(tmp_path, servers={"desk": upstream}, settings=settings(corp))
        )
        tokens = await Application(gateway).authorized(ana)
        url = gateway.url
    async with running(tmp_path, servers={"desk": upstream}, settings=settings(corp)) as again:
        assert again.url != url, "so old access tokens are another gateway's"
        renewed = await Application(again).refresh(tokens["refresh_token"])
        assert renewed.is_success, renewed.text
        shown = (await again.operate("GET", "/api/consents", by="vera")).json()
        assert [each["client"] for each in shown] == ["editor"]


# -- renewal ----------------------------------------------------------------------------------


async def test_a_session_is_renewed_with_the_newest_refresh_token(
    editor: Application, ana: Browser
) -> None:
    tokens = await editor.authorized(ana)
    for _ in range(3):
        before = editor.agent(tokens)
        editor.gateway.clock.pass_s(901)
        renewed = await editor.refresh(tokens["refresh_token"])
        assert renewed.is_success, renewed.text
        tokens = renewed.json()
        after = editor.agent(tokens)
        assert after.session == before.session
        assert (await before.call("desk.look", at="x")).http == 401
        assert (await after.call("desk.look", at="x")).done
    [*_, last] = editor.gateway.entries("token.issue")
    assert last["renewal"]["number"] == 4
    assert last["by"] == "application:editor"
    assert last["actor"]["sub"] == "corp:ana"
    assert last["groups"] == ["oidc:group/finance"]


async def test_a_refresh_token_that_comes_twice_ends_the_session(
    editor: Application, ana: Browser
) -> None:
    tokens = await editor.authorized(ana)
    renewed = (await editor.refresh(tokens["refresh_token"])).json()
    stolen = await editor.refresh(tokens["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    for each in (tokens, renewed):
        with pytest.raises(Exception, match="withdrawn"):
            editor.agent(each)
    assert (await editor.refresh(renewed["refresh_token"])).json()["error"] == "invalid_grant"
    assert len(editor.gateway.entries("session.end")) >= 1


async def test_a_session_ends_in_time_however_often_it_is_renewed(
    editor: Application, ana: Browser
) -> None:
    tokens = await editor.authorized(ana)
    editor.gateway.clock.pass_s(8 * 3600)
    assert (await editor.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_renewal_may_ask_for_less_and_never_for_more(
    editor: Application, ana: Browser
) -> None:
    tokens = await editor.authorized(ana, scope="desk.look desk.pay")
    less = (await editor.refresh(tokens["refresh_token"], scope="desk.look")).json()
    assert less["scope"] == "desk.look"
    all_of_it = (await editor.refresh(less["refresh_token"])).json()
    assert all_of_it["scope"] == "desk.look desk.pay"
    more = await editor.refresh(all_of_it["refresh_token"], scope="desk.wipe")
    assert more.json()["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "made_up",
    [
        pytest.param("", id="none"),
        pytest.param("x", id="no-token"),
        pytest.param("{session}.2.{mac}", id="the-next-one"),
        pytest.param("{session}.01.{mac}", id="another-spelling"),
        pytest.param("{session}.1.{mac}x", id="longer"),
        pytest.param("{session}.1.", id="without-proof"),
        pytest.param("{session}.1." + "\N{SNOWMAN}" * 43, id="no-ascii"),
        pytest.param("someone-else.1.{mac}", id="of-another-session"),
        pytest.param("{session}." + "9" * 5000 + ".{mac}", id="huge"),
    ],
)
async def test_a_refresh_token_that_was_made_up_does_nothing(
    made_up: str, editor: Application, ana: Browser
) -> None:
    tokens = await editor.authorized(ana)
    session, _, mac = tokens["refresh_token"].split(".")
    answered = await editor.refresh(made_up.format(session=session, mac=mac))
    assert answered.status_code == 400
    assert (await editor.refresh(tokens["refresh_token"])).is_success, "nothing has ended"


async def test_another_application_renews_nothing(
    gateway: Running, editor: Application, ana: Browser
) -> None:
    tokens = await editor.authorized(ana)
    other = Application(gateway, "narrow")
    assert (await other.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await editor.refresh(tokens["refresh_token"])).is_success


async def test_nobody_acts_for_a_suspended_person(editor: Application, ana: Browser) -> None:
    tokens, code = await editor.authorized(ana), await editor.code(ana)
    await editor.gateway.operate("POST", "/api/users/corp:ana/suspend", {"reason": "left"})
    assert (await editor.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await editor.exchange(code)).json()["error"] == "invalid_grant"


# -- proof of possession ----------------------------------------------------------------------


async def test_a_bound_session_is_renewed_with_its_key_alone(
    gateway: Running, editor: Application, ana: Browser
) -> None:
    holder, thief = Holder(gateway, Key.ed25519()), Holder(gateway, Key.ed25519())

    async def ask(who: Holder, **form: str) -> httpx.Response:
        first = await editor.ask(who.proof("POST", "/oauth/token"), client_id="editor", **form)
        who.nonce = first.headers.get("dpop-nonce", who.nonce)
        if first.json().get("error") != "use_dpop_nonce":
            return first
        return await editor.ask(who.proof("POST", "/oauth/token"), client_id="editor", **form)

    form = {"redirect_uri": editor.redirect, "code_verifier": editor.verifier}
    code = await editor.code(ana)
    answered = await ask(holder, grant_type="authorization_code", code=code, **form)
    assert answered.json()["token_type"] == "DPoP"
    refresh = answered.json()["refresh_token"]
    stolen = await ask(thief, grant_type="refresh_token", refresh_token=refresh)
    assert stolen.json()["error"] == "invalid_dpop_proof"
    without = await editor.refresh(refresh)
    assert without.json()["error"] == "invalid_dpop_proof"
    assert (await ask(holder, grant_type="refresh_token", refresh_token=refresh)).is_success


# -- its end ----------------------------------------------------------------------------------


async def test_an_operator_ends_a_consent_and_what_rests_on_it(
    editor: Application, ana: Browser
) -> None:
    gateway = editor.gateway
    tokens, waiting = await editor.authorized(ana), await editor.code(ana)
    agent = editor.agent(tokens)
    [shown] = (await gateway.operate("GET", "/api/consents", by="vera")).json()
    assert shown["user"] == "corp:ana"
    body = {"consent": shown["consent"]}
    assert (
        await gateway.operate("POST", "/api/consents/withdraw", body, by="vera", check=False)
    ).status_code == 403
    await gateway.operate("POST", "/api/consents/withdraw", body)
    assert (await agent.call("desk.look", at="x")).http == 401
    assert (await editor.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await editor.exchange(waiting)).json()["error"] == "invalid_grant"
    [withdrawn] = gateway.entries("consent.withdrawn")
    assert withdrawn["by"] == "operator:adam"
    again = await gateway.operate("POST", "/api/consents/withdraw", body, check=False)
    assert again.status_code == 404


async def test_an_application_ends_its_own_session(editor: Application, ana: Browser) -> None:
    tokens = await editor.authorized(ana)
    agent = editor.agent(tokens)
    url = f"{editor.gateway.url}/oauth/revoke"

    async def revoke(client: str, token: str) -> int:
        form = {"client_id": client, "token": token}
        return (await editor.gateway.http.post(url, data=form)).status_code

    assert await revoke("narrow", tokens["refresh_token"]) == 200
    assert (await agent.call("desk.look", at="x")).done, "it is not that application's"
    assert await revoke("editor", "no token") == 200
    assert await revoke("editor", tokens["refresh_token"]) == 200
    assert (await agent.call("desk.look", at="x")).http == 401


async def test_an_application_looks_at_no_token(editor: Application, ana: Browser) -> None:
    tokens = await editor.authorized(ana)
    form = {"client_id": "editor", "token": tokens["access_token"]}
    url = f"{editor.gateway.url}/oauth/introspect"
    assert (await editor.gateway.http.post(url, data=form)).status_code == 401


@pytest.mark.parametrize(
    "grant_type",
    ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "password"],
)
async def test_an_application_has_no_other_way_to_a_token(
    grant_type: str, editor: Application
) -> None:
    answered = await editor.ask(grant_type=grant_type, client_id="editor")
    assert answered.status_code == 400
    assert editor.gateway.entries("token.issue") == []


# -- around it --------------------------------------------------------------------------------


async def test_metadata_says_what_there_is(gateway: Running) -> None:
    url = f"{gateway.url}/.well-known/oauth-authorization-server"
    said = json.loads((await gateway.http.get(url)).content)
    assert said["authorization_endpoint"] == f"{gateway.url}/oauth/authorize"
    assert said["response_types_supported"] == ["code"]
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert {"authorization_code", "refresh_token"} <= set(said["grant_types_supported"])
    assert "none" in said["token_endpoint_auth_methods_supported"]
    assert "none" not in said["introspection_endpoint_auth_methods_supported"]


async def test_where_there_is_no_application_there_is_no_such_page(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        assert (await gateway.http.get(f"{gateway.url}/oauth/authorize")).status_code == 404
        url = f"{gateway.url}/.well-known/oauth-authorization-server"
        assert (await gateway.http.get(url)).json()["response_types_supported"] == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"users": {}}, "people must log in", id="nobody-can-log-in"),
    ],
)
async def test_a_deployment_that_cannot_work_does_not_start(
    changes: dict[str, Any], complaint: str, tmp_path: Path, corp: Provider
) -> None:
    made = settings(corp)
    made["identity"] |= changes
    with pytest.raises(SettingsInvalid, match=complaint):
        async with running(tmp_path, settings=made):
            pass


# -- in development ---------------------------------------------------------------------------


async def test_in_development_a_code_that_is_shown_logs_in(tmp_path: Path, ana: Browser) -> None:
    shown: list[str] = []
    application = {"agent": "clerk-1", "redirect_uris": ["http://127.0.0.1/callback"]}
    made = {"identity": {"applications": {"editor": application}, "tokens": {"skew": "0s"}}}
    async with (
        desk() as upstream,
        running(
            tmp_path,
            servers={"desk": upstream},
            settings=made,
            mode="dev",
            show_code=shown.append,
        ) as gateway,
    ):
        editor = Application(gateway)
        page = await ana.open(editor.url())
        assert len(shown) == 1
        assert shown[0] not in page.text
        wrong = await ana.post(page, {"code": "WRONG-WRONG"})
        assert (wrong.status_code, len(shown)) == (401, 1)
        question = await ana.post(wrong, {"code": shown[0].lower()})
        assert "act for you" in question.text
        code = editor.answer(await editor.back(ana, question))["code"]
        agent = editor.agent((await editor.exchange(code)).json())
        assert (await agent.call("desk.look", at="x")).done
        again = await ana.open(editor.url())
        assert len(shown) == 2, "the first is used up"
        refused = await ana.post(again, {"code": shown[0]})
        assert refused.status_code == 401
