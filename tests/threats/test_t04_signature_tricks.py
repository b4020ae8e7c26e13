"""T4: one algorithm, our keys alone, nothing fetched: every forged credential is refused.

The corpus is that of the token's own tests (`tests.gateway.identity`), played against a running
gateway: nothing of it reaches the desk, and none of it is answered in another way than by 401.
"""

import re
import socket
import time
from dataclasses import dataclass

import pytest

from gateway.identity.tokens import Issuer
from gateway.principal import Principal
from tests.gateway.identity.forging import FORGED, NOW, Forge
from tests.gateway.identity.signing import Key
from tests.gateway.identity.test_assertions import FORGED as FORGED_ASSERTIONS
from tests.harness.agent import MODERN, REST, Agent
from tests.harness.client import Client
from tests.harness.gateway import Clock, Running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = DESK.replace("agents:\n", "agents:\n  clerk: {roles: [clerk]}\n", 1)
CLIENTS = ("clerk",)


@dataclass
class At(Clock):
    """The time of the corpus, in which the real one goes on."""

    began: int = 0

    def __call__(self) -> int:
        now = time.time_ns() // 1000
        self.began = self.began or now
        return NOW * 1_000_000 + (now - self.began) // 1000 + self.ahead


CLOCK = At()


@pytest.fixture
def forge(gateway: Running) -> Forge:
    """A token of a session that does not exist: it authenticates, and goes no further."""
    services = gateway.gateway.services
    principal = Principal(
        agent="clerk",
        user="ana",
        user_groups=frozenset({"finance"}),
        chain=(),
        session="0193f0a2-session",
        scopes=("git.*", "ledger.pay"),
        hops=1,
        token_id="0193f0a2-token",
        issued=NOW,
        expires=NOW + 900,
    )
    issuer = Issuer(services.keys, public_url=gateway.url)
    return Forge(services.keys, issuer.issue(principal))


def caller(gateway: Running, token: str, way: str) -> Agent:
    return Agent(gateway.http, gateway.url, token, "clerk", "", way)


async def test_t04_the_token_that_forgers_start_from_is_believed(
    gateway: Running, forge: Forge
) -> None:
    answered = await caller(gateway, forge.good, REST).get("/v1/openapi.json")
    assert answered.http == 200


@pytest.mark.parametrize("way", [REST, MODERN])
@pytest.mark.parametrize("name", FORGED)
async def test_t04_a_forged_token_is_refused_and_reaches_nobody(
    gateway: Running, upstream: Desk, forge: Forge, name: str, way: str
) -> None:
    token = FORGED[name][1](forge)
    sent = re.sub(r"[^!-~]", "?", token) or "?"  # as far as a header can hold it
    answered = await caller(gateway, sent, way).call("desk.look")
    assert (answered.http, str(answered.code)[:5]) in {(401, "auth."), (431, "None")}
    assert upstream.calls == []


async def test_t04_no_key_is_fetched_that_a_credential_names(
    gateway: Running, upstream: Desk, forge: Forge
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as keys:
        keys.settimeout(0)
        address = f"http://127.0.0.1:{keys.getsockname()[1]}/keys.json"
        for member in ("jku", "x5u", "kid"):
            token = forge.with_header(**{member: address})
            assert (await caller(gateway, token, REST).call("desk.look")).http == 401
            form = Client(gateway, "clerk").assertion(Key.ed25519())
            text = Key.ed25519().jwt({"alg": "EdDSA", member: address}, {"iss": "clerk"})
            answered = await gateway.http.post(
                f"{gateway.url}/oauth/token",
                data=form | {"client_assertion": text, "grant_type": "client_credentials"},
            )
            assert answered.status_code == 401
        with pytest.raises(BlockingIOError):
            keys.accept()


async def test_t04_the_corpora_are_as_large_as_promised() -> None:
    assert len(FORGED) + len(FORGED_ASSERTIONS) >= 40
