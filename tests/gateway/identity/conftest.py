"""One gateway's keys, a clock that stands still, and its endpoints over both."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.epoch import Epoch
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.principal import Principal
from tests.gateway.identity.endpoints import World

URL = "https://agents.acme.example"
NOW = 1_795_154_745
LIFE = 900
SKEW = 10


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeySet:
    return KeySet.open(tmp_path_factory.mktemp("tokens") / "keys", NOW)


@pytest.fixture
def revocations(epoch: Epoch) -> Revocations:
    return Revocations(epoch)


@pytest.fixture
def epoch() -> Epoch:
    return Epoch()


@pytest.fixture
def issuer(keys: KeySet) -> Issuer:
    return Issuer(keys, public_url=URL)


@pytest.fixture
def tokens(keys: KeySet, revocations: Revocations, epoch: Epoch) -> TokenCheck:
    return TokenCheck(keys, revocations, epoch, public_url=URL, skew_s=SKEW)


@pytest.fixture
def clerk() -> Principal:
    return Principal(
        agent="clerk",
        user="ana",
        user_groups=frozenset({"finance"}),
        chain=(),
        session="0193f0a2-session",
        scopes=("git.*", "ledger.pay"),
        hops=1,
        token_id="0193f0a2-token",
        issued=NOW,
        expires=NOW + LIFE,
    )


@pytest.fixture
def key_folder(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "tokens"


@pytest.fixture
def world(keys: KeySet) -> World:
    return World(keys)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.app(), client=("10.0.0.7", 41022))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client
