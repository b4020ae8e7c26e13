"""Keys of other issuers: fetched seldom, kept while that is silent, each for one algorithm."""

import asyncio
import json
from typing import Any

import pytest

from audit.canonical import Json
from gateway.errors import FetchFailed
from gateway.identity.errors import AuthError, IssuerSilent, PublicKeyRefused
from gateway.identity.issuer_keys import (
    FRESH_S,
    KEPT_S,
    MAX_KEYS,
    RETRY_EMPTY_S,
    RETRY_S,
    IssuerKey,
    IssuerKeys,
    read_set,
)
from tests.harness.provider import make_key

NOW = 1_795_154_745


class Served:
    """A key set that can change, and be away."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.is_away = False
        self.times = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> bytes:
        self.times += 1
        await self.gate.wait()
        if self.is_away:
            raise FetchFailed("away")
        return json.dumps({"keys": self.keys}).encode()


FIRST, SECOND = make_key("first", "ES256").jwk, make_key("second", "EdDSA").jwk


@pytest.fixture
def served() -> Served:
    return Served(FIRST)


@pytest.fixture
def keys(served: Served) -> IssuerKeys:
    return IssuerKeys(served, name="corp")


async def test_keys_are_fetched_once_an_hour(served: Served, keys: IssuerKeys) -> None:
    for second in (0, 1, FRESH_S - 1):
        await keys.find("first", "ES256", NOW + second)
    assert served.times == 1
    await keys.find("first", "ES256", NOW + FRESH_S)
    assert served.times == 2


async def test_a_key_that_is_new_is_found(served: Served, keys: IssuerKeys) -> None:
    await keys.find("first", "ES256", NOW)
    served.keys.append(SECOND)
    assert (await keys.find("second", "EdDSA", NOW + RETRY_S)).id == "second"


async def test_unknown_ids_make_one_fetch_a_minute(served: Served, keys: IssuerKeys) -> None:
    await keys.find("first", "ES256", NOW)
    for number in range(50):
        with pytest.raises(AuthError):
            await keys.find(f"made-up-{number}", "ES256", NOW + RETRY_S + number // 2)
    assert served.times == 2


async def test_many_at_once_make_one_fetch(served: Served, keys: IssuerKeys) -> None:
    served.gate.clear()
    asking = [asyncio.create_task(keys.find("first", "ES256", NOW)) for _ in range(20)]
    await asyncio.sleep(0)
    served.gate.set()
    assert {key.id for key in await asyncio.gather(*asking)} == {"first"}
    assert served.times == 1


async def test_nobody_waits_for_a_fetch_who_has_a_key(served: Served, keys: IssuerKeys) -> None:
    await keys.find("first", "ES256", NOW)
    served.gate.clear()
    slow = asyncio.create_task(keys.find("first", "ES256", NOW + FRESH_S))
    await asyncio.sleep(0)
    assert (await keys.find("first", "ES256", NOW + FRESH_S)).id == "first"
    assert not slow.done()
    served.gate.set()
    await slow


async def test_keys_stay_good_while_the_issuer_is_away(served: Served, keys: IssuerKeys) -> None:
    await keys.find("first", "ES256", NOW)
    served.is_away = True
    assert (await keys.find("first", "ES256", NOW + KEPT_S - 1)).id == "first"


async def test_keys_end_when_the_issuer_is_away_for_a_day(served: Served, keys: IssuerKeys) -> None:
    await keys.find("first", "ES256", NOW)
    served.is_away = True
    with pytest.raises(IssuerSilent):
        await keys.find("first", "ES256", NOW + KEPT_S)


async def test_a_key_that_was_taken_back_is_not_good_after_the_next_fetch(
    served: Served, keys: IssuerKeys
) -> None:
    await keys.find("first", "ES256", NOW)
    served.keys = [SECOND]
    with pytest.raises(AuthError):
        await keys.find("first", "ES256", NOW + FRESH_S)


async def test_an_issuer_that_was_away_at_first_is_asked_again_soon(
    served: Served, keys: IssuerKeys
) -> None:
    served.is_away = True
    for second in range(RETRY_EMPTY_S):
        with pytest.raises(IssuerSilent):
            await keys.find("first", "ES256", NOW + second)
    assert served.times == 1
    served.is_away = False
    assert (await keys.find("first", "ES256", NOW + RETRY_EMPTY_S)).id == "first"


async def test_without_an_id_there_must_be_one_key_of_the_kind(
    served: Served, keys: IssuerKeys
) -> None:
    served.keys = [FIRST, SECOND]
    assert (await keys.find(None, "EdDSA", NOW)).id == "second"
    served.keys.append(make_key("third", "EdDSA").jwk)
    with pytest.raises(AuthError):
        await keys.find(None, "EdDSA", NOW + FRESH_S)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA", "RS256", "ES384", None, 7, []])
async def test_a_key_is_good_for_its_own_algorithm_alone(keys: IssuerKeys, algorithm: Json) -> None:
    with pytest.raises(AuthError):
        await keys.find("first", algorithm, NOW)


RSA = make_key("rsa", "RS256").jwk


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        pytest.param(RSA, "RS256", id="rs256"),
        pytest.param({**RSA, "alg": "PS256"}, "PS256", id="ps256"),
        pytest.param({n: v for n, v in RSA.items() if n != "alg"}, "RS256", id="rsa-says-nothing"),
        pytest.param({**RSA, "x5c": ["MIIB"], "x5t": "abc"}, "RS256", id="with-a-certificate"),
        pytest.param(FIRST, "ES256", id="es256"),
        pytest.param(SECOND, "EdDSA", id="eddsa"),
    ],
)
def test_a_key_fixes_its_algorithm(jwk: dict[str, Any], algorithm: str) -> None:
    assert IssuerKey.of_jwk(jwk).algorithm == algorithm


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="symmetric"),
        pytest.param({**FIRST, "d": "AAAA"}, id="private"),
        pytest.param({**RSA, "alg": "HS256"}, id="rsa-for-hmac"),
        pytest.param({**RSA, "alg": "RS512"}, id="rsa-for-another"),
        pytest.param({**RSA, "e": "Aw"}, id="small-exponent"),
        pytest.param({**RSA, "n": RSA["n"][:100]}, id="short-modulus"),
        pytest.param({**RSA, "n": RSA["n"] * 5}, id="huge-modulus"),
        pytest.param({**RSA, "n": "!"}, id="modulus-is-no-number"),
        pytest.param({**RSA, "use": "enc"}, id="for-encryption"),
        pytest.param({**FIRST, "kid": 7}, id="id-is-a-number"),
        pytest.param({**FIRST, "crv": "P-384"}, id="other-curve"),
        pytest.param({**FIRST, "x": SECOND["x"]}, id="no-point"),
    ],
)
def test_another_key_is_not_read(jwk: Json) -> None:
    with pytest.raises(PublicKeyRefused):
        IssuerKey.of_jwk(jwk)


def test_a_set_may_hold_keys_that_are_not_used_here() -> None:
    listed = [{"kty": "EC", "crv": "P-521", "x": "A", "y": "A"}, {**RSA, "use": "enc"}, FIRST]
    assert [key.id for key in read_set(json.dumps({"keys": listed}).encode())] == ["first"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="a-page"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"keys": {}}', id="keys-are-a-map"),
        pytest.param(b'{"keys": []}', id="no-keys"),
        pytest.param(b'{"keys": [], "keys": []}', id="twice"),
        pytest.param(json.dumps({"keys": [{**FIRST, "d": "AAAA"}]}).encode(), id="private"),
        pytest.param(
            json.dumps({"keys": [FIRST, {**SECOND, "kid": "first"}]}).encode(), id="one-id"
        ),
        pytest.param(json.dumps({"keys": [SECOND] * (MAX_KEYS + 1)}).encode(), id="too-many"),
    ],
)
def test_another_set_is_not_read(text: bytes) -> None:
    with pytest.raises(PublicKeyRefused):
        read_set(text)
