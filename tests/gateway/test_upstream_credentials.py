"""Each kind of credential for an upstream, through a whole gateway, a server and its issuer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.home import Home
from tests.gateway.links.http_upstream import Heard, Upstream, http
from tests.harness.authorization_server import EXCHANGE, IssuerStub, issuer
from tests.harness.gateway import Running, accept, running
from tests.harness.upstream import Desk, desk

SECRET = "the-secret-of-the-gateway"


@pytest.fixture
async def idp() -> AsyncIterator[IssuerStub]:
    async with issuer() as stub:
        stub.secrets["gw"] = SECRET
        yield stub


@pytest.fixture
async def upstream(idp: IssuerStub) -> AsyncIterator[Desk]:
    async with desk() as server:
        takes(server, idp)
        yield server


def takes(server: Upstream, idp: IssuerStub) -> None:
    """Have the server take tokens of its issuer that are still good, and nothing else."""
    for method, behave in list(server.behaviours.items()):

        async def checked(heard: Heard, writer: Any, behave: Any = behave) -> None:  # noqa: ANN401 - of asyncio, and a behaviour
            token = heard.headers.get("authorization", "").removeprefix("Bearer ")
            if token in idp.valid:
                await behave(heard, writer)
            else:
                writer.write(http(b"", "401 Unauthorized"))

        server.behaviours[method] = checked


Deployed = Callable[[Mapping[str, Any]], Any]


@pytest.fixture
def deployed(tmp_path: Path, upstream: Desk) -> Deployed:
    """Starts a gateway that reaches the desk with this credential."""

    @asynccontextmanager
    async def deployed(credential: Mapping[str, Any]) -> AsyncIterator[Running]:
        (tmp_path / "gw.secret").write_text(SECRET)
        spec = {"url": upstream.url, "credential": credential}
        accept(Home.at(tmp_path / "home"), {"desk": upstream})
        async with running(tmp_path, servers={"desk": spec}) as gateway:
            yield gateway

    return deployed


def client(idp: IssuerStub, **more: str) -> dict[str, Any]:
    return {"issuer": idp.url, "client": "gw", "secret": "file:../gw.secret", **more}


# -- client credentials ---------------------------------------------------------------------


async def test_the_gateway_asks_for_a_token_made_for_the_server_and_keeps_it(
    idp: IssuerStub, upstream: Desk, deployed: Deployed
) -> None:
    async with deployed({"oauth_client": client(idp, scope="pay look")}) as gateway:
        clerks = [await gateway.agent() for _ in range(3)]
        for clerk in clerks:
            assert (await clerk.call("desk.look", at="x")).done
    assert idp.forms == [
        {"grant_type": "client_credentials", "resource": upstream.url, "scope": "pay look"}
    ]
    assert {heard.headers["authorization"] for heard in upstream.heard} == {
        f"Bearer {idp.valid[0]}"
    }
    received = repr([upstream.heard, idp.heard])
    assert not any(clerk.token is None or clerk.token in received for clerk in clerks)


async def test_an_ended_token_is_replaced_before_the_next_call(
    idp: IssuerStub, upstream: Desk, deployed: Deployed
) -> None:
    async with deployed({"oauth_client": client(idp)}) as gateway:
        gateway.clock.pass_s(300)
        clerk = await gateway.agent()
        assert (await clerk.call("desk.look", at="x")).done
    assert upstream.heard[-1].headers["authorization"] == f"Bearer {idp.valid[1]}"


async def test_a_call_that_the_server_refuses_is_not_sent_again_but_the_next_has_a_new_token(
    idp: IssuerStub, upstream: Desk, deployed: Deployed
) -> None:
    async with deployed({"oauth_client": client(idp)}) as gateway:
        clerk = await gateway.agent()
        before = len(upstream.heard)
        idp.valid[0] = "revoked"
        answered = await clerk.call("desk.pay", amount=5)
        assert not answered.done
        assert "401" in answered.text
        assert len(upstream.heard) == before + 1
        assert (await clerk.call("desk.pay", amount=6)).done
    assert upstream.paid == [6]
    assert len(idp.forms) == 2


async def test_without_a_token_nothing_is_sent(
    idp: IssuerStub, upstream: Desk, deployed: Deployed
) -> None:
    async with deployed({"oauth_client": client(idp)}) as gateway:
        clerk = await gateway.agent()
        before = len(upstream.heard)
        gateway.clock.pass_s(400)
        idp.then = lambda _: http(b'{"error":"invalid_client"}', "401 Unauthorized")
        for _ in range(3):
            answered = await (await gateway.agent(clerk.name)).call("desk.pay", amount=5)
            assert answered.code == "upstream.credential"
            assert "Nothing has been done" in answered.text
        assert len(upstream.heard) == before
        await gateway.until(lambda: len(gateway.entries("outcome")) == 3)
        assert {entry["status"] for entry in gateway.entries("outcome")} == {"refused"}
    assert idp.targets().count("/token") == 2, "after a refusal nobody asks for a while"


async def test_what_is_withdrawn_while_a_token_is_asked_for_is_not_sent(
    idp: IssuerStub, upstream: Desk, deployed: Deployed
) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        asked.set()
        await answered.wait()

    async with deployed({"oauth_client": client(idp)}) as gateway:
        gateway.clock.pass_s(300)
        clerk = await gateway.agent()
        upstream.forget()
        idp.before = slow
        call = asyncio.create_task(clerk.call("desk.pay", amount=5))
        await asked.wait()
        await gateway.operate("POST", f"/api/sessions/{clerk.session}/end")
        answered.set()
        assert (await call).code == "policy.changed"
    assert upstream.heard == []


# -- token exchange -------------------------------------------------------------------------


async def test_each_caller_has_a_token_of_its_own(
    idp: IssuerStub, upstream: Desk, deployed: Deployed
) -> None:
    exchange = client(idp, audience="desk", resource="https://desk.example/mcp")
    async with deployed({"token_exchange": exchange}) as gateway:
        anas = await gateway.agent("clerk-1", user="ana")
        bobs = await gateway.agent("clerk-1", user="bob")
        own = await gateway.agent("clerk-2")
        upstream.forget()
        for clerk in (anas, bobs, own, anas, bobs, own):
            assert (await clerk.call("desk.look", at="x")).done
        keys = gateway.gateway.services.keys
        told = [
            jwt.decode(text, keys.active.public, ["EdDSA"], audience=idp.url, issuer=gateway.url)
            for text in idp.subjects
        ]
        await no_way_in(gateway, idp.subjects[0])
    sent = [heard.headers["authorization"] for heard in upstream.heard]
    assert sent[:3] == sent[3:]
    assert len(set(sent)) == 3
    assert [(claims["sub"], claims["act"]["sub"]) for claims in told] == [
        ("ana", "agent:clerk-1"),
        ("bob", "agent:clerk-1"),
        ("agent:clerk-2", "agent:clerk-2"),
    ]
    form = idp.forms[-1]
    assert (form["grant_type"], form["audience"]) == (EXCHANGE, "desk")
    assert form["resource"] == "https://desk.example/mcp"
    assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
    assert idp.forms[0]["grant_type"] == "client_credentials", "tools are listed by the gateway"


async def no_way_in(gateway: Running, token: str) -> None:
    """What the issuer was shown opens nothing here."""
    response = await gateway.http.post(
        f"{gateway.url}/v1/tools/desk/look",
        content=b'{"at":"x"}',
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    assert response.status_code == 401


async def test_a_caller_whom_the_issuer_refuses_is_refused_and_nobody_else(
    idp: IssuerStub, upstream: Desk, deployed: Deployed
) -> None:
    async with deployed({"token_exchange": client(idp)}) as gateway:
        anas = await gateway.agent("clerk-1", user="ana")
        bobs = await gateway.agent("clerk-1", user="bob")
        assert (await anas.call("desk.look", at="x")).done
        upstream.forget()
        idp.then = lambda _: http(b'{"error":"invalid_target"}', "400 Bad Request")
        assert (await bobs.call("desk.look", at="x")).code == "upstream.credential"
        assert upstream.heard == []
        assert (await anas.call("desk.look", at="x")).done
