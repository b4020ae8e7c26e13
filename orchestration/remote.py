"""Agents and models of a deployment, as links and as nodes."""

from collections.abc import Mapping

from gateway.catalogue.agents import AgentSpec, ModelSpec, PromptSpec
from gateway.links.address import Destination
from gateway.links.http_agent import http_agent
from gateway.links.local import Handler, LocalLink
from gateway.links.masking import Masks
from gateway.links.model import OpenAiModel, Price, model_tool
from gateway.links.oauth_client import Means
from gateway.links.remote import Remote
from orchestration.parts import Prompt


def remote_agents(specs: Mapping[str, AgentSpec], means: Means, masks: Masks) -> dict[str, Handler]:
    """The agents that are reached over HTTP. Raises AddressRefused."""
    return {
        name: http_agent(_remote(f"agents.{name}", spec.url, spec, means, masks))
        for name, spec in specs.items()
        if spec.url is not None
    }


def models_link(specs: Mapping[str, ModelSpec], means: Means, masks: Masks) -> LocalLink:
    """The server `model`. Raises AddressRefused."""
    tools = {}
    for name, spec in specs.items():
        url = f"{spec.openai.rstrip('/')}/chat/completions"
        remote = _remote(f"model.{name}", url, spec, means, masks)
        price = Price(spec.price.input_per_million, spec.price.output_per_million)
        tools[name] = model_tool(name, OpenAiModel(remote, spec.model), price)
    return LocalLink("model", tools)


def prompt_node(spec: PromptSpec, model: ModelSpec) -> Prompt:
    """A prompt agent as the node that it is inside."""
    return Prompt(
        model=spec.model,
        instructions=spec.instructions,
        tools=tuple(spec.tools),
        max_turns=spec.max_turns,
        max_output=spec.max_output,
        price_read=model.price.input_per_million,
        price_written=model.price.output_per_million,
    )


def _remote(
    server: str, url: str, spec: AgentSpec | ModelSpec, means: Means, masks: Masks
) -> Remote:
    destination = Destination.parse(url, allow_private=spec.allow_private)
    bearer = None if spec.credential is None else spec.credential.bearer
    return Remote.at(server, destination, bearer, means, masks)
