"""Gateways of one fleet: each with a home, a log and listeners, all with one database and keys."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from tests.harness.child import Child, child
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk


def database(folder: Path) -> Path:
    """The database of the fleet below that folder."""
    return folder / "fleet.db"


@asynccontextmanager
async def member(
    folder: Path,
    name: str,
    upstream: Desk,
    *,
    policy: str = DESK,
    settings: Mapping[str, Any] | None = None,
    **more: Any,  # noqa: ANN401 - as `running` takes it
) -> AsyncIterator[Running]:
    """One gateway of the fleet below that folder."""
    shared = {**_shared(folder, name), **(settings or {})}
    servers = {"desk": upstream}
    async with running(folder / name, policy, servers, settings=shared, **more) as gateway:
        yield gateway


@asynccontextmanager
async def process(
    folder: Path, name: str, upstream: Desk, *, policy: str = DESK
) -> AsyncIterator[Child]:
    """One gateway of that fleet in a process of its own."""
    shared = _shared(folder, name)
    async with child(folder / name, policy, {"desk": upstream}, settings=shared) as gateway:
        yield gateway


def _shared(folder: Path, name: str) -> dict[str, Any]:
    return {
        "public_url": "http://gateways.localhost",
        "audit": {"origin": f"{name}.example/log", "segment_bytes": 1 << 20},
        "fleet": {"database": f"sqlite:///{database(folder)}", "token_keys": folder / "keys"},
    }


@contextmanager
def cut(folder: Path, how: str) -> Iterator[None]:
    """Keep every gateway from its fleet's database until the block ends."""
    path = database(folder)
    if how == "locked":
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
    elif how == "locked-for-writing":
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    elif how == "removed":
        away = path.rename(path.with_suffix(".away"))
        yield
        away.rename(path)
    else:
        assert how == "open-to-others"
        path.chmod(0o644)
        yield
        path.chmod(0o600)


CUTS = ("locked", "locked-for-writing", "removed", "open-to-others")
