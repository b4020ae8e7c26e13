"""`/api/consents`: which applications people let act for them."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from audit.canonical import Json
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of, peer
from gateway.operator.errors import OperatorRefused

router = Routes()


class Named(BaseModel):
    """One consent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    consent: str


@router.get("")
async def list_consents(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Every consent that stands."""
    return [
        {**asdict(consent), "consent": consent_id}
        for consent, consent_id in services.state.consents.all()
    ]


@router.post("/withdraw")
async def withdraw(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """End a consent, and with it every session that rests on it."""
    named = await body_of(http, Named)
    by = f"operator:{operator.name}"
    if not await services.authorizing.withdraw(named.consent, by=by, source=peer(http)):
        raise OperatorRefused("operator.unknown", "there is no such consent")
    return {"withdrawn": True}
