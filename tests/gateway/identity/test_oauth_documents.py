"""What is published for clients, and whether the official one finds its way by it."""

from typing import Literal

import httpx
import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from mcp.client.auth import OAuthTokenError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from gateway.identity.errors import AuthError
from tests.gateway.identity.endpoints import EXCHANGE, SECRET, URL, World, asserted

# -- documents


@pytest.mark.parametrize("path", ["", "/mcp", "/mcp/git", "/mcp/no-such-server", "/v1"])
async def test_each_resource_names_itself(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/.well-known/oauth-protected-resource{path}")
    assert answer.json() == {
        "resource": URL + path,
        "authorization_servers": [URL],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["EdDSA", "ES256"],
        "resource_name": "Passavant",
    }


@pytest.mark.parametrize(
    "path",
    ["/", "/mcp/", "/mcp/Git", "/mcp/git/more", "/mcp/..%2fv1", "/api", "/v1/tools", "/mcp2"],
)
async def test_what_is_no_resource_has_no_document(
    world: World, http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(f"/.well-known/oauth-protected-resource{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "request.path")


async def test_the_server_describes_only_what_it_does(http: httpx.AsyncClient) -> None:
    metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == URL
    assert metadata["grant_types_supported"] == ["client_credentials", EXCHANGE]
    assert metadata["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ]
    assert metadata["response_types_supported"] == []
    assert "scopes_supported" not in metadata
    for name in ("token", "revocation", "introspection"):
        endpoint = metadata[f"{name}_endpoint"]
        assert (await http.post(endpoint, data={"token": "x"})).status_code == 401
    assert (await http.get(metadata["jwks_uri"])).status_code == 200


async def test_the_key_set_is_published(world: World, http: httpx.AsyncClient) -> None:
    assert (await http.get("/.well-known/jwks.json")).json() == world.keys.jwks()


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
    ],
)
async def test_a_document_is_not_read_under_another_name(
    world: World, http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path, headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "request.host")
    assert (await http.get(path, headers={"origin": "https://evil.example"})).status_code == 403
    assert len(world.refusals) == 2


# -- the official client


async def test_the_official_client_finds_its_way_in_with_a_key(world: World) -> None:
    async def sign(audience: str) -> str:
        return asserted(world, aud=audience)["client_assertion"]

    provider = PrivateKeyJWTOAuthProvider(
        f"{URL}/mcp/git", NothingStored(), "keeper", sign, issuer=URL
    )
    transport = httpx2.ASGITransport(governed(world))
    async with httpx2.AsyncClient(transport=transport, auth=provider) as client:
        answer = await client.post(f"{URL}/mcp/git")
    assert (answer.status_code, answer.text) == (200, "keeper")


Method = Literal["client_secret_basic", "client_secret_post"]


class NothingStored:
    """A token storage that forgets."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        pass

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        pass


def governed(world: World) -> FastAPI:
    """The endpoints beside an MCP path that demands a token as the faces do."""
    app = world.app()

    @app.post("/mcp/git")
    def mcp(request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            return Response(world.tokens.check(token.encode(), world.now).agent)
        except AuthError:
            where = f"{URL}/.well-known/oauth-protected-resource/mcp/git"
            return Response("", 401, {"www-authenticate": f'Bearer resource_metadata="{where}"'})

    return app


async def reach(world: World, secret: str, how: Method) -> httpx2.Response:
    provider = ClientCredentialsOAuthProvider(
        f"{URL}/mcp/git", NothingStored(), "clerk", secret, how, issuer=URL
    )
    transport = httpx2.ASGITransport(governed(world))
    async with httpx2.AsyncClient(transport=transport, auth=provider) as client:
        return await client.post(f"{URL}/mcp/git")


@pytest.mark.parametrize("how", ["client_secret_basic", "client_secret_post"])
async def test_the_official_client_finds_its_way_in(world: World, how: Method) -> None:
    answer = await reach(world, SECRET, how)
    assert (answer.status_code, answer.text) == (200, "clerk")


async def test_the_official_client_is_told_when_its_secret_is_wrong(world: World) -> None:
    with pytest.raises(OAuthTokenError):
        await reach(world, "x" * 40, "client_secret_basic")
