"""`passavant worker`: carry runs of a gateway's pools, here or on another machine."""

import asyncio
import os
import ssl
import sys
import time
import uuid
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from cli.errors import stop
from cli.output import say
from gateway.deployment import load
from gateway.diagnostics import configure
from gateway.errors import GatewayError
from gateway.known_secrets import KnownSecrets
from gateway.links.credentials import Credentials
from gateway.links.fetch import Fetcher
from gateway.links.issuer import Issuer
from gateway.links.oauth_client import Means, OAuthClient, Registration
from gateway.links.short_lived import ShortLived
from gateway.listeners import until_stopped
from gateway.redaction import Redaction
from gateway.runs.asking import Asking, Identity, client
from gateway.runs.away import Away
from gateway.runs.token import WorkerToken
from gateway.settings import Settings

app = typer.Typer()


@app.command()
def worker(
    config: Annotated[
        Path, typer.Option("--config", exists=True, dir_okay=False, help="passavant.yaml")
    ],
    pools: Annotated[str, typer.Option(help="Pools whose runs to carry: a,b")],
    agent: Annotated[str, typer.Option(help="The agent that this worker is.")],
    key: Annotated[
        str | None, typer.Option(help="Reference to its private key (PEM): file:PATH, env:NAME.")
    ] = None,
    secret: Annotated[str | None, typer.Option(help="Reference to its secret: env:NAME.")] = None,
) -> None:
    """Carry runs in the foreground, until SIGTERM or Ctrl-C; others then go on with them."""
    if (key is None) == (secret is None):
        stop("expected either --key or --secret")
    os.umask(0o077)
    redaction = Redaction()
    configure(level="info", redaction=redaction, stream=sys.stderr)
    wanted = tuple(pools.split(","))
    try:
        settings = load(config)
        if missing := sorted(set(wanted) - settings.runs.pools.keys()):
            stop(f"{config}: there is no pool {', '.join(missing)}")
        registered = Registration(Issuer(settings.public_url), agent, secret=secret, key=key)
        uvloop.run(_work(settings, registered, wanted, redaction.known))
    except GatewayError as error:
        stop(f"{error}\n{error.code}: the worker ends")


async def _work(
    settings: Settings, registered: Registration, pools: tuple[str, ...], known: KnownSecrets
) -> None:
    from orchestration.store import Store  # noqa: PLC0415 - half a second at start
    from orchestration.worker import working  # noqa: PLC0415

    secrets = Credentials(os.environ, Path.cwd(), known)
    assert settings.runs.database is not None, "where there are pools"
    store = Store.parse(secrets.resolve(settings.runs.database), origin=settings.audit.origin)
    token = WorkerToken(OAuthClient(registered, _means(secrets, known)), time.monotonic)
    executor = uuid.uuid4().hex
    async with client() as http:
        identity = Identity(executor, pools, token.get)
        away = Away(Asking(settings.public_url, identity, http), time.time)
        async with working(store, away, executor, pools) as beating:
            say(f"Carrying runs of {', '.join(pools)} for {settings.public_url}")
            stopped = asyncio.create_task(until_stopped())
            await asyncio.wait({stopped, beating}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if beating.done():
                beating.result()


def _means(secrets: Credentials, known: KnownSecrets) -> Means:
    def now_s() -> int:
        return int(time.time())

    return Means(
        credentials=secrets,
        fetcher=Fetcher(lambda: (), ssl.create_default_context()),
        short_lived=ShortLived(known, now_s),
        now_s=now_s,
        new_id=lambda: uuid.uuid4().hex,
    )
