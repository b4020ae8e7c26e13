"""One client scenario: a gateway in front of the suite's server, until it has got its token.

Run by the suite with the server's address. What an operator would do by hand (look up the issuer,
register the gateway there, write the settings) is done here; what follows is the gateway's.
"""

import asyncio
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.links.connections import ConnectionFiles
from tests.harness.browser import browser
from tests.harness.gateway import Running, running
from tests.harness.provider import provider

WAIT_S = 20.0


async def main(url: str) -> None:
    """Have a gateway reach the server at `url` as the scenario asks."""
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    async with httpx.AsyncClient(trust_env=False) as http:
        issuer = await _issuer(http, url)
        metadata = await _metadata(http, issuer)
        with tempfile.TemporaryDirectory() as folder:
            known = await _known(http, issuer, context, Path(folder))
            credential = {"issuer": issuer, "allow_private": True, **known}
            if "authorization_code" in metadata.get("grant_types_supported", []):
                await _for_a_person(Path(folder) / "gateway", url, credential)
            else:
                await _for_itself(Path(folder) / "gateway", url, credential)


async def _issuer(http: httpx.AsyncClient, url: str) -> str:
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource"
    for place in (f"{where}{parts.path}", where):
        found = await http.get(place)
        if found.is_success:
            return str(found.json()["authorization_servers"][0])
    raise SystemExit("the suite's server names no issuer")


async def _metadata(http: httpx.AsyncClient, issuer: str) -> dict[str, Any]:
    parts = urlsplit(issuer)
    place = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"
    found: dict[str, Any] = (await http.get(place)).json()
    return found


async def _known(
    http: httpx.AsyncClient, issuer: str, context: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """How the gateway is known to the issuer; registered there where the scenario does not say."""
    metadata = await _metadata(http, issuer)
    if metadata.get("issuer") != issuer:  # nobody registers there
        context = {"client_id": "gateway"}
    if "client_id" not in context:
        asked = {
            "redirect_uris": ["http://127.0.0.1/oauth/upstream/server/callback"],
            "application_type": "web",
            "token_endpoint_auth_method": metadata["token_endpoint_auth_methods_supported"][0],
        }
        context = (await http.post(metadata["registration_endpoint"], json=asked)).json()
    known: dict[str, Any] = {"client": context["client_id"]}
    secrets = {"secret": "client_secret", "private_key_jwt": "private_key_pem"}
    for setting, member in secrets.items():
        if member in context and metadata["token_endpoint_auth_methods_supported"] != ["none"]:
            path = folder / setting
            path.write_text(context[member])
            known[setting] = f"file:{path}"
    return known


async def _for_itself(folder: Path, url: str, credential: dict[str, Any]) -> None:
    """Client credentials: the tools are listed with a token of the gateway's own."""
    servers = {"server": {"url": url, "credential": {"oauth_client": credential}}}
    async with running(folder, servers=servers, settings=_settings(), wait_for=()) as gateway:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                await gateway.links_up(["server"])


async def _for_a_person(folder: Path, url: str, credential: dict[str, Any]) -> None:
    """Authorization code: a person connects an agent with their account there."""
    listing = folder.with_suffix(".listing")  # a token to list tools with, which nobody has
    credential = {**credential, "listing": f"file:{listing}"}
    servers = {"server": {"url": url, "credential": {"user_oauth": credential}}}
    async with provider() as corp, browser() as person:
        corp.client = "passavant"
        users = {"corp": {"oidc": {"issuer": corp.url, "audience": "passavant"}}}
        settings = _settings(users=users)
        async with running(folder, servers=servers, settings=settings, wait_for=()) as gateway:
            page = await person.open(f"{gateway.url}/oauth/upstream/server/start?agent=clerk-1")
            if "May the agent" in page.text:
                page = await person.agree(page)
            if "can now use" not in page.text:
                raise SystemExit("the gateway connected nobody")
            await asyncio.to_thread(listing.write_text, await _token(gateway))
            await gateway.links_up(["server"])


async def _token(gateway: Running) -> str:
    """What the person brought, which the suite's server then sees in use."""
    services = gateway.gateway.services
    [(_, connection)] = services.state.connections.all()
    files = ConnectionFiles(services.home.connections, services.home.connection_key())
    tokens = await files.read(connection)
    assert tokens is not None
    assert tokens.access is not None
    return tokens.access


def _settings(**identity: Any) -> dict[str, Any]:  # noqa: ANN401 - members of the settings
    return {"identity": {"tokens": {"skew": "0s"}, **identity}}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
