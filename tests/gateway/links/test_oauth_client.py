import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.errors import CredentialMissing, FetchFailed, GatewayError, TokenRefused
from gateway.known_secrets import KnownSecrets
from gateway.links.issuer import Issuer
from gateway.links.oauth_client import OAuthClient, Registration
from tests.gateway.links.conftest import make_means
from tests.gateway.links.http_upstream import Heard, http
from tests.harness.authorization_server import IssuerStub, issuer

SECRET = "s3cret of+gw/&%"
FORM = {"grant_type": "client_credentials", "resource": "https://crm.example/mcp"}
KEYS: dict[str, Callable[[], Any]] = {
    "EdDSA": Ed25519PrivateKey.generate,
    "ES256": lambda: elliptic(SECP256R1()),
    "RS256": lambda: rsa(65537, 2048),
}


@pytest.fixture
async def idp() -> AsyncIterator[IssuerStub]:
    async with issuer() as stub:
        stub.secrets["gw:1"] = SECRET
        yield stub


@pytest.fixture
def known() -> KnownSecrets:
    return KnownSecrets()


@pytest.fixture
def client(idp: IssuerStub, tmp_path: Path, known: KnownSecrets) -> OAuthClient:
    registration = Registration(Issuer(idp.url), "gw:1", secret="env:SECRET")
    return OAuthClient(registration, make_means(tmp_path, known, {"SECRET": SECRET}))


def pem(key: Any, password: bytes | None = None) -> str:  # noqa: ANN401 - of any kind
    sealed = NoEncryption() if password is None else BestAvailableEncryption(password)
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed), "ascii")


def with_key(idp: IssuerStub, folder: Path, text: str, **more: Any) -> OAuthClient:  # noqa: ANN401 - members of a registration
    (folder / "gw.pem").write_text(text)
    registration = Registration(Issuer(idp.url), "gw", key="file:gw.pem", **more)
    return OAuthClient(registration, make_means(folder, KnownSecrets(), {}))


async def test_a_token_is_granted_for_a_secret(client: OAuthClient, idp: IssuerStub) -> None:
    granted = await client.ask(FORM)
    assert (granted.token, granted.lifetime_s) == (idp.valid[0], 300)
    assert idp.forms == [FORM]
    assert "client_secret" not in idp.heard[-1].body.decode()
    assert granted.token not in repr(granted)


async def test_a_secret_goes_into_the_form_where_the_issuer_wants_it_there(
    client: OAuthClient, idp: IssuerStub
) -> None:
    idp.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await client.ask(FORM)
    assert idp.forms == [FORM | {"client_id": "gw:1", "client_secret": SECRET}]
    assert "authorization" not in idp.heard[-1].headers


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_token_is_granted_for_a_signed_assertion(
    algorithm: str, idp: IssuerStub, tmp_path: Path
) -> None:
    key = KEYS[algorithm]()
    idp.keys["gw"] = key.public_key()
    client = with_key(idp, tmp_path, pem(key), key_id="k1")
    assert (await client.ask(FORM)).token == idp.valid[0]
    await client.ask(FORM)
    assertions = [form["client_assertion"] for form in idp.forms]
    assert jwt.get_unverified_header(assertions[0])["alg"] == algorithm
    assert jwt.get_unverified_header(assertions[0])["kid"] == "k1"
    claims = [jwt.decode(each, options={"verify_signature": False}) for each in assertions]
    assert claims[0]["aud"] == idp.url  # the issuer, whatever endpoint it names
    assert claims[0]["exp"] - claims[0]["iat"] <= 60
    assert claims[0]["jti"] != claims[1]["jti"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("not a key at all", id="text"),
        pytest.param(pem(elliptic(SECP384R1())), id="other-curve"),
        pytest.param(pem(rsa(65537, 1024)), id="short-rsa"),  # noqa: S505 - what is refused
        pytest.param(pem(Ed25519PrivateKey.generate(), b"password"), id="encrypted"),
    ],
)
async def test_what_is_no_good_key_signs_nothing(
    text: str, idp: IssuerStub, tmp_path: Path
) -> None:
    with pytest.raises(CredentialMissing, match=r"^file:gw\.pem: "):
        await with_key(idp, tmp_path, text).ask(FORM)
    assert idp.forms == []


async def test_the_token_is_known_as_a_secret_and_so_is_what_it_was_got_with(
    client: OAuthClient, idp: IssuerStub, known: KnownSecrets
) -> None:
    granted = await client.ask(FORM)
    basic = idp.heard[-1].headers["authorization"].removeprefix("Basic ")
    for secret in (granted.token, SECRET, basic):
        assert known.without(f"<{secret}>", "#") == "<#>"


async def test_a_token_of_the_wrong_kind_is_known_all_the_same(
    client: OAuthClient, idp: IssuerStub, known: KnownSecrets
) -> None:
    idp.then = lambda _: idp.grants(token_type="DPoP")
    with pytest.raises(TokenRefused, match="no bearer token"):
        await client.ask(FORM)
    assert idp.valid[0] in known.spellings


async def test_metadata_is_asked_for_once(client: OAuthClient, idp: IssuerStub) -> None:
    await client.ask(FORM)
    await client.ask(FORM)
    assert idp.targets() == ["/.well-known/oauth-authorization-server", "/token", "/token"]


def told(body: object, status: str = "200 OK") -> Callable[[Heard], bytes]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: http(raw, status)


GOOD = {"access_token": "a-good-token", "token_type": "bearer", "expires_in": 60}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        pytest.param(
            told({"error": "invalid_client"}, "401 No"), r"\(invalid_client\)", id="client"
        ),
        pytest.param(told({"error": "planted!"}, "400 No"), "HTTP 400$", id="unknown-error"),
        pytest.param(told(b"planted!", "503 No"), "HTTP 503$", id="no-json"),
        pytest.param(told(GOOD, "201 Created"), "HTTP 201$", id="other-status"),
        pytest.param(told(GOOD, "302 Found"), "HTTP 302$", id="redirect"),
        pytest.param(told(b"planted!"), "not strict JSON", id="garbage"),
        pytest.param(told([GOOD]), "no JSON object", id="list"),
        pytest.param(told(b'{"access_token":"a","access_token":"b"}'), "same key", id="twice"),
        pytest.param(told(b"x" * 300_000), "more than", id="huge"),
        pytest.param(told({}), "without a token", id="empty"),
        pytest.param(told(GOOD | {"access_token": 1}), "without a token", id="number"),
        pytest.param(told({"access_token": "a-good-token"}), "or its type", id="no-type"),
        pytest.param(told(GOOD | {"token_type": "mac"}), "no bearer", id="mac"),
        pytest.param(
            told(GOOD | {"access_token": "planted!\r\nX: 1"}), "no header", id="injection"
        ),
        pytest.param(told(GOOD | {"access_token": "short"}), "no header", id="short"),
        pytest.param(told(GOOD | {"access_token": "x" * 9000}), "no header", id="long"),
        pytest.param(told(GOOD | {"access_token": "pl\u00e4nted-token"}), "no header", id="umlaut"),
        pytest.param(told(GOOD | {"expires_in": 0}), "lifetime", id="ended"),
        pytest.param(told(GOOD | {"expires_in": -1}), "lifetime", id="negative"),
        pytest.param(told(GOOD | {"expires_in": "60"}), "lifetime", id="text"),
        pytest.param(told(GOOD | {"expires_in": True}), "lifetime", id="boolean"),
        pytest.param(told(GOOD | {"expires_in": 1.5}), "lifetime", id="fraction"),
    ],
)
async def test_an_answer_that_is_no_token_is_refused_and_not_quoted(
    answer: Callable[[Heard], bytes], complaint: str, client: OAuthClient, idp: IssuerStub
) -> None:
    idp.then = answer
    with pytest.raises((TokenRefused, FetchFailed), match=complaint) as caught:
        await client.ask(FORM)
    assert "planted" not in str(caught.value)


async def test_an_issuer_that_hangs_up_gives_nothing(client: OAuthClient, idp: IssuerStub) -> None:
    idp.then = lambda _: b""
    with pytest.raises(FetchFailed):
        await client.ask(FORM)


async def test_a_redirect_is_not_followed(client: OAuthClient, idp: IssuerStub) -> None:
    extra = f"Location: {idp.url}/elsewhere\r\n"
    idp.then = lambda _: http(b"", "307 Temporary Redirect", extra=extra)
    with pytest.raises(TokenRefused, match="307"):
        await client.ask(FORM)
    assert "/elsewhere" not in idp.targets()


async def test_a_slow_issuer_is_not_waited_for(client: OAuthClient, idp: IssuerStub) -> None:
    never = asyncio.Event()
    idp.before = never.wait
    client._means.fetcher._timeout_s = 0.05
    with pytest.raises(GatewayError, match="no answer within"):
        await client.ask(FORM)
    never.set()
