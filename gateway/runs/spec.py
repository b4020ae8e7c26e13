"""Where runs are kept and who carries them, as a deployment states it."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.links.credentials import Reference

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Count = Annotated[int, Field(ge=1, le=10_000)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PoolSpec(_Model):
    """Runs that workers carry, and not the gateway itself.

    workers      the agents as which workers come; they need no right of their own
    at_once      how many runs one worker carries at the same time, those that wait for people too
    per_starter  how many of these one starter may have: others are not kept waiting by them
    """

    workers: Annotated[list[Name], Field(min_length=1)]
    at_once: Count = 100
    per_starter: Count = 25

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.per_starter > self.at_once:
            raise ValueError("per_starter is more than at_once")
        return self


class RunsSpec(_Model):
    """The runs of one gateway.

    database  reference to the URL of a Postgres (`postgresql://...`) or of a SQLite file; None: a
              file in the home
    pools     by the name that flows have in `pool`
    """

    database: Reference | None = None
    pools: dict[Name, PoolSpec] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _reached_by_workers(self) -> Self:
        if self.pools and self.database is None:
            raise ValueError("workers need a database that they reach too: state `database`")
        return self
