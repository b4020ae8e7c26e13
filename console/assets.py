"""Assets: the style and scripts of the pages, each under an address that holds its hash.

What others wrote is kept as it was published, byte for byte; `static/vendored.json` says where it
is from and what it must hash to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Response

from gateway.operator.errors import OperatorRefused

SCRIPTS = ("htmx.min.js", "hx-sse.min.js", "hx-csp.min.js", "console.js")
"""Of every page, in the order in which it loads them."""

MORE = ("proof.js", "signing.js")
"""Scripts of ours for single pages, which name them."""

STYLE = "style.css"
_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_KEEP = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; `digest` is the first half of its SHA-256, hex."""

    name: str
    content: bytes
    digest: str

    @property
    def path(self) -> str:
        """Where a page finds it."""
        return f"/static/{self.digest}/{self.name}"


@cache
def assets() -> Mapping[str, Asset]:
    """Every asset, by name."""
    folder = files("console") / "static"
    found = ((name, (folder / name).read_bytes()) for name in (*SCRIPTS, *MORE, STYLE))
    return {name: Asset(name, raw, sha256(raw).hexdigest()[:32]) for name, raw in found}


@router.get("/static/{digest}/{name}")
async def asset(digest: str, name: str) -> Response:
    """One asset, for ever. Says nothing about this deployment, so anybody may have it."""
    found = assets().get(name)
    if found is None or found.digest != digest:
        raise OperatorRefused("operator.unknown", "there is nothing here")
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(found.content, media_type=kind, headers={"cache-control": _KEEP})


@router.get("/favicon.ico")
async def icon() -> Response:
    """Nothing: browsers ask by themselves, and would report what is not there."""
    return Response(status_code=204, headers={"cache-control": _KEEP})
