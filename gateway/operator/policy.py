"""`/api/policy`: what is in force, what the files propose, why a call is decided as it is."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit.canonical import Json
from gateway.errors import ActivationRefused
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services
from policies.decision import Facts
from policies.errors import PolicyInvalid
from policies.explain import Explanation, explain
from policies.matrix import matrix
from policies.snapshot import Snapshot

router = Routes()


class Named(BaseModel):
    """Which proposal is to come into force."""

    model_config = ConfigDict(extra="forbid", strict=True)

    digest: str


class Supposed(BaseModel):
    """A call that nobody makes; what is left out is as of a session that is just opened.

    The members are those of `policies.decision.Facts`; `now` None is now.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    agent: str
    tool: str
    args: dict[str, object] = Field(default_factory=dict)
    user: str | None = None
    groups: list[str] = Field(default_factory=list)
    chain: list[str] = Field(default_factory=list)
    scopes: list[str] = Field(default_factory=lambda: ["*"])
    labels: list[str] = Field(default_factory=list)
    provenance: dict[str, str] = Field(default_factory=dict)
    origin: dict[str, str] = Field(default_factory=dict)
    secrets: list[str] = Field(default_factory=list)
    purpose: str | None = None
    purpose_tools: list[str] | None = None
    totals: dict[str, int] = Field(default_factory=dict)
    history: dict[str, int | None] = Field(default_factory=dict)
    now: int | None = None
    proven: bool = False


@router.get("")
async def in_force(services: Here, _: Viewer) -> dict[str, Json]:
    """The policy in force and, beside it, what the files amount to now."""
    snapshot = services.worlds.current.snapshot
    answer: dict[str, Json] = {
        "snapshot": snapshot.digest,
        "files": {name: raw.decode() for name, raw in services.worlds.current.contents},
        "warnings": [str(warning) for warning in snapshot.warnings],
    }
    try:
        proposed = services.activation.propose()
    except PolicyInvalid as error:
        return {**answer, "proposed": None, "findings": [str(f) for f in error.findings]}
    except ActivationRefused as error:  # gone, or moving: what is in force is shown all the same
        return {**answer, "proposed": None, "findings": [str(error)]}
    return {**answer, "proposed": proposed.digest, "findings": []}


@router.post("/apply")
async def apply(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """Put what the files amount to into force, if it is still what that digest names."""
    wanted = await body_of(http, Named)
    snapshot = await services.activation.activate(wanted.digest, by=operator.name)
    return {
        "snapshot": snapshot.digest,
        "warnings": [str(warning) for warning in snapshot.warnings],
    }


@router.post("/explain")
async def explain_call(services: Here, _: Viewer, http: Request) -> dict[str, Json]:
    """Decide a supposed call and say which rules were considered. Nothing is recorded or done."""
    explanation = explained(services, await body_of(http, Supposed))
    told: dict[str, Json] = asdict(explanation)
    return {**told, "text": str(explanation)}


def explained(
    services: Services, supposed: Supposed, snapshot: Snapshot | None = None
) -> Explanation:
    """Decide a supposed call by what is in force, or by another snapshot.

    Raises OperatorRefused, ArgumentsInvalid.
    """
    server, _dot, name = supposed.tool.partition(".")
    if not name:
        raise OperatorRefused("operator.body", "a tool is written server.tool")
    world = services.worlds.current
    tool = world.catalogue.lookup(server, name)
    if tool is not None:
        tool.check(supposed.args)  # type: ignore[arg-type]  # read strictly by body_of
    return explain(snapshot or world.snapshot, _facts(services, supposed))


@router.get("/matrix")
async def show_matrix(services: Here, _: Viewer, user: str | None = None) -> list[dict[str, Json]]:
    """Every tool of the policy in force against every agent; `?` marks what needs a condition.

    user  on whose behalf the calls would be made
    """
    lines = matrix(services.worlds.current.snapshot, user=user, now=services.recorder.now())
    return [line.row() for line in lines]


def _facts(services: Services, supposed: Supposed) -> Facts:
    return Facts(
        agent=supposed.agent,
        tool=supposed.tool,
        args=supposed.args,  # type: ignore[arg-type]  # read strictly by body_of
        user=supposed.user,
        user_groups=frozenset(supposed.groups),
        chain=tuple(supposed.chain),
        scopes=tuple(supposed.scopes),
        labels=frozenset(supposed.labels),
        provenance=supposed.provenance,
        origin=supposed.origin,
        secrets=frozenset(supposed.secrets),
        purpose=supposed.purpose,
        purpose_tools=None if supposed.purpose_tools is None else tuple(supposed.purpose_tools),
        totals=supposed.totals,
        history=supposed.history,
        now=services.recorder.now() if supposed.now is None else supposed.now,
        proven=supposed.proven,
    )
