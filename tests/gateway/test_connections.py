"""Per-user OAuth towards an upstream: a gateway, a server, its authorization server, a log-in, and
browsers of people.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SettingsInvalid
from gateway.home import Home
from tests.gateway.links.http_upstream import http
from tests.gateway.test_upstream_credentials import takes
from tests.harness.agent import Agent, Answer
from tests.harness.authorization_server import IssuerStub, issuer
from tests.harness.browser import Browser, browser
from tests.harness.gateway import Clock, Running, accept, running
from tests.harness.provider import Provider, provider
from tests.harness.upstream import Desk, desk

SECRET = "the-secret-of-the-gateway"


@dataclass
class Place:
    """Everything that takes part."""

    folder: Path
    idp: IssuerStub
    corp: Provider
    upstream: Desk

    @asynccontextmanager
    async def gateway(self, *, clock: Clock | None = None, **more: Any) -> AsyncIterator[Running]:  # noqa: ANN401 - members of the credential
        (self.folder / "gw.secret").write_text(SECRET)
        accept(Home.at(self.folder / "home"), {"desk": self.upstream})
        credential = {
            "issuer": self.idp.url,
            "client": "gw",
            "secret": "file:../gw.secret",
            "scope": "pay look",
            **more,
        }
        servers = {"desk": {"url": self.upstream.url, "credential": {"user_oauth": credential}}}
        users = {"corp": {"oidc": {"issuer": self.corp.url, "audience": "passavant"}}}
        identity = {"users": users, "tokens": {"skew": "0s"}}
        async with running(
            self.folder, servers=servers, settings={"identity": identity}, clock=clock
        ) as gateway:
            yield gateway


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with issuer() as idp, provider() as corp, desk() as upstream:
        idp.secrets["gw"] = SECRET
        corp.client = "passavant"
        takes(upstream, idp)
        yield Place(tmp_path, idp, corp, upstream)


@pytest.fixture
async def anas() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest.fixture
async def bobs() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


def page_in(answered: Answer) -> str:
    assert answered.code == "upstream.consent", answered
    found = re.search(r"http://\S+", answered.text)
    assert found is not None
    return found[0]


async def connect(clerk: Agent, person: Browser) -> None:
    """Do what the agent's text says."""
    url = page_in(await clerk.call("desk.look", at="x"))
    done = await person.agree(await person.open(url))
    assert "Connected" in done.text, done.text


async def test_a_person_is_asked_once_and_their_own_account_is_used(
    place: Place, anas: Browser
) -> None:
    async with place.gateway() as gateway:
        clerk = await gateway.agent("clerk-1", user="corp:ana")
        place.upstream.forget()
        url = page_in(await clerk.call("desk.pay", amount=5))
        assert url == f"{gateway.url}/oauth/upstream/desk/start?agent=clerk-1"
        assert place.upstream.heard == []
        question = await anas.open(url)
        assert "corp:ana" in question.text
        assert "clerk-1" in question.text
        assert not gateway.entries("connection.given")
        assert "Connected" in (await anas.agree(question)).text
        assert (await clerk.call("desk.pay", amount=5)).done
        given = gateway.entries("connection.given")
    token = place.upstream.heard[-1].headers["authorization"].removeprefix("Bearer ")
    assert place.idp.owners[token] == "ana@upstream"
    assert [entry["actor"] for entry in given] == [
        {"agent": "clerk-1", "sub": "corp:ana", "chain": []}
    ]
    asked = place.idp.forms[-1]
    assert (asked["grant_type"], asked["resource"]) == ("authorization_code", place.upstream.url)


async def test_nobody_elses_call_goes_by_it(place: Place, anas: Browser) -> None:
    async with place.gateway() as gateway:
        await connect(await gateway.agent("clerk-1", user="corp:ana"), anas)
        place.upstream.forget()
        for agent, user in (("clerk-1", "corp:bob"), ("clerk-2", "corp:ana")):
            page_in(await (await gateway.agent(agent, user=user)).call("desk.look", at="x"))
        alone = await (await gateway.agent("clerk-1")).call("desk.look", at="x")
        assert alone.code == "upstream.credential"
        assert place.upstream.heard == []


async def test_two_people_use_an_account_each(place: Place, anas: Browser, bobs: Browser) -> None:
    async with place.gateway() as gateway:
        of_ana = await gateway.agent("clerk-1", user="corp:ana")
        of_bob = await gateway.agent("clerk-1", user="corp:bob")
        await connect(of_ana, anas)
        place.corp.person, place.idp.account = {"sub": "bob"}, "bob@upstream"
        await connect(of_bob, bobs)
        place.upstream.forget()
        for clerk in (of_ana, of_bob, of_ana):
            assert (await clerk.call("desk.look", at="x")).done
    sent = [h.headers["authorization"].removeprefix("Bearer ") for h in place.upstream.heard]
    assert [place.idp.owners[token] for token in sent] == [
        "ana@upstream",
        "bob@upstream",
        "ana@upstream",
    ]


async def test_an_ended_token_is_renewed_and_a_restart_asks_nobody(
    place: Place, anas: Browser
) -> None:
    clock = Clock()
    async with place.gateway(clock=clock) as gateway:
        await connect(await gateway.agent("clerk-1", user="corp:ana"), anas)
    for _ in range(2):
        async with place.gateway(clock=clock) as gateway:
            clock.pass_s(400)
            clerk = await gateway.agent("clerk-1", user="corp:ana")
            assert (await clerk.call("desk.look", at="x")).done
    grants = [form["grant_type"] for form in place.idp.forms]
    assert grants.count("refresh_token") == 2
    refreshes = [form["refresh_token"] for form in place.idp.forms if "refresh_token" in form]
    assert len(set(refreshes)) == 2, "each refresh token was used once"


async def test_no_token_lies_readable_on_disk(place: Place, anas: Browser) -> None:
    async with place.gateway() as gateway:
        await connect(await gateway.agent("clerk-1", user="corp:ana"), anas)
    secrets = [SECRET, *place.idp.valid, *place.idp.refreshes]
    files = [file for file in (place.folder / "home").rglob("*") if file.is_file()]
    assert any(file.suffix == ".connection" for file in files)
    for file in files:
        assert not any(secret.encode() in file.read_bytes() for secret in secrets), file


async def test_what_an_operator_withdraws_is_over_at_the_next_call(
    place: Place, anas: Browser
) -> None:
    named = {"user": "corp:ana", "agent": "clerk-1", "server": "desk"}
    files = place.folder / "home" / "keys" / "connections"
    async with place.gateway() as gateway:
        clerk = await gateway.agent("clerk-1", user="corp:ana")
        await connect(clerk, anas)
        kept = {file: file.read_bytes() for file in files.iterdir()}
        listed = (await gateway.operate("GET", "/api/connections", by="vera")).json()
        assert [{**named, "connection": listed[0]["connection"]}] == listed
        path = "/api/connections/withdraw"
        assert (
            await gateway.operate("POST", path, named, by="vera", check=False)
        ).status_code == 403
        await gateway.operate("POST", path, named)
        assert (await gateway.operate("POST", path, named, check=False)).status_code == 404
        place.upstream.forget()
        page_in(await clerk.call("desk.look", at="x"))
        assert not list(files.iterdir())
    for file, content in kept.items():
        file.write_bytes(content)  # an old backup
    async with place.gateway() as gateway:
        place.upstream.forget()
        page_in(await (await gateway.agent("clerk-1", user="corp:ana")).call("desk.look", at="x"))
        assert place.upstream.heard == []


async def test_what_ended_at_the_issuer_is_asked_for_anew(place: Place, anas: Browser) -> None:
    async with place.gateway() as gateway:
        clerk = await gateway.agent("clerk-1", user="corp:ana")
        await connect(clerk, anas)
        place.idp.valid.clear()
        place.idp.refreshes.clear()
        assert not (await clerk.call("desk.look", at="x")).done  # a 401: the token is no good
        await connect(clerk, anas)
        assert (await clerk.call("desk.look", at="y")).done


async def test_tools_are_listed_with_a_token_for_that(place: Place) -> None:
    place.idp.valid.append("a-token-for-listing")
    (place.folder / "listing").write_text("a-token-for-listing")
    async with place.gateway(listing="file:../listing", secret=None):
        pass
    assert {heard.headers["authorization"] for heard in place.upstream.heard} == {
        "Bearer a-token-for-listing"
    }
    assert place.idp.forms == []


@pytest.mark.parametrize("methods", [None, ["plain"]])
async def test_nobody_is_sent_where_a_code_is_not_bound_to_us(
    methods: list[str] | None, place: Place, anas: Browser
) -> None:
    place.idp.metadata["code_challenge_methods_supported"] = methods
    async with place.gateway() as gateway:
        clerk = await gateway.agent("clerk-1", user="corp:ana")
        question = await anas.open(page_in(await clerk.call("desk.look", at="x")))
        refused = await anas.agree(question)
        assert "Not connected" in refused.text
        assert refused.status_code >= 400
    assert not any(target.startswith("/authorize") for target in place.idp.targets())


async def test_a_token_that_is_no_bearer_token_connects_nothing(
    place: Place, anas: Browser
) -> None:
    async with place.gateway() as gateway:
        clerk = await gateway.agent("clerk-1", user="corp:ana")
        question = await anas.open(page_in(await clerk.call("desk.look", at="x")))
        place.idp.then = lambda _: http(b'{"access_token":"planted-token","token_type":"mac"}')
        refused = await anas.agree(question)
        assert "Not connected" in refused.text
        assert "planted" not in refused.text
        assert not gateway.entries("connection.given")


async def test_where_nobody_could_log_in_it_does_not_start(place: Place) -> None:
    credential = {"issuer": place.idp.url, "client": "gw", "listing": "env:NONE"}
    servers = {"desk": {"url": place.upstream.url, "credential": {"user_oauth": credential}}}
    accept(Home.at(place.folder / "home"), {"desk": place.upstream})
    with pytest.raises(SettingsInvalid, match=r"identity\.users"):
        async with running(place.folder, servers=servers):
            pass
