"""Client assertions: one good one is good once; every forgery is nobody's."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.errors import AuditUnavailable
from gateway.identity.assertions import MAX_LIFE_S, Assertions
from gateway.identity.errors import OAuthError
from gateway.identity.public_keys import PublicKey
from gateway.identity.single_use import MAX_PER_OWNER
from tests.gateway.identity.signing import Key, base64, compact, with_hmac, without
from tests.gateway.rooms import House

URL = "https://agents.acme.example"
SKEW = 10
SPKI = PublicFormat.SubjectPublicKeyInfo
SOURCE = "10.0.0.7:41022"
CLERK, SCOUT, STRANGER = Key.ed25519(), Key.p256(), Key.ed25519()
KEYS = {
    "clerk": (CLERK.public,),
    "scout": (SCOUT.public,),
    "both": (CLERK.public, SCOUT.public),
    "twins": (CLERK.public, STRANGER.public),
}


def assertions(house: House, keys: dict[str, tuple[PublicKey, ...]] | None = None) -> Assertions:
    known = KEYS if keys is None else keys
    return Assertions(
        lambda name: known.get(name, ()), house.single_use, public_url=URL, skew_s=SKEW
    )


def claims(house: House, **changes: object) -> dict[str, Any]:
    now = house.now_s
    stated = {
        "iss": "clerk",
        "sub": "clerk",
        "aud": URL,
        "iat": now,
        "exp": now + 60,
        "jti": house.recorder.new_id(),
    }
    return stated | changes


def signed(house: House, key: Key = CLERK, header: object = None, **changes: object) -> str:
    head = {"alg": key.algorithm, "typ": "JWT"} if header is None else header
    return key.jwt(head, claims(house, **changes))


async def check(house: House, text: str, of: Assertions | None = None) -> str:
    return await (of or assertions(house)).check(text, now_s=house.now_s, source=SOURCE)


async def refused(house: House, text: str) -> str:
    with pytest.raises(OAuthError) as found:
        await check(house, text)
    assert found.value.reason == "invalid_client"
    assert not text or text not in str(found.value)
    return str(found.value)


# -- what is good


@pytest.mark.parametrize(("client", "key"), [("clerk", CLERK), ("scout", SCOUT)])
@pytest.mark.parametrize("audience", [URL, f"{URL}/oauth/token", [URL]])
async def test_a_client_proves_itself_with_its_key(
    house: House, client: str, key: Key, audience: object
) -> None:
    assert await check(house, signed(house, key, iss=client, sub=client, aud=audience)) == client
    (entry,) = house.bodies("assertion.used")
    assert (entry["by"], entry["source"]) == (client, SOURCE)


async def test_nothing_of_an_assertion_stands_in_the_log(house: House) -> None:
    stated = claims(house)
    await check(house, CLERK.jwt({"alg": "EdDSA"}, stated))
    assert stated["jti"] not in str(house.bodies("assertion.used"))


@pytest.mark.parametrize("key", [CLERK, SCOUT])
async def test_of_two_keys_the_one_is_taken_that_the_algorithm_or_the_id_says(
    house: House, key: Key
) -> None:
    assert await check(house, signed(house, key, iss="both", sub="both")) == "both"
    header = {"alg": key.algorithm, "kid": key.public.thumbprint}
    assert await check(house, signed(house, key, header, iss="both", sub="both")) == "both"


async def test_of_two_keys_for_one_algorithm_the_header_says_which(house: House) -> None:
    text = signed(house, STRANGER, iss="twins", sub="twins")
    assert await refused(house, text) == "client authentication failed"
    header = {"alg": "EdDSA", "kid": STRANGER.public.thumbprint}
    assert await check(house, signed(house, STRANGER, header, iss="twins", sub="twins")) == "twins"


async def test_a_claim_that_decides_nothing_may_stand_there(house: House) -> None:
    assert await check(house, signed(house, client_id="clerk", nbf=house.now_s)) == "clerk"


# -- what was used, and what is too old


async def test_an_assertion_is_good_once(house: House) -> None:
    text = signed(house)
    assert await check(house, text) == "clerk"
    assert "used before" in await refused(house, text)


async def test_an_assertion_that_was_used_stays_used_across_a_restart(house: House) -> None:
    text = signed(house)
    await check(house, text)
    for saves in (False, True):
        if saves:
            await house.keeper.save()
        again = house.reopen()
        try:
            assert "used before" in await refused(again, text)
        finally:
            again.close()
        house = again


async def test_of_many_at_the_same_time_one_is_good(house: House) -> None:
    text = signed(house)
    answers = await asyncio.gather(*(check(house, text) for _ in range(20)), return_exceptions=True)
    assert answers.count("clerk") == 1
    assert len(house.bodies("assertion.used")) == 1


async def test_the_same_id_of_another_client_is_another_assertion(house: House) -> None:
    assert await check(house, signed(house, jti="one-and-the-same")) == "clerk"
    text = signed(house, SCOUT, iss="scout", sub="scout", jti="one-and-the-same")
    assert await check(house, text) == "scout"


async def test_what_cannot_be_recorded_proves_nothing_and_can_be_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise AuditUnavailable("no space")

    text = signed(house)
    with monkeypatch.context() as patch:
        patch.setattr(house.recorder, "write", full)
        with pytest.raises(AuditUnavailable):
            await check(house, text)
    assert await check(house, text) == "clerk"


async def test_a_used_one_is_forgotten_when_its_age_refuses_it(house: House) -> None:
    await check(house, signed(house))
    house.clock.pass_s(60 + SKEW)
    house.single_use.forget(house.now_s)
    assert len(house.single_use._used) == 1
    house.clock.pass_s(1)
    house.single_use.forget(house.now_s)
    assert (house.single_use._used, house.single_use._owned) == ({}, {})


async def test_nobody_fills_the_room_of_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.identity.single_use.MAX_PER_OWNER", 3)
    assert MAX_PER_OWNER > 3
    of = assertions(house)
    answers = await asyncio.gather(
        *(check(house, signed(house), of) for _ in range(5)), return_exceptions=True
    )
    assert answers.count("clerk") == 3
    slowed = [answer for answer in answers if isinstance(answer, OAuthError)]
    assert [(each.reason, each.retry_after) for each in slowed] == [("slow_down", 60)] * 2
    assert await check(house, signed(house, SCOUT, iss="scout", sub="scout"), of) == "scout"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"exp": -SKEW}, "expired", id="expired"),
        pytest.param({"exp": MAX_LIFE_S + SKEW + 1, "iat": SKEW}, "300 seconds", id="ends-late"),
        pytest.param({"exp": 250, "iat": -60}, "300 seconds", id="long-lived"),
        pytest.param({"exp": 250, "iat": None, "nbf": -60}, "300 seconds", id="long-since-nbf"),
        pytest.param({"exp": 10**11}, "300 seconds", id="for-ever"),
        pytest.param({"iat": SKEW + 1}, "not good yet", id="from-the-future"),
        pytest.param({"nbf": SKEW + 1}, "not good yet", id="not-before"),
    ],
)
async def test_an_assertion_outside_its_time_is_refused(
    house: House, changes: dict[str, int | None], complaint: str
) -> None:
    now = house.now_s
    moved = {name: None if by is None else now + by for name, by in changes.items()}
    text = CLERK.jwt({"alg": "EdDSA"}, without_none(claims(house) | moved))
    assert complaint in await refused(house, text)
    assert house.bodies("assertion.used") == []


async def test_an_assertion_is_good_as_long_as_clocks_may_be_off(house: House) -> None:
    now = house.now_s
    assert await check(house, signed(house, exp=now - SKEW + 1, iat=now - 60)) == "clerk"
    ahead = now + SKEW
    assert await check(house, signed(house, iat=ahead, exp=ahead + MAX_LIFE_S)) == "clerk"


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


# -- forgeries

Make = Callable[[House], str]

FORGED: dict[str, Make] = {
    "nothing": lambda _: "",
    "two-parts": lambda house: signed(house).rpartition(".")[0],
    "four-parts": lambda house: signed(house) + ".e30",
    "no-signature": lambda house: signed(house).rpartition(".")[0] + ".",
    "padded": lambda house: signed(house) + "=",
    "newline": lambda house: signed(house) + "\n",
    "other-spelling": lambda house: _loose_end(signed(house)),
    "not-ascii": lambda house: signed(house) + "é",
    "oversized": lambda house: signed(house, note="x" * 9000),
    "none": lambda house: _unsigned(house, "none"),
    "None": lambda house: _unsigned(house, "None"),
    "none-with-good-signature": lambda house: signed(house, header={"alg": "none"}),
    "no-algorithm": lambda house: signed(house, header={"typ": "JWT"}),
    "wrong-algorithm": lambda house: signed(house, header={"alg": "ES256"}),
    "lower-case": lambda house: signed(house, header={"alg": "eddsa"}),
    "list-of-algorithms": lambda house: signed(house, header={"alg": ["EdDSA"]}),
    "rsa": lambda house: signed(house, header={"alg": "RS256"}),
    "hmac-with-the-pem": lambda house: with_hmac(
        {"alg": "HS256"}, claims(house), CLERK.public.key.public_bytes(Encoding.PEM, SPKI)
    ),
    "hmac-with-the-jwk": lambda house: with_hmac(
        {"alg": "HS256"}, claims(house), json.dumps(CLERK.jwk).encode()
    ),
    "hmac-with-nothing": lambda house: with_hmac({"alg": "HS256"}, claims(house), b""),
    "hmac-said-to-be-eddsa": lambda house: with_hmac(
        {"alg": "EdDSA"}, claims(house), json.dumps(CLERK.jwk).encode()
    ),
    "strangers-key": lambda house: signed(house, STRANGER),
    "another-clients-key": lambda house: signed(house, SCOUT),
    "its-own-key-inside": lambda house: signed(
        house, STRANGER, {"alg": "EdDSA", "jwk": STRANGER.jwk}
    ),
    "key-from-an-address": lambda house: signed(
        house, STRANGER, {"alg": "EdDSA", "jku": "http://127.0.0.1:9/keys"}
    ),
    "certificate": lambda house: signed(house, STRANGER, {"alg": "EdDSA", "x5c": ["AA"]}),
    "critical": lambda house: signed(house, header={"alg": "EdDSA", "crit": ["exp"], "exp": 1}),
    "unencoded": lambda house: signed(
        house, header={"alg": "EdDSA", "b64": False, "crit": ["b64"]}
    ),
    "compressed": lambda house: signed(house, header={"alg": "EdDSA", "zip": "DEF"}),
    "nested": lambda house: signed(house, header={"alg": "EdDSA", "cty": "JWT"}),
    "access-token-type": lambda house: signed(house, header={"alg": "EdDSA", "typ": "at+jwt"}),
    "proof-type": lambda house: signed(house, header={"alg": "EdDSA", "typ": "dpop+jwt"}),
    "type-is-a-number": lambda house: signed(house, header={"alg": "EdDSA", "typ": 1}),
    "unknown-kid": lambda house: signed(house, header={"alg": "EdDSA", "kid": "k1"}),
    "kid-path": lambda house: signed(house, header={"alg": "EdDSA", "kid": "../../dev/null"}),
    "kid-sql": lambda house: signed(house, header={"alg": "EdDSA", "kid": "' OR 1=1 --"}),
    "kid-null": lambda house: signed(house, header={"alg": "EdDSA", "kid": None}),
    "kid-of-another-client": lambda house: signed(
        house, header={"alg": "EdDSA", "kid": SCOUT.public.thumbprint}
    ),
    "kid-of-another-kind": lambda house: signed(
        house,
        STRANGER,
        {"alg": "EdDSA", "kid": SCOUT.public.thumbprint},
        iss="both",
        sub="both",
    ),
    "duplicate-claim": lambda house: CLERK.jwt(
        {"alg": "EdDSA"}, compact(claims(house))[:-1] + b',"sub":"scout"}'
    ),
    "duplicate-header": lambda house: CLERK.jwt(b'{"alg":"none","alg":"EdDSA"}', claims(house)),
    "claims-are-a-list": lambda _: CLERK.jwt({"alg": "EdDSA"}, [1]),
    "trailing-data": lambda house: CLERK.jwt({"alg": "EdDSA"}, compact(claims(house)) + b"{}"),
    "other-subject": lambda house: signed(house, sub="scout"),
    "other-issuer": lambda house: signed(house, iss="scout"),
    "for-another-client": lambda house: signed(house, iss="scout", sub="scout"),
    "unknown-client": lambda house: signed(house, STRANGER, iss="nobody", sub="nobody"),
    "prefixed-client": lambda house: signed(house, iss="agent:clerk", sub="agent:clerk"),
    "no-subject": lambda house: CLERK.jwt({"alg": "EdDSA"}, without(claims(house), "sub")),
    "subject-is-a-list": lambda house: signed(house, iss=["clerk"], sub=["clerk"]),
    "no-audience": lambda house: CLERK.jwt({"alg": "EdDSA"}, without(claims(house), "aud")),
    "other-audience": lambda house: signed(house, aud="https://other.example"),
    "two-audiences": lambda house: signed(house, aud=[URL, "https://other.example"]),
    "no-audiences": lambda house: signed(house, aud=[]),
    "audience-below": lambda house: signed(house, aud=f"{URL}/mcp"),
    "audience-prefix": lambda house: signed(house, aud=f"{URL}.evil.example"),
    "no-end": lambda house: CLERK.jwt({"alg": "EdDSA"}, without(claims(house), "exp")),
    "end-is-text": lambda house: signed(house, exp=str(house.now_s + 60)),
    "end-is-true": lambda house: signed(house, exp=True),
    "end-has-a-fraction": lambda house: signed(house, exp=house.now_s + 60.5),
    "end-is-negative": lambda house: signed(house, exp=-1),
    "beginning-is-text": lambda house: signed(house, iat="now"),
    "no-id": lambda house: CLERK.jwt({"alg": "EdDSA"}, without(claims(house), "jti")),
    "short-id": lambda house: signed(house, jti="1"),
    "id-is-a-number": lambda house: signed(house, jti=12345678),
    "endless-id": lambda house: signed(house, jti="x" * 256),
    "id-that-does-not-show": lambda house: signed(house, jti="abcdefgh\u200b"),
}


def _unsigned(house: House, algorithm: str) -> str:
    return f"{base64(compact({'alg': algorithm}))}.{base64(compact(claims(house)))}."


def _loose_end(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) | 1]


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_assertion_proves_nothing_and_uses_nothing_up(
    house: House, make: Make
) -> None:
    await refused(house, make(house))
    assert house.bodies("assertion.used") == []


async def test_an_unknown_client_and_a_wrong_key_are_answered_alike(house: House) -> None:
    unknown = await refused(house, signed(house, STRANGER, iss="nobody", sub="nobody"))
    assert unknown == await refused(house, signed(house, STRANGER))
