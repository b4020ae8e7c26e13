"""Where runs are kept and who carries them, as a deployment states it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.links.credentials import Reference

PoolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class RunsSpec(BaseModel):
    """The runs of one gateway.

    database  reference to the URL of a Postgres (`postgresql://...`) or of a SQLite file; None: a
              file in the home
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    database: Reference | None = None
