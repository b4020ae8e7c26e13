"""Flow files: strict YAML in, checked flows out, or every reason why not."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from orchestration.conditions import check
from orchestration.errors import FlowInvalid
from orchestration.flow import Flow, nodes
from orchestration.parts import Part
from orchestration.spec import Contract, Fan, Router
from policies.errors import PolicyInvalid
from policies.source import MAX_BYTES, Source

MOST_NODES = 500
"""Nodes in one flow; more is not a flow that anybody reviews."""


def load_flows(paths: Iterable[str | Path]) -> tuple[Flow, ...]:
    """Read flows, one from each file. Raises FlowInvalid with all that is wrong in one of them."""
    return tuple(_load(Path(path)) for path in paths)


def read_flow(file: str, raw: bytes) -> Flow:
    """Read a flow from the bytes of a file. Raises FlowInvalid with all that is wrong in it."""
    try:
        source = Source.read(file, raw)
    except PolicyInvalid as error:
        raise FlowInvalid("\n".join(map(str, error.findings))) from error
    try:
        flow = Flow.model_validate(source.value)
    except ValidationError as error:
        raise FlowInvalid("\n".join(_complaints(source, error))) from None
    if wrong := list(_wrong(flow)):
        raise FlowInvalid("\n".join(f"{file}: {each}" for each in wrong))
    return flow


def _load(path: Path) -> Flow:
    try:
        with path.open("rb") as file:
            return read_flow(str(path), file.read(MAX_BYTES + 1))
    except OSError as error:
        raise FlowInvalid(f"{path}: {error.strerror}") from error


def _complaints(source: Source, error: ValidationError) -> Iterator[str]:
    for found in error.errors(include_input=False, include_url=False):
        path = _place(source, found["loc"])
        shown = ".".join(map(str, path))
        yield f"{source.at(*path)}: {shown or 'the file'}: {found['msg']}"


def _place(source: Source, place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """A place of the models as a place of the file, which leaves out what only the models have."""
    path: list[int | str] = []
    for part in place:
        if (*path, part) in source.places:
            path.append(part)
    return tuple(path)


def _wrong(flow: Flow) -> Iterator[str]:
    """What no model can tell by itself."""
    every = list(nodes(flow.flow))
    if len(every) > MOST_NODES:
        yield f"{len(every)} nodes, and a flow has at most {MOST_NODES}"
    for node in every:
        for member, condition in _conditions(node):
            if (wrong := check(condition)) is not None:
                yield f"{member}: {condition}: {wrong}"


def _conditions(node: Part) -> Iterator[tuple[str, str]]:
    """Each with the member that it stands in."""
    if isinstance(node, Router):
        yield from (("when", route.when) for route in node.conditions)
    elif isinstance(node, Fan | Contract) and node.accept is not None:
        yield "accept", node.accept
