"""The run service: the flows of one gateway, started, taken up again, and brought to an end.

It is what `gateway` is opened with (`gateway.runs.service`). The log says which runs there are; the
engine knows how far each has come. A run of the log that the engine has never heard of, because the
process ended in between or its database is gone, begins at its first step: what was done before is
in the log, and is not done again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import cast

import structlog

from gateway.background import in_background
from gateway.catalogue.agents import AgentSpec, ModelSpec
from gateway.home import Home
from gateway.identity.scopes import ALL
from gateway.links.local import LocalLink
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means
from gateway.principal import Principal
from gateway.runs.carriers import Carriers, Listening
from gateway.runs.errors import RunRefused
from gateway.runs.hop import Hop
from gateway.runs.made import Made
from gateway.runs.run import ROOT, Cause, Forked, Json, Run
from gateway.runs.spec import PoolSpec
from gateway.runs.starting import Start
from gateway.runs.tasks import DOORS, task_flow
from gateway.runs.work import Work
from orchestration.agents import LocalAgent, agents_link, people_link
from orchestration.around import Around
from orchestration.engine import Engine
from orchestration.errors import FlowInvalid
from orchestration.execution import Execution
from orchestration.flow import Flow, nodes
from orchestration.lease import Lease
from orchestration.parts import Part, Tool
from orchestration.performing import perform
from orchestration.place import Place
from orchestration.plans import Plan, Plans
from orchestration.pools import gateways_share, supervised, workers_of
from orchestration.queues import Queues
from orchestration.remote import models_link, prompt_node, remote_agents
from orchestration.seal import derived
from orchestration.store import Store
from orchestration.task import Queued
from orchestration.terms import asked
from orchestration.untaken import Untaken

log = structlog.get_logger(__name__)

FORGET_EVERY_S = 600.0


class Flows:
    """Flows and the agents in them, for one gateway.

    agents  functions of this process
    remote  agents of the deployment, over HTTP or as models with instructions
    models  the models that those ask
    store   keeps what runs have done; None: a file in the home
    pools   runs that workers carry

    Raises FlowInvalid where two have one name, or one names a model or pool that there is not.
    """

    def __init__(
        self,
        flows: Iterable[Flow],
        agents: Iterable[LocalAgent] = (),
        *,
        remote: Mapping[str, AgentSpec] = MappingProxyType({}),
        models: Mapping[str, ModelSpec] = MappingProxyType({}),
        store: Store | None = None,
        pools: Mapping[str, PoolSpec] = MappingProxyType({}),
    ) -> None:
        every = tuple(flows)
        self._flows = {flow.name: flow for flow in every}
        self._agents = tuple(agents)
        self._remote, self._models, self._store = remote, models, store
        self._pools = pools
        self._is_run_in: Callable[[str], bool] = lambda _: False  # until it is opened
        bodies = {name: _body(name, spec, models) for name, spec in remote.items()}
        self._bodies = {name: node for name, node in bodies.items() if node is not None}
        names = [*(flow.name for flow in every), *(agent.name for agent in self._agents), *remote]
        if doors := sorted(DOORS & {*names}):
            raise FlowInvalid(f"{doors[0]} is the name of a tool by which agents are reached")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise FlowInvalid(f"two flows or agents have the name {', '.join(twice)}")
        for flow in every:
            if flow.pool is not None and flow.pool not in pools:
                raise FlowInvalid(f"{flow.name}: there is no pool {flow.pool}")

    def links(self, means: Means, masks: Masks) -> tuple[LocalLink, ...]:
        """The servers `agents`, `approvals` and `model`. Raises AddressRefused."""
        told = {name: flow.title or f"The flow {name}." for name, flow in self._flows.items()}
        told |= {name: f"The agent {name}." for name in self._bodies}
        asked_of = {
            by for flow in self._flows.values() for node in nodes(flow.flow) for by in asked(node)
        }
        over_http = remote_agents(self._remote, means, masks)
        return (
            agents_link(self._agents, over_http, told, is_run=self._is_run),
            people_link(sorted(asked_of), is_run=self._is_run),
            models_link(self._models, means, masks),
        )

    @asynccontextmanager
    async def opened(self, hop: Hop, home: Home) -> AsyncIterator["Service"]:
        """Take up what was running, and run until the context is left. Raises EngineRefused."""
        plans = Plans(self._flows, self._bodies, self._models, hop.made)
        service = Service(self._flows, plans, hop)
        self._is_run_in = hop.runs.acts_in
        store, key_of = self._store or Store.at(home.runs), derived(home.runs_key())
        share = gateways_share(self._pools) if self._pools else None
        async with AsyncExitStack() as stack:
            opening = Engine.opened(store, key_of, service.execution.body, share)
            engine = await stack.enter_async_context(opening)
            if self._pools:
                listening = Listening()
                carriers = Carriers(workers_of(self._pools), lambda: listening.seconds)
                queues = Queues()
                service.work = Work(hop, carriers, queues, key_of)
                looking_after = supervised(queues, carriers, listening, Untaken(hop, queues))
                await stack.enter_async_context(looking_after)
            await stack.enter_async_context(service.taking_up(engine))
            yield service

    def _is_run(self, session: str) -> bool:
        return self._is_run_in(session)


def _body(name: str, spec: AgentSpec, models: Mapping[str, ModelSpec]) -> Part | None:
    """What an agent of the deployment does in steps of its own; None: it answers in one."""
    if spec.tool is not None:
        return Tool(name=spec.tool, args=spec.args)
    if spec.prompt is None:
        return None
    model = models.get(spec.prompt.model)
    if model is None:
        raise FlowInvalid(f"agents.{name}: there is no model {spec.prompt.model}")
    return prompt_node(spec.prompt, model)


class Service:
    """Runs flows over one engine."""

    def __init__(self, flows: Mapping[str, Flow], plans: Plans, hop: Hop) -> None:
        self._flows = flows
        self._plans = plans
        self._hop = hop
        self.execution = Execution(hop)
        self._engine: Engine | None = None
        self.work: Work | None = None

    def flows(self) -> Mapping[str, Json]:
        """The flows that can be started, by name, each as it is written."""
        dumped = {n: f.model_dump(mode="json", by_alias=True) for n, f in self._flows.items()}
        return cast("Mapping[str, Json]", dumped)

    async def start(self, flow: str, given: Json, *, by: str, key: str | None) -> Run:
        """Start a run; see `gateway.runs.service.RunService`."""
        return await self._started(*self._of_flow(flow, given, by=by, key=key))

    async def triggered(
        self, flow: str, given: Json, cause: Cause, *, labels: frozenset[str]
    ) -> Run:
        """Start a run that a trigger wants; see `gateway.runs.service.RunService`."""
        by = f"trigger:{cause.trigger}"
        plan, start = self._of_flow(flow, given, by=by, key=cause.event)
        return await self._started(plan, replace(start, cause=cause, labels=labels))

    async def fork(self, run_id: str, number: int, instead: tuple[Json, ...], *, by: str) -> Run:
        """Go on from a step of another run; see `gateway.runs.service.RunService`."""
        runs, source = self._hop.runs, self._hop.runs.get(run_id)
        plan = self._plans.of(source.flow) if source.flow in self._flows else None
        if source.caller is not None:
            raise RunRefused("run.fork", "this run acts for somebody else")
        if plan is None or plan.digest != source.digest:
            raise RunRefused("run.fork", "the flow is no longer what it was")
        made = sorted(runs.steps(run_id).items(), key=lambda step: step[1].index)
        if not 1 <= number <= len(made):
            raise RunRefused("run.fork", f"the run has made {len(made)} steps")
        at, taken = made[number - 1]
        start = Start(
            flow=source.flow,
            digest=source.digest,
            agent=source.flow,
            by=by,
            key=None,
            input=self._hop.kept.input(source),
            lifetime_s=plan.limits.wall_s,
            forked=Forked(run_id, at, taken.index),
            instead=instead,
            takes_back=plan.takes_back,
        )
        return await self._started(plan, start)

    async def invoke(
        self,
        agent: str,
        given: Json,
        *,
        caller: Principal,
        key: str | None,
        made: Made | None = None,
    ) -> Run:
        """Have one agent do something; see `gateway.runs.service.RunService`."""
        flow = task_flow(agent)
        plan = self._plans.of(flow)
        if plan is None:
            raise RunRefused("agent.unknown", "what this agent was made of has been erased")
        start = Start(
            flow=flow,
            digest=plan.digest,
            agent=caller.agent,
            by=f"agent:{caller.agent}",
            key=key,
            input=given,
            lifetime_s=plan.limits.wall_s,
            caller=caller,
            most=ALL if made is None else made.scopes,
            takes_back=plan.takes_back,
        )
        return await self._started(plan, start)

    async def cancel(self, run_id: str, *, by: str) -> Run:
        """Stop a run; see `gateway.runs.service.RunService`."""
        return await self._hop.cancel(run_id, by=by)

    async def output(self, run: Run) -> Json:
        """What came out of a run; see `gateway.runs.service.RunService`."""
        kept = self._hop.kept.output(run)
        if kept is not None or self._engine is None:
            return kept
        told = await self._engine.result(run.id)  # it was too long for the log
        return told.get("value") if isinstance(told, dict) else None

    # -- runs of the log --------------------------------------------------------------------

    @asynccontextmanager
    async def taking_up(self, engine: Engine) -> AsyncIterator[None]:
        """Bring engine and log together: every run of the log goes on, in the background."""
        self._engine = engine
        live = {run.id: run for run in self._hop.runs.all() if run.state != "ended"}
        unknown = live.keys() - await engine.held()
        work = [self._take_up(live[each]) for each in sorted(unknown)]
        async with in_background(*work, self._forgetting(engine)):
            yield

    async def _forgetting(self, engine: Engine) -> None:
        """Delete what is stored of runs that are no longer looked up, again and again."""
        while True:
            held = await engine.held()
            # Looked up afterwards: a run is in the log before the engine holds anything of it.
            known = {run.id for run in self._hop.runs.all()}
            for run in held - known:
                await engine.forget(run)
            await asyncio.sleep(FORGET_EVERY_S)

    async def _take_up(self, run: Run) -> None:
        plan = self._plans.of(run.flow)
        if plan is None or plan.digest != run.digest:
            await self.execution.ended(run.id, "failed", "the flow is no longer what it was", None)
            return
        try:
            given = self._hop.kept.input(run)
        except RunRefused as error:
            await self.execution.ended(run.id, "failed", str(error), None)
            return
        await self._begin(run, plan, given)

    def _of_flow(self, flow: str, given: Json, *, by: str, key: str | None) -> tuple[Plan, Start]:
        """How a flow is started in its own name. Raises RunRefused when there is none."""
        plan = self._plans.of(flow) if flow in self._flows else None
        if plan is None:
            raise RunRefused("run.flow", f"there is no flow {flow}")
        start = Start(
            flow=flow,
            digest=plan.digest,
            agent=flow,
            by=by,
            key=key,
            input=given,
            lifetime_s=plan.limits.wall_s,
            takes_back=plan.takes_back,
        )
        return plan, start

    async def _started(self, plan: Plan, start: Start) -> Run:
        run = await self._hop.start(start)
        await self._begin(run, plan, start.input)
        return run

    async def _begin(self, run: Run, plan: Plan, given: Json) -> None:
        assert self._engine is not None, "runs are started while the engine is open"
        limits = plan.limits
        around = Around(
            hop=self._hop,
            engine=self._engine,
            perform=perform,
            inside=plan.inside,
            run=run.id,
            until_s=run.started + limits.wall_s,
            instead=self._hop.kept.instead(run),
        )
        lease = Lease(limits.calls, limits.tokens, limits.cost)
        task = around.task(Place("", ROOT, lease, limits.depth), plan.node, given)
        await self._engine.begin(task, self._queued(run))

    def _queued(self, run: Run) -> Queued | None:
        """Where a run waits for a worker; tasks of agents are the gateway's own."""
        flow = self._flows.get(run.flow)
        if flow is None or flow.pool is None:
            return None
        return Queued(flow.pool, flow.priority, run.by)
