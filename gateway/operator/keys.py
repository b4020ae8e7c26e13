"""`/api/keys`: which keys this gateway signs with; public halves and ids, never a private one."""

from audit.canonical import Json
from gateway.operator.api import Here, Routes, Viewer

router = Routes()


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
