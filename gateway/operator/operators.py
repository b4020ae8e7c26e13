"""`/api/operators`: who may operate this gateway, and giving and ending their keys.

An invitation or a removal is an entry before it is a fact; a key is shown once, to whoever asked
for it. The last administrator cannot be removed: nobody could invite another.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit.canonical import Json
from gateway.operator.api import (
    Administrator,
    Here,
    Nothing,
    Routes,
    Viewer,
    body_of,
    peer,
)
from gateway.operator.credentials import KEY_BYTES, Operator, Role
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

router = Routes()


class Invited(BaseModel):
    """Who is to have a key, and what it is good for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    roles: list[Role] = Field(min_length=1)
    groups: list[str] = Field(default_factory=list)
    ttl_s: Annotated[int, Field(gt=0)] | None = None


@router.get("")
async def list_operators(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Everyone who holds a key, by name."""
    return [_row(services, operator) for operator in services.operators.all()]


@router.post("")
async def invite(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """Give somebody a key; one that they had before ends."""
    wanted = await body_of(http, Invited)
    invited = Operator(wanted.name, frozenset(wanted.roles), frozenset(wanted.groups))
    invited.check_names()
    if _is_last_administrator(services, wanted.name) and not invited.may("administrator"):
        raise _last(wanted.name)
    now_s = services.recorder.now() // 1_000_000
    expires = None if wanted.ttl_s is None else now_s + wanted.ttl_s
    entry: dict[str, Json] = {
        "operator": wanted.name,
        "roles": list[Json](sorted(invited.roles)),
        "groups": list[Json](sorted(invited.groups)),
        "expires": expires,
        "by": f"operator:{operator.name}",
        "source": peer(http),
    }
    await services.recorder.write("operator.invited", entry)
    key = services.operators.add(invited, services.random(KEY_BYTES), expires=expires)
    services.ways_in.browsers.end_of(invited.name)  # they may have had other roles
    services.ways_in.codes.take_back(invited.name)
    return {**_row(services, invited), "key": key}


@router.post("/code")
async def give_code(services: Here, operator: Viewer, http: Request) -> dict[str, Json]:
    """Give whoever holds this key a code, which logs them in with a browser once."""
    await body_of(http, Nothing)
    if "authorization" not in http.headers:
        # Else a browser that somebody left open would let them in anew, as if just proven.
        raise OperatorRefused("operator.fresh", "a code is given to whoever shows a key")
    entry: dict[str, Json] = {"operator": operator.name, "source": peer(http)}
    await services.recorder.write("operator.code", entry)
    code = services.ways_in.codes.give(operator.name, services.recorder.now() // 1_000_000)
    return {"code": code, "url": f"{services.settings.operators_url}/login"}


@router.post("/{name}/remove")
async def remove(
    services: Here, operator: Administrator, http: Request, name: str
) -> dict[str, Json]:
    """End somebody's key; it is refused from the next request on."""
    if name not in {each.name for each in services.operators.all()}:
        raise OperatorRefused("operator.unknown", "there is no such operator")
    if _is_last_administrator(services, name):
        raise _last(name)
    by = f"operator:{operator.name}"
    entry: dict[str, Json] = {"operator": name, "by": by, "source": peer(http)}
    await services.recorder.write("operator.removed", entry)
    services.operators.remove(name)
    services.ways_in.browsers.end_of(name)
    services.ways_in.codes.take_back(name)
    return {"removed": name}


def _is_last_administrator(services: Services, name: str) -> bool:
    """Whether nobody but this person could invite others for good."""
    lasting = {
        each.name
        for each in services.operators.all()
        if each.may("administrator") and services.operators.expires(each.name) is None
    }
    return lasting == {name}


def _last(name: str) -> OperatorRefused:
    return OperatorRefused(
        "operator.last", f"{name} is the last administrator whose key does not expire"
    )


def _row(services: Services, operator: Operator) -> dict[str, Json]:
    return {
        "name": operator.name,
        "roles": list[Json](sorted(operator.roles)),
        "groups": list[Json](sorted(operator.groups)),
        "expires": services.operators.expires(operator.name),
    }
