"""Operators in a browser: with the one-time code of development, or one that a key gave."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.operator.console_code import LIFE_S as CODE_LIFE_S
from gateway.operator.console_code import TRIES
from tests.gateway.operator.browsing import CODE, browsing, developing
from tests.harness.gateway import Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


# -- with the one-time code --------------------------------------------------------------------


async def test_the_code_logs_the_one_person_in_once(tmp_path: Path) -> None:
    async with developing(tmp_path) as (gateway, browser):
        assert 'name="code"' in (await browser.get("/login")).text
        done = await browser.post("/login", data={"code": CODE.lower()})
        assert (done.status_code, done.headers["location"]) == (303, "/login")
        assert (await browser.get("/api/whoami")).json()["name"] == "adam"
        async with browsing(gateway) as other:
            assert (await other.post("/login", data={"code": CODE})).status_code == 401
            assert (await other.get("/login")).status_code == 404
        assert [entry["by"] for entry in browser.entries("operator.login")] == ["code"]
        assert CODE not in json.dumps(browser.entries())


async def test_after_five_wrong_codes_the_right_one_is_refused(tmp_path: Path) -> None:
    async with developing(tmp_path) as (_, browser):
        for number in range(TRIES):
            wrong = await browser.post("/login", data={"code": f"WRONG-{number:05}"})
            assert wrong.status_code == 401
        assert (await browser.post("/login", data={"code": CODE})).status_code == 401
        assert len(browser.entries("operator.refused")) == TRIES, "then nothing can be guessed"
        assert browser.entries("operator.login") == []


async def test_the_code_ends_after_half_an_hour(tmp_path: Path) -> None:
    async with developing(tmp_path) as (gateway, browser):
        gateway.clock.pass_s(CODE_LIFE_S)
        assert (await browser.post("/login", data={"code": CODE})).status_code == 401


REQUESTS: list[Any] = [
    pytest.param({}, {"code": CODE}, 403, id="no-origin"),
    pytest.param({"origin": "https://evil.example"}, {"code": CODE}, 403, id="another-origin"),
    pytest.param({"origin": "null"}, {"code": CODE}, 403, id="origin-null"),
    pytest.param({"origin": "@"}, {"code": "A" * 2000}, 400, id="huge"),
    pytest.param({"origin": "@"}, {}, 401, id="no-code"),
]


@pytest.mark.parametrize(("headers", "form", "status"), REQUESTS)
async def test_another_form_logs_nobody_in(
    tmp_path: Path, headers: Mapping[str, str], form: Mapping[str, str], status: int
) -> None:
    async with developing(tmp_path) as (_, browser):
        lines = {name: value.replace("@", browser.url) for name, value in headers.items()}
        refused = await browser.http.post(f"{browser.url}/login", data=form, headers=lines)
        assert refused.status_code == status
        assert browser.entries("operator.login") == []


async def test_a_code_in_an_address_is_not_looked_at(tmp_path: Path) -> None:
    async with developing(tmp_path) as (_, browser):
        await browser.get("/login", params={"code": CODE})
        await browser.post("/login", params={"code": CODE})
        assert (await browser.get("/api/whoami")).status_code == 401


async def test_outside_development_a_code_is_worth_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, console_code=CODE) as gateway, browsing(gateway) as browser:
        assert (await browser.get("/login")).status_code == 404
        assert (await browser.post("/login", data={"code": CODE})).status_code == 401
        assert browser.entries("operator.refused") == []


async def test_removing_an_operator_ends_their_browser_too(tmp_path: Path) -> None:
    async with developing(tmp_path) as (gateway, browser):
        await browser.post("/login", data={"code": CODE})
        other = {"name": "ada", "roles": ["administrator"]}
        await gateway.operate("POST", "/api/operators", other)
        await gateway.operate("POST", "/api/operators/adam/remove")
        assert (await browser.get("/api/whoami")).status_code == 401


# -- with a code that a key gave ---------------------------------------------------------------


async def given(gateway: Running, by: str) -> str:
    told = (await gateway.operate("POST", "/api/operators/code", by=by)).json()
    assert told["url"].endswith("/login")
    return str(told["code"])


async def test_who_shows_a_key_is_given_a_code_for_a_browser(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway, browsing(gateway) as browser:
        code = await given(gateway, "omar")
        assert 'name="code"' in (await browser.get("/login")).text
        assert (await browser.post("/login", data={"code": code})).status_code == 303
        found = (await browser.get("/api/whoami")).json()
        assert (found["name"], found["roles"]) == ("omar", ["approver"])
        assert [entry["operator"] for entry in browser.entries("operator.code")] == ["omar"]
        assert code not in json.dumps(browser.entries())


async def test_each_has_one_code_and_a_wrong_one_is_a_try_with_all(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway, browsing(gateway) as browser:
        early, hers, his = [await given(gateway, by) for by in ("vera", "vera", "omar")]
        assert (await browser.post("/login", data={"code": early})).status_code == 401
        assert (await browser.post("/login", data={"code": his})).status_code == 303
        for number in range(TRIES - 1):  # the early one was a try; his was none
            await browser.post("/login", data={"code": f"WRONG-{number:05}"})
        assert (await browser.post("/login", data={"code": hers})).status_code == 401


async def test_a_code_goes_with_the_key_that_gave_it(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway, browsing(gateway) as browser:
        removed, anew = await given(gateway, "vera"), await given(gateway, "omar")
        await gateway.operate("POST", "/api/operators/vera/remove")
        await gateway.operate("POST", "/api/operators", {"name": "omar", "roles": ["viewer"]})
        for code in (removed, anew):
            assert (await browser.post("/login", data={"code": code})).status_code == 401
        assert browser.entries("operator.login") == []


async def test_a_browser_gives_itself_no_code(tmp_path: Path) -> None:
    async with developing(tmp_path) as (_, browser):
        await browser.post("/login", data={"code": CODE})
        headers = {"x-csrf-token": await browser.csrf()}
        refused = await browser.post("/api/operators/code", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "operator.fresh")


async def test_who_is_suspended_gets_in_with_no_code(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway, browsing(gateway) as browser:
        code = await given(gateway, "vera")
        await gateway.operate("POST", "/api/users/vera/suspend", {"reason": "left"})
        refused = await browser.post("/login", data={"code": code})
        assert (refused.status_code, refused.json()["code"]) == (401, "auth.revoked")
