from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import AddressRefused, FetchFailed
from gateway.known_secrets import KnownSecrets
from gateway.links.address import Destination
from gateway.links.issuer import Issuer, discover
from tests.gateway.links.conftest import make_means
from tests.harness.authorization_server import IssuerStub, issuer


@pytest.fixture
async def idp() -> AsyncIterator[IssuerStub]:
    async with issuer() as stub:
        yield stub


async def asked(url: str, folder: Path) -> Any:  # noqa: ANN401 - metadata
    return await discover(Issuer(url), make_means(folder, KnownSecrets(), {}).fetcher)


async def test_an_issuer_says_where_its_tokens_are(idp: IssuerStub, tmp_path: Path) -> None:
    metadata = await asked(idp.url, tmp_path)
    assert metadata.token == Destination.parse(f"{idp.url}/token")
    assert metadata.methods is None


async def test_an_issuer_with_a_path_is_looked_for_in_three_places(
    idp: IssuerStub, tmp_path: Path
) -> None:
    url = f"{idp.url}/tenant"
    idp.at = "/tenant/.well-known/openid-configuration"
    idp.metadata["issuer"] = url
    await asked(url, tmp_path)
    assert idp.targets() == [
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/openid-configuration/tenant",
        "/tenant/.well-known/openid-configuration",
    ]


async def test_openid_metadata_will_do(idp: IssuerStub, tmp_path: Path) -> None:
    idp.at = "/.well-known/openid-configuration"
    assert (await asked(idp.url, tmp_path)).token.port == idp.port


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"issuer": "https://other.example"}, id="other"),
        pytest.param({"issuer": "{url}/"}, id="trailing-slash"),
        pytest.param({"issuer": None}, id="none"),
        pytest.param({"issuer": ["{url}"]}, id="list"),
    ],
)
async def test_metadata_of_another_issuer_is_not_believed(
    members: dict[str, Any], idp: IssuerStub, tmp_path: Path
) -> None:
    text = members["issuer"]
    idp.metadata["issuer"] = text.format(url=idp.url) if isinstance(text, str) else text
    with pytest.raises(FetchFailed, match="another issuer"):
        await asked(idp.url, tmp_path)


async def test_an_issuer_without_metadata_is_of_no_use(idp: IssuerStub, tmp_path: Path) -> None:
    idp.at = "/nowhere"
    with pytest.raises(FetchFailed, match="no metadata"):
        await asked(idp.url, tmp_path)


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(None, id="none"),
        pytest.param("/token", id="relative"),
        pytest.param("http://other.example/token", id="not-encrypted"),
        pytest.param("http://127.0.0.1:9/token", id="another-port-of-this-machine"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("https://ana:pw@other.example/token", id="user"),
    ],
)
async def test_an_endpoint_that_is_no_place_for_secrets_is_refused(
    endpoint: str | None, idp: IssuerStub, tmp_path: Path
) -> None:
    idp.metadata["token_endpoint"] = endpoint
    with pytest.raises(AddressRefused):
        await asked(idp.url, tmp_path)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]"]
)
async def test_where_an_issuer_sends_us_may_not_be_private(
    host: str, idp: IssuerStub, tmp_path: Path
) -> None:
    idp.metadata["token_endpoint"] = f"https://{host}:9/token"
    fetcher = make_means(tmp_path, KnownSecrets(), {}).fetcher
    metadata = await discover(Issuer(idp.url), fetcher)
    with pytest.raises(AddressRefused):
        await fetcher.post(metadata.token, {}, {})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("http://id.example", "https", id="not-encrypted"),
        pytest.param("http://10.0.0.1", "https", id="private-and-not-encrypted"),
        pytest.param("https://id.example/?a=b", "query", id="query"),
        pytest.param("ftp://id.example", "expected", id="scheme"),
        pytest.param("id.example", "expected", id="no-scheme"),
        pytest.param("https://id.example/#x", "fragment", id="fragment"),
    ],
)
def test_an_issuer_is_named_plainly_and_encrypted(url: str, why: str) -> None:
    with pytest.raises(AddressRefused, match=why):
        Issuer(url).check()
