"""What is governed and by what: links to servers, and the policy over what they offer."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from audit.canonical import Json
from gateway.activation import Activation, compile_contents, read_stable
from gateway.approval import tools as approvals
from gateway.approval.tools import approval_tools
from gateway.catalogue.tools import Catalogue
from gateway.errors import ActivationRefused
from gateway.ground import Ground
from gateway.in_force import FLEET
from gateway.links.local import LocalLink
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means
from gateway.memory.tools import memory_link
from gateway.runs import tasks as agents
from gateway.runs.doors import doors
from gateway.runs.tasks import Tasks
from gateway.surroundings import Mode, Surroundings
from gateway.upstream import Kept, Upstream, upstream
from gateway.world import World, Worlds


@asynccontextmanager
async def governed(
    ground: Ground, mode: Mode, around: Surroundings, tasks: list[Tasks]
) -> AsyncIterator[tuple[Upstream, Activation]]:
    """The links, and the policy in force over what they offer.

    tasks  what the tools of `agents` work with, as soon as there is anything
    """
    activations: list[Activation] = []  # none until there is a policy
    memory = memory_link(ground.mind.memory, lambda: activations[0].worlds.current.snapshot)

    def own(means: Means, masks: Masks) -> Iterator[LocalLink]:
        yield memory
        asker = approval_tools(ground.state.approvals)
        if around.orchestration is None:
            yield LocalLink(approvals.SERVER, asker)
            return
        more = {agents.SERVER: doors(lambda: tasks[0]), approvals.SERVER: asker}
        for link in around.orchestration.links(means, masks):
            yield link.joined(more.get(link.name, {}))

    def tell(catalogue: Catalogue) -> None:
        for each in activations:
            each.observed(catalogue)

    async with upstream(
        ground.settings,
        ground.home,
        ground.evidence,
        Kept(ground.keys, ground.state.connections, own),
        environ=around.environ,
        redaction=around.redaction,
        allow_unsandboxed=mode == "dev" or ground.settings.insecure_unsandboxed_stdio,
        on_catalogue=tell,
    ) as links:
        if mode == "dev":
            await links.accept_first()
        accept = "any" if mode == "dev" else around.accept_policy
        activation = await _policy(ground, links, accept=accept)
        activations.append(activation)
        tell(links.review.catalogue)
        yield links, activation


async def _policy(ground: Ground, links: Upstream, *, accept: str | None) -> Activation:
    """Compile the files and put them into force, if they may come into force by a start.

    accept  digest of a policy that may replace the last active one, or "any"; the fleet's may
    """
    followed = None if ground.fleet is None else ground.fleet.policy
    paths = tuple(map(Path, ground.settings.policy))
    contents = read_stable(paths)
    catalogue = links.review.catalogue
    snapshot = compile_contents(contents, catalogue)
    active = ground.state.activations.snapshot
    is_known = snapshot.digest in {active, followed, accept} or accept == "any"
    if active is not None and not is_known:
        raise ActivationRefused(
            "policy.not-active",
            f"the files amount to {snapshot.digest}, and {active} was last active: apply the new "
            "policy on the running gateway, or name its digest at this start",
        )
    kind = "policy.load" if active == snapshot.digest else "policy.changed"
    by = FLEET if snapshot.digest == followed else "start"
    fields: dict[str, Json] = {"snapshot": snapshot.digest, "before": active, "by": by}
    await ground.evidence.recorder.write(kind, fields)
    worlds = Worlds(World(snapshot, catalogue, contents))
    return Activation.of(paths, recorder=ground.evidence.recorder, worlds=worlds)
