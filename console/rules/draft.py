"""`/policies/draft` and `/policies/replay`: what other rules would do, before they are in force."""

from dataclasses import dataclass
from hashlib import sha256

from fastapi import Request, Response

from console import frame
from console.routes import Pages
from console.visitors import Viewer, Visitor, Writer
from gateway.activation import read_stable
from gateway.operator import drafts, replaying
from gateway.operator.api import Here
from gateway.operator.drafts import Difference, Draft
from gateway.operator.errors import OperatorRefused
from gateway.operator.replaying import Told
from gateway.operator.services import Services
from policies.errors import PolicyInvalid
from policies.finding import Finding

router = Pages()


@dataclass(frozen=True, slots=True)
class Looked:
    """A draft that was looked at.

    draft     None: it does not compile
    findings  errors, or what a careful reviewer would ask about
    told      of a replay; None: nobody asked for one
    """

    draft: Draft | None
    findings: tuple[Finding, ...]
    difference: Difference | None
    told: Told | None


@router.get("/policies/draft")
async def draft(services: Here, visitor: Viewer, request: Request, file: str = "") -> Response:
    """A file in force, to be changed in a field of the page and nowhere else."""
    contents = dict(services.worlds.current.contents)
    name = file or next(iter(contents))
    if name not in contents:
        raise OperatorRefused("operator.unknown", "there is no such policy file")
    return shown(services, visitor, request, name, contents[name].decode(), None)


@router.post("/policies/draft")
async def look(services: Here, visitor: Writer, request: Request) -> Response:
    """What a changed text would do. Nothing of it is kept."""
    drafts.check_author(visitor.operator)
    file, text = visitor.field("file"), visitor.field("text")
    is_replay = visitor.field("look") == "replay"
    looked = await looked_at(services, visitor, file, text, with_replay=is_replay)
    return shown(services, visitor, request, file, text, looked)


@router.post("/policies/replay")
async def replay(services: Here, visitor: Viewer, request: Request) -> Response:
    """What the files, as they are now, would have said of the calls of the past."""
    contents = read_stable(services.activation.paths)
    proposed = await drafts.drafted(services, contents)
    told = await replaying.replayed(services, visitor.operator, proposed.snapshot)
    return frame.show(
        request,
        visitor,
        "rules/replay.html",
        here="/policies",
        told=told,
        difference=await drafts.difference(services, proposed),
        digest=proposed.snapshot.digest,
    )


async def looked_at(
    services: Services, visitor: Visitor, file: str, text: str, *, with_replay: bool
) -> Looked:
    """A text in place of one file in force, compiled and compared. Raises AuditUnavailable."""
    try:
        found = await drafts.drafted(services, drafts.replaced(services, file, text))
    except PolicyInvalid as error:
        return Looked(None, tuple(error.findings), None, None)
    told = None
    if with_replay:
        told = await replaying.replayed(services, visitor.operator, found.snapshot)
    difference = await drafts.difference(services, found)
    return Looked(found, found.findings, difference, told)


def shown(
    services: Services,
    visitor: Visitor,
    request: Request,
    file: str,
    text: str,
    looked: Looked | None,
    **more: object,
) -> Response:
    """The page of a draft."""
    refused = looked is not None and looked.draft is None
    return frame.show(
        request,
        visitor,
        "rules/draft.html",
        status=400 if refused else 200,
        here="/policies/draft",
        file=file,
        files=[name for name, _ in services.worlds.current.contents],
        text=text,
        looked=looked,
        is_watched=services.users_by_name,
        sum=sha256(text.encode()).hexdigest(),
        **{"granted": None, "of": None, **more},
    )
