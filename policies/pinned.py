"""Pinned: the tools of a policy held against the catalogue, which knows what each of them takes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from policies import own_tools
from policies.document import PolicyDocument
from policies.finding import Finding, nearest
from policies.register import Tool
from policies.shape import Shape
from policies.source import Path


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """What the catalogue has pinned of one tool: its name in policies, and what it takes."""

    name: str
    pin: str
    input_schema: Mapping[str, object] | None


def check_tools(
    documents: Sequence[PolicyDocument],
    catalogue: Mapping[str, ToolSchema],
    args: Callable[[str], Shape],
) -> Iterator[Finding]:
    """What policies say of tools and the catalogue does not.

    args  what a tool takes, by its name in policies
    """
    # Whom flows ask differs from deployment to deployment; their files are not ours to read.
    servers = {_server(name) for name in catalogue} - {"approvals"}
    for document in documents:
        for name, tool in document.policy.tools.items():
            path: Path = ("tools", name)
            if name in catalogue:
                yield from _misnamed(document, path, tool, args(name))
            elif not _is_own(name, servers):
                yield _unpinned(document, path, name, catalogue, servers)
            if tool.undo is not None and tool.undo.tool in catalogue:
                taken = args(tool.undo.tool)
                yield from _unknown(document, path, tool.undo.tool, tool.undo.args, taken)


def _misnamed(document: PolicyDocument, path: Path, tool: Tool, args: Shape) -> Iterator[Finding]:
    """Arguments that the policy speaks of and the pinned schema does not have."""
    undo = {} if tool.undo is None else tool.undo.args
    values = [*(tool.cost or {}).values(), *undo.values()]
    paths = [str(value).split(".") for value in values]
    named = [*tool.target, *(at[1] for at in paths if at[0] == "args")]
    return _unknown(document, path, str(path[1]), named, args)


def _unknown(
    document: PolicyDocument, path: Path, tool: str, named: Iterable[str], args: Shape
) -> Iterator[Finding]:
    """Arguments that a tool does not have."""
    for name in named:
        if name not in args.members and not args.is_open:
            yield Finding(
                "policy.unknown-argument",
                f"the tool {tool!r} has no argument {name!r}",
                document.source.at(*path),
                nearest(name, args.members),
            )


def _is_own(name: str, servers: set[str]) -> bool:
    """Whether it can be a tool of the gateway's own, which no lock holds; a running gateway's
    catalogue has those of its flows and agents too, and then knows better.
    """
    server = _server(name)
    return name in own_tools.RISKS or (server in own_tools.SERVERS and server not in servers)


def _unpinned(
    document: PolicyDocument, path: Path, name: str, catalogue: Iterable[str], servers: set[str]
) -> Finding:
    """A tool that is not in the catalogue: misspelt, or of a server that was never looked at."""
    is_known = _server(name) in servers
    return Finding(
        "policy.unknown-tool" if is_known else "policy.unpinned-tool",
        f"the catalogue has no tool {name!r}: calls of it are refused",
        document.source.at_key(*path),
        nearest(name, catalogue),
        "error" if is_known else "warning",
    )


def _server(tool: str) -> str:
    return tool.partition(".")[0]
