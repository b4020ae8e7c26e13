"""`/policies/grants`: from a call of the past to the rule that would let calls like it pass.

Apart from approving, and never an answer to a request: what comes out is a draft of the file.
"""

import re

from fastapi import Request, Response

from console import frame
from console.routes import Pages
from console.rules.draft import looked_at, shown
from console.visitors import Viewer
from gateway.operator import evidence, granting, replaying
from gateway.operator.api import Here, validated
from gateway.operator.errors import OperatorRefused
from gateway.operator.granting import MOST_DAYS, Reach

_DAYS = re.compile(r"[0-9]{1,2}", re.ASCII)

router = Pages()


@router.get("/policies/grants/{index}")
async def ask(services: Here, visitor: Viewer, request: Request, index: int) -> Response:
    """How far it is to reach; nothing is opened yet."""
    body = evidence.find(services, index).body
    if body["kind"] not in replaying.KINDS:
        raise OperatorRefused("operator.unknown", "no call was decided by this entry")
    return frame.show(
        request, visitor, "rules/grant.html", index=index, body=body, most_days=MOST_DAYS
    )


@router.post("/policies/grants/{index}")
async def draft(services: Here, visitor: Viewer, request: Request, index: int) -> Response:
    """The rule, and what a file with it would do. Its arguments are opened on record."""
    days = visitor.field("days")
    given = {
        "up_to": visitor.field("numbers") == "up-to",
        "any_user": visitor.field("user") == "any",
        "days": int(days) if _DAYS.fullmatch(days) else 0,
    }
    entry, reach = evidence.find(services, index), validated(Reach, given)
    grant = await granting.granted(services, visitor.operator, entry, reach)
    kept = dict(services.worlds.current.contents)
    text = grant.amended(kept[grant.file].decode())
    looked = await looked_at(services, visitor, grant.file, text, with_replay=True)
    return shown(services, visitor, request, grant.file, text, looked, granted=grant, of=index)
