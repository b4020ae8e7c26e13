"""Granting: from a call of the past to the rule that would let calls like it pass."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from audit.canonical import Json
from audit.entry import Entry
from gateway.operator import replaying
from gateway.operator.credentials import Operator
from gateway.operator.services import Services
from policies.grant import Grant, Wanted, grant

MOST_DAYS = 90


class Reach(BaseModel):
    """How far a grant is to reach; see `policies.grant.Wanted`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    up_to: bool = False
    any_user: bool = False
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 7


async def granted(services: Services, operator: Operator, entry: Entry, reach: Reach) -> Grant:
    """The rule, as text; its arguments are opened on record.

    Raises OperatorRefused for an entry without a call, or when its arguments are not kept;
    AuditUnavailable.
    """
    found = await replaying.recorded(services, operator, entry)
    today = datetime.fromtimestamp(services.recorder.now() / 1_000_000, UTC).date()
    wanted = Wanted(reach.up_to, reach.any_user, today + timedelta(days=reach.days))
    server, _, name = found.facts.tool.partition(".")
    tool = services.worlds.current.catalogue.lookup(server, name)
    schema: Mapping[str, Json] = {} if tool is None else (tool.input_schema or {})
    snapshot = services.worlds.current.snapshot
    return grant(snapshot, found.facts, schema, wanted, entry=entry.index)
