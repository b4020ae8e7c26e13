"""`/api/keys`: which keys this gateway signs with; public halves and ids, never a private one."""

from typing import Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict

from audit.canonical import Json
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of, peer

router = Routes()


class Wanted(BaseModel):
    """Which key is to be replaced; that of the log never is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    use: Literal["tokens"]


@router.get("")
async def list_keys(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """The key of the log, then those of access tokens, newest first: that one signs."""
    log: dict[str, Json] = {
        "use": "log",
        "id": services.vkey.split("+")[1],
        "made": None,
        "state": "signs",
        "public": services.vkey,
    }
    keys: list[dict[str, Json]] = [
        {
            "use": "tokens",
            "id": key.id,
            "made": key.made,
            "state": "signs" if key is services.keys.active else "verifies",
            "public": None,
        }
        for key in services.keys.all()
    ]
    return [log, *keys]


@router.post("/rotate")
async def rotate(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """Sign tokens with a new key from now on; those that are out stay good until they end."""
    await body_of(http, Wanted)
    now_s = services.recorder.now() // 1_000_000
    by = f"operator:{operator.name}"
    key = await services.rotation.rotate(now_s, by=by, source=peer(http))
    return {"use": "tokens", "id": key.id, "state": "signs"}
