"""Passkeys of operators: registered by whoever has just logged in, and good for logging in."""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest
import pytest_asyncio

from gateway.operator.challenges import LIFE_S
from gateway.operator.console_code import RANDOM_BYTES, make
from gateway.operator.passkey_login import VOUCHED_S
from gateway.operator.passkeys import FRESH_S
from tests.harness.authenticator import (
    BACKED_UP,
    CREDENTIAL,
    EXTENSIONS,
    PRESENT,
    VERIFIED,
    Authenticator,
    b64,
    make_key,
    unb64,
)
from tests.harness.gateway import Clock, Running, running
from tests.harness.provider import Provider, provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

SITE, ORIGIN = "localhost", "http://localhost:9"
CODE = make(bytes(range(RANDOM_BYTES)))
ROLES = {"approver": ["finance"], "administrator": ["platform"], "viewer": ["staff"]}
WHY = {"reason": "a lost device"}


@dataclass
class Page:
    """A browser at a page of the operators' listener, with an authenticator beside it."""

    gateway: Running
    http: httpx.AsyncClient
    device: Authenticator = field(default_factory=lambda: Authenticator(SITE, ORIGIN))

    async def ask(self, verb: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        headers = {"host": "localhost:9", **more.pop("headers", {})}
        if verb == "POST":
            headers = {"origin": ORIGIN, **headers}
        url = f"{self.gateway.operators_url}{path}"
        return await self.http.request(verb, url, headers=headers, **more)

    async def act(self, path: str, body: object) -> httpx.Response:
        """A change by who is logged in."""
        headers = {"x-csrf-token": await self.csrf()}
        return await self.ask("POST", path, json=body, headers=headers)

    async def csrf(self) -> str:
        return (await self.ask("GET", "/api/whoami")).json().get("csrf") or ""

    async def at_provider(self) -> None:
        """Log in at the provider, anew."""
        begun = await self.ask("GET", "/login/oidc")
        back = (await self.http.get(begun.headers["location"])).headers["location"]
        done = await self.ask("GET", back.removeprefix(ORIGIN))
        assert done.status_code == 200, done.text

    async def register(self, label: str = "phone", **changes: Any) -> httpx.Response:  # noqa: ANN401 - as `create`
        """Register the device."""
        begun = await self.act("/api/passkeys/begin", {})
        if not begun.is_success:
            return begun
        challenge = urlsafe_b64decode(begun.json()["challenge"] + "=")
        return await self.act(
            "/api/passkeys", {"label": label, **self.device.create(challenge, **changes)}
        )

    async def challenge(self) -> bytes:
        begun = await self.ask("POST", "/login/passkey/begin", json={})
        assert begun.is_success, begun.text
        return unb64(begun.json()["challenge"])

    async def log_in(self, **changes: Any) -> httpx.Response:  # noqa: ANN401 - as `get`
        """Log in with the device."""
        answer = self.device.get(await self.challenge(), **changes)
        return await self.ask("POST", "/login/passkey", json=answer)

    async def name(self) -> str | None:
        """Who is logged in."""
        found: str | None = (await self.ask("GET", "/api/whoami")).json().get("name")
        return found


@asynccontextmanager
async def opened(gateway: Running) -> AsyncIterator[Page]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        yield Page(gateway, http)


@asynccontextmanager
async def governed(folder: Path, corp: Provider, **more: Any) -> AsyncIterator[Running]:  # noqa: ANN401 - as `running`
    oidc = {"issuer": corp.url, "audience": corp.client}
    identity = {"tokens": {"skew": "10s"}, "operators": {"oidc": oidc, "roles": ROLES}}
    settings = {"identity": identity, "operators_url": ORIGIN}
    async with running(folder, settings=settings, **more) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Provider, Running]]:
    folder = tmp_path_factory.mktemp("gateway")
    async with provider("ES256") as corp, governed(folder, corp) as gateway:
        yield corp, gateway


@pytest.fixture
def corp(shared: tuple[Provider, Running]) -> Provider:
    """The provider, as if nobody had been there."""
    shared[0].forget()
    return shared[0]


@pytest.fixture
def gateway(corp: Provider, shared: tuple[Provider, Running]) -> Running:
    """The gateway, as if nobody had a passkey."""
    services = shared[1].gateway.services
    services.ways_in.attempts._windows.clear()
    for passkey in services.state.passkeys.all():
        services.state.passkeys._drop(passkey.id)
    return shared[1]


@pytest_asyncio.fixture(loop_scope="module")
async def page(gateway: Running) -> AsyncIterator[Page]:
    async with opened(gateway) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def known(page: Page) -> Page:
    """A page whose device is registered, and at which nobody is logged in."""
    await page.at_provider()
    assert (await page.register()).is_success
    page.http.cookies.clear()
    return page


def code_of(answered: httpx.Response) -> str:
    found: str = answered.json()["code"]
    return found


# -- registering -------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
async def test_a_passkey_is_recorded_with_its_public_half_and_logs_its_owner_in(
    page: Page, gateway: Running, algorithm: str
) -> None:
    since = gateway.size
    page.device = Authenticator(SITE, ORIGIN, make_key(algorithm))
    await page.at_provider()
    done = await page.register("blue key")
    assert done.is_success, done.text
    (entry,) = gateway.entries("passkey.registered", since=since)
    assert (entry["operator"], entry["passkey"]) == ("operators:ana", page.device.name)
    assert (entry["key"], entry["rp_id"]) == (str(page.device.key), SITE)
    assert (entry["label"], entry["by"]) == ("blue key", "oidc:operators")
    page.http.cookies.clear()
    logged_in = await page.log_in()
    assert (logged_in.status_code, logged_in.json()) == (200, {"to": "/login"})
    assert await page.name() == "operators:ana"
    login = gateway.entries("operator.login", since=since)[-1]
    assert (login["by"], login["passkey"], login["count"]) == ("passkey", page.device.name, 2)
    assert login["roles"] == ["approver"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"origin": "https://evil.example"}, id="another-origin"),
        pytest.param({"origin": "http://localhost:8"}, id="another-port"),
        pytest.param({"rp_id": "evil.example"}, id="another-name"),
        pytest.param({"flags": PRESENT | CREDENTIAL}, id="not-verified"),
        pytest.param({"flags": VERIFIED | CREDENTIAL}, id="nobody-there"),
        pytest.param({"flags": PRESENT | VERIFIED}, id="no-credential"),
        pytest.param({"flags": 5 | CREDENTIAL | EXTENSIONS}, id="extensions-that-are-not-there"),
        pytest.param({"flags": 5 | CREDENTIAL | BACKED_UP}, id="an-impossible-backup"),
        pytest.param({"type": "webauthn.get"}, id="made-when-logging-in"),
        pytest.param({"crossOrigin": True}, id="in-a-frame"),
        pytest.param({"challenge": b64(bytes(32))}, id="another-challenge"),
        pytest.param({"fmt": "packed", "statement": {"alg": -7, "sig": b"x"}}, id="attested"),
        pytest.param({"fmt": "none", "statement": {"sig": b"x"}}, id="with-a-statement"),
        pytest.param({"fmt": "nonsense"}, id="unknown-format"),
        pytest.param({"cose": {}}, id="no-key"),
        pytest.param({"cose": {1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32}}, id="no-point"),
        pytest.param({"cose": {1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)}}, id="P-384"),
        pytest.param({"cose": {1: 3, 3: -257, -1: b"\xff" * 128, -2: b"\1\0\1"}}, id="short-RSA"),
        pytest.param({"cose": {1: 1, 3: -8, -1: 6, -2: b"short"}}, id="a-short-key"),
    ],
)
async def test_what_was_not_made_as_it_should_be_is_not_registered(
    page: Page, gateway: Running, changes: dict[str, Any]
) -> None:
    await page.at_provider()
    since = gateway.size
    refused = await page.register(**changes)
    assert (refused.status_code, code_of(refused)) == (403, "operator.passkey")
    assert gateway.entries("passkey.registered", since=since) == []


@pytest.mark.parametrize(
    "attestation",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xa0", id="an-empty-map"),
        pytest.param(b"\x80", id="a-list"),
        pytest.param(b"\x9f" * 4000, id="deep"),
        pytest.param(b"\xbb" + b"\xff" * 8, id="a-map-without-end"),
        pytest.param(cbor2.dumps({"fmt": "none", "authData": 7}), id="data-that-is-a-number"),
        pytest.param(cbor2.dumps({"fmt": "none", "authData": bytes(36)}), id="short-data"),
        pytest.param(cbor2.dumps({"fmt": ["none"], "authData": bytes(37)}), id="a-list-of-formats"),
        pytest.param(b"x" * 9000, id="too-long"),
    ],
)
async def test_an_attestation_that_cannot_be_read_is_a_refusal(
    page: Page, attestation: bytes
) -> None:
    await page.at_provider()
    challenge = unb64((await page.act("/api/passkeys/begin", {})).json()["challenge"])
    body = {"label": "x", **page.device.create(challenge), "attestation": b64(attestation)}
    assert code_of(await page.act("/api/passkeys", body)) == "operator.passkey"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"label": ""}, id="no-label"),
        pytest.param({"label": " x"}, id="a-space-before"),
        pytest.param({"label": "x" * 41}, id="a-long-label"),
        pytest.param({"label": "x\u202ey"}, id="hidden"),
        pytest.param({"label": "<b>é</b>"}, id="no-ascii"),
        pytest.param({"passkey": 7}, id="a-number"),
        pytest.param({"operator": "adam"}, id="for-another"),
        pytest.param({"roles": ["administrator"]}, id="with-roles"),
    ],
)
async def test_nothing_else_can_be_said_of_a_passkey(page: Page, changes: dict[str, Any]) -> None:
    await page.at_provider()
    challenge = unb64((await page.act("/api/passkeys/begin", {})).json()["challenge"])
    body = {"label": "phone", **page.device.create(challenge), **changes}
    assert code_of(await page.act("/api/passkeys", body)) == "operator.body"


async def test_the_id_that_is_named_is_the_one_that_was_made(page: Page) -> None:
    await page.at_provider()
    challenge = unb64((await page.act("/api/passkeys/begin", {})).json()["challenge"])
    body = {"label": "x", **page.device.create(challenge), "passkey": b64(b"another")}
    assert code_of(await page.act("/api/passkeys", body)) == "operator.passkey"


async def test_a_challenge_registers_one_passkey(page: Page) -> None:
    await page.at_provider()
    challenge = unb64((await page.act("/api/passkeys/begin", {})).json()["challenge"])
    bodies = [
        {"label": "x", **each.create(challenge)}
        for each in (page.device, Authenticator(SITE, ORIGIN))
    ]
    answered = [await page.act("/api/passkeys", body) for body in bodies]
    assert [each.status_code for each in answered] == [200, 401]


async def test_a_challenge_is_good_in_the_session_that_asked_for_it(
    page: Page, gateway: Running, corp: Provider
) -> None:
    await page.at_provider()
    challenge = unb64((await page.act("/api/passkeys/begin", {})).json()["challenge"])
    corp.person = {"sub": "eve", "groups": ["staff"]}
    async with opened(gateway) as other:
        await other.at_provider()
        await other.act("/api/passkeys/begin", {})
        stolen = {"label": "x", **other.device.create(challenge)}
        assert code_of(await other.act("/api/passkeys", stolen)) == "operator.passkey"


async def test_nobody_takes_over_a_passkey_by_registering_its_id(
    known: Page, gateway: Running, corp: Provider
) -> None:
    corp.person = {"sub": "eve", "groups": ["platform"]}
    async with opened(gateway) as other:
        other.device = Authenticator(SITE, ORIGIN, id=known.device.id)
        await other.at_provider()
        assert code_of(await other.register()) == "operator.passkey"
        assert code_of(await other.log_in()) == "operator.passkey"
    assert (await known.log_in()).is_success
    assert await known.name() == "operators:ana"


async def test_whoever_logged_in_a_while_ago_registers_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        provider("ES256") as corp,
        governed(tmp_path, corp, clock=clock) as gateway,
        opened(gateway) as page,
    ):
        corp.now = lambda: clock() / 1_000_000
        await page.at_provider()
        clock.pass_s(FRESH_S + 1)
        refused = await page.register()
        assert (refused.status_code, code_of(refused)) == (403, "operator.fresh")
        await page.at_provider()
        assert (await page.register()).is_success


async def test_a_passkey_makes_no_other_passkey(known: Page) -> None:
    await known.log_in()
    known.device = Authenticator(SITE, ORIGIN)
    assert code_of(await known.register()) == "operator.fresh"


async def test_a_key_registers_no_passkey(gateway: Running) -> None:
    for path in ("/api/passkeys/begin", "/api/passkeys"):
        refused = await gateway.operate("POST", path, {}, by="adam", check=False)
        assert code_of(refused) == "operator.fresh"


async def test_registering_needs_the_second_secret(page: Page) -> None:
    await page.at_provider()
    for path in ("/api/passkeys/begin", "/api/passkeys", "/api/passkeys/x/remove"):
        assert code_of(await page.ask("POST", path, json={})) == "operator.csrf"


async def test_so_many_passkeys_are_enough(page: Page) -> None:
    await page.at_provider()
    for _ in range(10):
        page.device = Authenticator(SITE, ORIGIN)
        assert (await page.register()).is_success
    assert code_of(await page.register()) == "operator.passkey"


async def test_where_the_listener_has_an_address_there_are_no_passkeys(tmp_path: Path) -> None:
    async with (
        running(tmp_path, mode="dev", console_code=CODE) as gateway,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        url = gateway.operators_url
        origin = {"origin": url}
        begun = await http.post(f"{url}/login/passkey/begin", json={}, headers=origin)
        assert (begun.status_code, code_of(begun)) == (404, "operator.unknown")
        await http.post(f"{url}/login", data={"code": CODE}, headers=origin)
        assert "Passkeys" not in (await http.get(f"{url}/login")).text


async def test_who_logged_in_with_the_code_registers_and_comes_back(tmp_path: Path) -> None:
    settings = {"operators_url": ORIGIN}
    async with (
        running(tmp_path, mode="dev", console_code=CODE, settings=settings) as gateway,
        opened(gateway) as page,
    ):
        await page.ask("POST", "/login", data={"code": CODE})
        assert (await page.register()).is_success
        page.http.cookies.clear()
        assert 'id="log-in"' in (await page.ask("GET", "/login")).text
        assert (await page.log_in()).is_success
        assert await page.name() == "adam"


# -- logging in --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"origin": "https://evil.example"}, id="another-origin"),
        pytest.param({"rp_id": "evil.example"}, id="another-name"),
        pytest.param({"flags": PRESENT}, id="not-verified"),
        pytest.param({"type": "webauthn.create"}, id="made-when-registering"),
        pytest.param({"crossOrigin": True}, id="in-a-frame"),
        pytest.param({"topOrigin": "https://evil.example"}, id="below-another-page"),
        pytest.param({"challenge": b64(bytes(32))}, id="another-challenge"),
    ],
)
async def test_what_was_signed_elsewhere_or_by_nobody_logs_nobody_in(
    known: Page, gateway: Running, changes: dict[str, Any]
) -> None:
    since = gateway.size
    refused = await known.log_in(**changes)
    assert (refused.status_code, code_of(refused)) == (403, "operator.passkey")
    assert await known.name() is None
    (entry,) = gateway.entries("operator.refused", since=since)
    assert (entry["by"], entry["code"]) == ("passkey", "operator.passkey")
    assert gateway.entries("operator.login", since=since) == []


async def test_another_passkey_of_the_same_name_logs_nobody_in(known: Page) -> None:
    known.device.private = make_key("ES256")
    assert code_of(await known.log_in()) == "operator.passkey"


async def test_a_passkey_that_nobody_registered_is_counted_and_refused(
    page: Page, gateway: Running
) -> None:
    before = gateway.refusals("operator.login")
    refused = await page.log_in()
    assert (refused.status_code, code_of(refused)) == (401, "operator.login")
    assert gateway.refusals("operator.login") == before + 1


@pytest.mark.parametrize("part", ["client_data", "authenticator_data", "signature"])
async def test_what_was_altered_on_the_way_logs_nobody_in(known: Page, part: str) -> None:
    answer = known.device.get(await known.challenge())
    altered = bytearray(unb64(answer[part]))
    altered[-1] ^= 1
    answer[part] = b64(bytes(altered))
    refused = await known.ask("POST", "/login/passkey", json=answer)
    assert code_of(refused) == "operator.passkey"


async def test_an_answer_is_good_once(known: Page) -> None:
    answer = known.device.get(await known.challenge())
    cookies = dict(known.http.cookies)
    first = await known.ask("POST", "/login/passkey", json=answer)
    known.http.cookies.clear()
    known.http.cookies.update(cookies)
    second = await known.ask("POST", "/login/passkey", json=answer)
    assert (first.status_code, second.status_code) == (200, 401)


async def test_a_refused_answer_uses_the_challenge_up(known: Page) -> None:
    challenge = await known.challenge()
    for changes, status in (({"flags": PRESENT}, 403), ({}, 401)):
        answer = known.device.get(challenge, **changes)
        answered = await known.ask("POST", "/login/passkey", json=answer)
        assert answered.status_code == status


async def test_a_challenge_is_good_in_the_browser_that_asked_for_it(
    known: Page, gateway: Running
) -> None:
    answer = known.device.get(await known.challenge())
    async with opened(gateway) as other:
        assert (await other.ask("POST", "/login/passkey", json=answer)).status_code == 401
        await other.challenge()
        refused = await other.ask("POST", "/login/passkey", json=answer)
        assert code_of(refused) == "operator.passkey", "a challenge of its own, and another one"


async def test_a_challenge_for_registering_logs_nobody_in(known: Page) -> None:
    await known.at_provider()
    challenge = unb64((await known.act("/api/passkeys/begin", {})).json()["challenge"])
    csrf = await known.csrf()
    known.http.cookies.clear()
    known.http.cookies.set("passavant-passkey", csrf)
    answer = known.device.get(challenge)
    assert (await known.ask("POST", "/login/passkey", json=answer)).status_code == 401


async def test_a_challenge_ends(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        provider("ES256") as corp,
        governed(tmp_path, corp, clock=clock) as gateway,
        opened(gateway) as page,
    ):
        await page.at_provider()
        await page.register()
        answer = page.device.get(await page.challenge())
        clock.pass_s(LIFE_S + 1)
        assert (await page.ask("POST", "/login/passkey", json=answer)).status_code == 401


@pytest.mark.parametrize("counts", [(7, 7), (7, 3), (7, 0)])
async def test_a_count_that_does_not_grow_is_a_copy(
    known: Page, gateway: Running, counts: tuple[int, int]
) -> None:
    before, after = counts
    known.device.count = before - 1
    assert (await known.log_in()).is_success
    known.http.cookies.clear()
    known.device.count = after - 1 if after else None
    refused = await known.log_in()
    assert code_of(refused) == "operator.passkey"
    assert "copied" in refused.json()["detail"]


async def test_an_authenticator_that_does_not_count_is_let_in_again(
    page: Page, gateway: Running
) -> None:
    page.device.count = None
    await page.at_provider()
    await page.register()
    assert [(await page.log_in()).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
async def test_another_page_begins_no_log_in(known: Page, origin: str | None) -> None:
    for path in ("/login/passkey/begin", "/login/passkey"):
        headers = {"host": "localhost:9"} | ({} if origin is None else {"origin": origin})
        url = f"{known.gateway.operators_url}{path}"
        refused = await known.http.post(url, json={}, headers=headers)
        assert (refused.status_code, code_of(refused)) == (403, "operator.origin")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"passkey":"a","passkey":"b"}', id="twice"),
        pytest.param(b'{"passkey":1,"client_data":1}', id="numbers"),
        pytest.param(b'{"operator":"adam"}', id="a-name"),
    ],
)
async def test_what_is_no_answer_is_refused(known: Page, body: bytes) -> None:
    refused = await known.ask("POST", "/login/passkey", content=body)
    assert (refused.status_code, code_of(refused)) == (400, "operator.body")


async def test_one_place_begins_so_many_log_ins_a_minute(page: Page) -> None:
    asked = [await page.ask("POST", "/login/passkey/begin", json={}) for _ in range(32)]
    assert {each.status_code for each in asked} == {200, 429}


async def test_its_session_is_like_any_other(known: Page, gateway: Running) -> None:
    await known.log_in()
    cookie = known.http.cookies["passavant"]
    assert code_of(await known.ask("POST", "/api/passkeys/x/remove", json={})) == "operator.csrf"
    await known.log_in()
    assert known.http.cookies["passavant"] != cookie, "a new one, and the one before is over"
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"{gateway.operators_url}/api/whoami"
        headers = {"cookie": f"passavant={cookie}"}
        assert (await http.get(url, headers=headers)).status_code == 401


# -- whose it is, and what they may do ---------------------------------------------------------


async def test_roles_are_those_of_the_groups_that_the_provider_last_named(
    known: Page, gateway: Running, corp: Provider
) -> None:
    corp.person = {"sub": "ana", "groups": ["platform"]}
    await known.at_provider()
    known.http.cookies.clear()
    await known.log_in()
    assert (await known.ask("GET", "/api/whoami")).json()["roles"] == ["administrator"]


async def test_what_a_provider_said_is_relied_upon_for_a_working_day(tmp_path: Path) -> None:
    clock = Clock()
    async with provider("ES256") as corp:
        corp.now = lambda: clock() / 1_000_000
        async with governed(tmp_path, corp, clock=clock) as gateway, opened(gateway) as page:
            await page.at_provider()
            await page.register()
            clock.pass_s(VOUCHED_S - 60)
            assert (await page.log_in()).is_success
            device = page.device
        async with governed(tmp_path, corp, clock=clock) as gateway, opened(gateway) as page:
            page.device = device  # also after a restart
            assert (await page.log_in()).is_success
            clock.pass_s(61)
            refused = await page.log_in()
            assert (refused.status_code, code_of(refused)) == (401, "operator.login")
            await page.at_provider()
            assert (await page.log_in()).is_success


async def test_settings_that_give_no_role_any_more_let_nobody_in(tmp_path: Path) -> None:
    async with provider("ES256") as corp:
        async with governed(tmp_path, corp) as gateway, opened(gateway) as page:
            await page.at_provider()
            await page.register()
            device = page.device
        oidc = {"issuer": corp.url, "audience": corp.client}
        for operators, code in (
            ({"oidc": oidc, "roles": {"viewer": ["others"]}}, "operator.no-role"),
            (None, "operator.login"),
        ):
            identity = {"tokens": {"skew": "0s"}, "operators": operators}
            settings = {"identity": identity, "operators_url": ORIGIN}
            async with running(tmp_path, settings=settings) as gateway, opened(gateway) as page:
                page.device = device
                assert code_of(await page.log_in()) == code


async def test_who_holds_a_key_has_the_roles_of_that_key_and_loses_both_together(
    tmp_path: Path,
) -> None:
    settings = {"operators_url": ORIGIN}
    async with (
        running(tmp_path, mode="dev", console_code=CODE, settings=settings) as gateway,
        opened(gateway) as page,
    ):
        await page.ask("POST", "/login", data={"code": CODE})
        await page.register()
        wanted = {"name": "boss", "roles": ["administrator"]}
        boss = (await gateway.operate("POST", "/api/operators", wanted)).json()["key"]
        headers = {"authorization": f"Bearer {boss}"}
        url = f"{gateway.operators_url}/api/operators/adam/remove"
        assert (await gateway.http.post(url, json={}, headers=headers)).is_success
        assert await page.name() is None, "the session is over at once"
        assert (await page.log_in()).status_code == 401
        again = {"name": "adam", "roles": ["viewer"]}
        url = f"{gateway.operators_url}/api/operators"
        assert (await gateway.http.post(url, json=again, headers=headers)).is_success
        assert (await page.log_in()).status_code == 401, "of another adam, perhaps"


async def test_whoever_is_suspended_is_out_and_stays_out(known: Page, gateway: Running) -> None:
    await known.log_in()
    await gateway.operate("POST", "/api/users/operators:ana/suspend", WHY)
    try:
        refused = await known.ask("GET", "/api/whoami")
        assert (refused.status_code, code_of(refused)) == (401, "auth.revoked")
        assert code_of(await known.log_in()) == "auth.revoked"
        assert "Log in" in (await known.ask("GET", "/login")).text
    finally:
        await gateway.operate("POST", "/api/users/operators:ana/resume", WHY)
    assert (await known.log_in()).is_success


# -- removing ----------------------------------------------------------------------------------


async def test_a_removed_passkey_logs_nobody_in_and_ends_what_it_began(
    known: Page, gateway: Running
) -> None:
    await known.log_in()
    cookies = dict(known.http.cookies)
    await known.at_provider()
    done = await known.act(f"/api/passkeys/{known.device.name}/remove", {})
    assert done.is_success, done.text
    (entry,) = gateway.entries("passkey.removed")[-1:]
    assert (entry["operator"], entry["by"]) == ("operators:ana", "operator:operators:ana")
    assert await known.name() == "operators:ana", "who logged in otherwise stays"
    known.http.cookies.clear()
    known.http.cookies.update(cookies)
    assert await known.name() is None
    assert (await known.log_in()).status_code == 401


async def test_nobody_sees_or_removes_anothers_passkey_but_an_administrator(
    known: Page, gateway: Running, corp: Provider
) -> None:
    corp.person = {"sub": "eve", "groups": ["finance"]}
    path = f"/api/passkeys/{known.device.name}/remove"
    async with opened(gateway) as other:
        await other.at_provider()
        assert (await other.ask("GET", "/api/passkeys")).json() == []
        assert (await other.act(path, {})).status_code == 404
    for by, status in (("vera", 404), ("omar", 404), ("adam", 200)):
        answered = await gateway.operate("POST", path, {}, by=by, check=False)
        assert answered.status_code == status


async def test_passkeys_and_their_counts_outlive_a_crash(tmp_path: Path) -> None:
    async with provider("ES256") as corp:
        async with governed(tmp_path, corp) as gateway, opened(gateway) as page:
            await page.at_provider()
            await page.register()
            await page.log_in()
            device, count = page.device, page.device.count
        for path in (tmp_path / "home").glob("state.db*"):
            path.unlink()  # the view is made anew from the log
        async with governed(tmp_path, corp) as gateway, opened(gateway) as page:
            page.device = device
            device.count = (count or 0) - 1
            assert code_of(await page.log_in()) == "operator.passkey"
            assert (await page.log_in()).status_code == 200


# -- pages -------------------------------------------------------------------------------------


async def test_pages_run_one_file_of_ours_and_nothing_else(known: Page) -> None:
    out = await known.ask("GET", "/login")
    await known.log_in()
    for shown in (out, await known.ask("GET", "/login")):
        policy = shown.headers["content-security-policy"]
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(
            policy.split("; ")
        )
        assert "unsafe" not in policy
        assert re.findall(r"<script[^>]*>", shown.text) == ['<script src="/passkeys.js" defer>']
        assert not re.search(r"\son\w+=|javascript:", shown.text)
    file = await known.ask("GET", "/passkeys.js")
    assert file.headers["content-type"].startswith("text/javascript")
    assert not re.search(r"innerHTML|eval|document\.write|https?://", file.text)


async def test_the_page_lists_ones_own_passkeys_as_they_were_named(page: Page) -> None:
    await page.at_provider()
    await page.register("<b>blue</b>")
    shown = (await page.ask("GET", "/login")).text
    assert "&lt;b&gt;blue&lt;/b&gt;" in shown
    assert f'data-remove="{page.device.name}"' in shown


async def test_nothing_secret_stands_in_the_log(known: Page, gateway: Running) -> None:
    challenge = await known.challenge()
    cookies = set(known.http.cookies.values())
    await known.ask("POST", "/login/passkey", json=known.device.get(challenge))
    csrf, written = await known.csrf(), json.dumps(gateway.entries())
    assert not [each for each in {b64(challenge), csrf, *cookies} if each in written]
