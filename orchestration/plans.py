"""Plans: what a run does, found by the name of its flow, when it begins and when it is taken up.

Beside the flows of files there are those of one step: a task for an agent, and an agent that
another one has made, which is its own only step.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from gateway.catalogue.agents import ModelSpec, PromptSpec
from gateway.links.jsonrpc import dump_sorted
from gateway.runs.made import PREFIX
from gateway.runs.run import Json
from gateway.runs.tasks import agent_of
from orchestration.flow import Flow, Limits, nodes
from orchestration.parts import Agent, Part
from orchestration.remote import prompt_node


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    inside  what the agents do that are in it, and those that these call
    digest  SHA-256, hex, of all of it
    takes_back  what a run has done is to be taken back when it fails
    """

    node: Part
    limits: Limits
    inside: Mapping[str, Part]
    digest: str
    takes_back: bool = False


class Plans:
    """Flows, the agents with steps of their own, and those that agents have made.

    bodies  what the agents of the deployment do that are no flows and have steps
    models  those that made agents may ask
    made    what a made agent is made of, by its name; None: it is gone
    """

    def __init__(
        self,
        flows: Mapping[str, Flow],
        bodies: Mapping[str, Part],
        models: Mapping[str, ModelSpec],
        made: Callable[[str], PromptSpec | None],
    ) -> None:
        self._flows = flows
        self._bodies = {name: flow.flow for name, flow in flows.items()} | dict(bodies)
        self._models = models
        self._made = made
        self._of_flows: dict[str, Plan] = {}  # as they are while the gateway is open

    def of(self, flow: str) -> Plan | None:
        """The plan of a run of that flow, as it is now; None where there is none."""
        agent = agent_of(flow)
        if agent is None:
            if flow in self._flows and flow not in self._of_flows:
                self._of_flows[flow] = self._of_flow(self._flows[flow])
            return self._of_flows.get(flow)
        if agent.startswith(PREFIX):
            return self._of_made(agent)
        return self._of_flow(self._alone(agent))

    def _of_flow(self, flow: Flow) -> Plan:
        plan = self._planned(flow.flow, flow.limits, flow.digest)
        return replace(plan, takes_back=flow.on_failure == "undo")

    def _of_made(self, agent: str) -> Plan | None:
        spec = self._made(agent)
        model = None if spec is None else self._models.get(spec.model)
        if spec is None or model is None:
            return None
        node = prompt_node(spec, model)
        written = cast("Json", node.model_dump(mode="json"))
        return self._planned(node, Limits(), hashlib.sha256(dump_sorted(written)).hexdigest())

    def _alone(self, agent: str) -> Flow:
        """The flow whose only step is that agent; of a flow, within the bounds of that flow."""
        inner = self._flows.get(agent)
        limits = Limits() if inner is None else inner.limits
        around = {"calls": limits.calls + 1, "depth": limits.depth + 1}
        step = Agent(name=agent)
        alone = Flow(name=agent, flow=step, limits=limits.model_copy(update=around))
        update = {"on_failure": "leave" if inner is None else inner.on_failure}
        return alone.model_copy(update=update)

    def _planned(self, node: Part, limits: Limits, digest: str) -> Plan:
        inside = self._inside(node)
        written: Json = {
            name: cast("Json", each.model_dump(mode="json")) for name, each in inside.items()
        }
        whole = hashlib.sha256(dump_sorted([digest, written])).hexdigest()
        return Plan(node, limits, inside, whole)

    def _inside(self, node: Part) -> dict[str, Part]:
        """What the agents do that a node calls, and those that they call."""
        found: dict[str, Part] = {}
        waiting: list[Part] = [node]
        while waiting:
            for each in nodes(waiting.pop()):
                name = each.name if isinstance(each, Agent) else ""
                if name in self._bodies and name not in found:
                    found[name] = self._bodies[name]
                    waiting.append(found[name])
        return found
