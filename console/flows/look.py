"""A look at flows: the picture of one and what a careful reader would ask, without running it.

Loaded where somebody looks: a gateway without flows does not load what reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from audit.canonical import Json
from console.drawing import svg
from console.flows.picture import picture
from orchestration.errors import FlowInvalid
from orchestration.files import read_flow
from orchestration.flow import Flow
from orchestration.review import Reviewed, review
from policies.finding import Finding
from policies.snapshot import Snapshot

DRAFT = "draft.flow.yaml"
_KNOWN = "in force"


@dataclass(frozen=True, slots=True)
class Look:
    """What can be seen of a flow.

    flow      None: the text is none
    wrong     why not, with line and column
    findings  what it would run into under the policy in force
    """

    flow: Flow | None
    drawn: Markup
    wrong: tuple[str, ...]
    findings: tuple[Finding, ...]


def drafted(text: str, known: Mapping[str, Json], snapshot: Snapshot, now: int) -> Look:
    """A look at a text.

    known  the flows of this gateway, by name
    now    microseconds since 1970
    """
    try:
        flow = read_flow(DRAFT, text.encode("utf-8", "replace"))
    except FlowInvalid as error:
        return Look(None, Markup(""), tuple(str(error).split("\n")), ())
    return _look(flow, known, snapshot, now)


def known(name: str, known: Mapping[str, Json], snapshot: Snapshot, now: int) -> Look:
    """A look at a flow of this gateway."""
    return _look(Flow.model_validate(known[name]), known, snapshot, now)


def _look(flow: Flow, known: Mapping[str, Json], snapshot: Snapshot, now: int) -> Look:
    others = [
        Reviewed(_KNOWN, Flow.model_validate(each))
        for name, each in known.items()
        if name != flow.name
    ]
    every = review([Reviewed(DRAFT, flow), *others], snapshot, now=now)
    findings = tuple(found for found in every if found.at.file == DRAFT)
    return Look(flow, svg(picture(flow.flow), f"The flow {flow.name}"), (), findings)
