"""Agents over HTTP and models with tools: reached through the guard, counted, and governed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.agents import AgentSpec, ModelSpec
from orchestration.errors import FlowInvalid
from orchestration.service import Flows
from tests.gateway.links.http_upstream import Heard, Upstream, http
from tests.harness.gateway import running
from tests.harness.upstream import desk
from tests.orchestration.house import House, Kept, flow

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: remote
default: deny
users: {default: unrestricted}
agents: {job: {}, helper: {}}
tools:
  agents.web: {risk: write, emits: []}
  agents.helper: {risk: write, emits: []}
  model.small: {risk: write, emits: []}
  desk.look: {risk: read, emits: []}
  desk.pay: {risk: irreversible, emits: []}
rules:
  - {id: web, agents: [job], tools: [agents.web, agents.helper], effect: allow}
  - {id: all-may-look, agents: [job, helper], tools: [model.small, desk.look], effect: allow}
delegation:
  max_hops: 2
  edges:
    - {id: job-helper, from: job, to: helper, tools: [model.small, desk.look, desk.pay]}
"""

Script = Callable[[dict[str, Any]], tuple[int, Any]]


class Provider(Upstream):
    """A server that answers what a test says; `asked` is all that it got."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.asked: list[dict[str, Any]] = []
        self.behaviours[""] = self._say  # what is no JSON-RPC has no method

    async def _say(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        body = json.loads(heard.body)
        self.asked.append(body)
        status, answer = self.script(body)
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        writer.write(http(raw, f"{status} Said"))
        await writer.drain()


def said(content: Any = None, *calls: tuple[str, Any], tokens: int = 7) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"c{number}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(args)},
            }
            for number, (name, args) in enumerate(calls)
        ]
    usage = {"prompt_tokens": tokens, "completion_tokens": 1}
    return {"choices": [{"message": message}], "usage": usage}


def replies(*answers: Any) -> Script:  # noqa: ANN401 - JSON
    left = list(answers)
    return lambda _: (200, left.pop(0) if len(left) > 1 else left[0])


@asynccontextmanager
async def reached(
    folder: Path,
    script: Script,
    node: Any = "web",  # noqa: ANN401 - JSON
    **limits: Any,  # noqa: ANN401 - JSON
) -> AsyncIterator[tuple[House, Provider, list[str]]]:
    """A flow of this node, an agent and a model at the provider, and a desk; what the desk did."""
    async with Provider(script) as provider, desk() as upstream:
        specs: Mapping[str, AgentSpec] = {
            "web": AgentSpec(url=provider.url, allow_private=True),
            "helper": AgentSpec.model_validate(
                {
                    "prompt": {
                        "model": "small",
                        "instructions": "Be short.",
                        "tools": ["desk.look", "desk.pay"],
                        "max_turns": 3,
                        "max_output": 50,
                    }
                }
            ),
        }
        price = {"input_per_million": 1_000_000, "output_per_million": 2_000_000}
        model = ModelSpec.model_validate(
            {"openai": provider.url, "model": "tiny", "allow_private": True, "price": price}
        )
        flows = Flows([flow(node, **limits)], remote=specs, models={"small": model})
        kept = Kept(flows)
        async with running(folder, POLICY, {"desk": upstream}, orchestration=kept) as gateway:
            assert kept.service is not None
            assert kept.hop is not None
            done: list[str] = []
            upstream.before = lambda: done.append("called")
            yield House(gateway, kept.service, kept.hop), provider, done


# -- agents over HTTP


async def test_an_agent_over_http_is_given_its_task(tmp_path: Path) -> None:
    async with reached(tmp_path, replies({"answer": [1, "two"]})) as (home, provider, _):
        assert await home.result(given={"q": "tides"}) == [1, "two"]
        assert provider.asked == [{"task": {"q": "tides"}}]


@pytest.mark.parametrize(
    ("status", "answer", "stop"),
    [
        pytest.param(500, {"detail": "broken"}, "failed: broken", id="server-error"),
        pytest.param(200, {"error": "cannot"}, "failed: cannot", id="says-it-failed"),
        pytest.param(404, {}, "failed: it answered with HTTP 404", id="not-there"),
        pytest.param(200, {"text": "hm"}, "failed: it answered with HTTP 200", id="no-answer"),
        pytest.param(200, b"[1]", "unknown: ", id="no-object"),
        pytest.param(200, b'{"answer": NaN}', "unknown: ", id="no-json"),
        pytest.param(200, b'{"answer": 1, "answer": 2}', "unknown: ", id="said-twice"),
    ],
)
async def test_an_agent_that_answers_something_else_stops_the_run(
    tmp_path: Path,
    status: int,
    answer: Any,  # noqa: ANN401 - JSON
    stop: str,
) -> None:
    async with reached(tmp_path, lambda _: (status, answer)) as (home, provider, _):
        assert (await home.stopped()).startswith(stop)
        assert len(provider.asked) == 1


# -- models with tools


async def test_a_prompt_agent_uses_its_tools_and_answers(tmp_path: Path) -> None:
    script = replies(said(None, ("desk__look", {"at": "x"})), said("it is done"))
    async with reached(tmp_path, script, "helper") as (home, provider, done):
        assert await home.result(given="what is at x?") == "it is done"
        first, second = provider.asked
        assert [each["role"] for each in first["messages"]] == ["system", "user"]
        assert [tool["function"]["name"] for tool in first["tools"]] == ["desk__look"]
        assert second["messages"][-1]["role"] == "tool"
        assert second["messages"][-1]["content"] == "done"
        assert done == ["called"]
        actors = {
            (body["actor"]["agent"], body["tool"]["name"])
            for body in home.gateway.entries("decision")
        }
        assert ("helper", "model.small") in actors
        assert ("helper", "desk.look") in actors


async def test_a_model_under_a_contract_has_no_tool_that_was_not_lent(tmp_path: Path) -> None:
    script = replies(said(None, ("desk__look", {"at": "x"})), said('{"n": 1}'))
    shape = {"type": "object", "properties": {"n": {"type": "integer"}}}
    node = {"contract": {"of": "helper", "tools": [], "result": shape}}
    async with reached(tmp_path, script, node) as (home, provider, done):
        assert await home.result(given="what is at x?") == {"n": 1}
        first, second = provider.asked
        assert not first.get("tools")
        assert second["messages"][-1]["content"] == "There is no such tool."
        assert done == []
        lent, handed_on = home.gateway.entries("run.granted")
        assert lent["scope"] == "agents.helper model.small"
        assert handed_on["scope"] == "model.small"


async def test_a_model_plans_with_references_that_it_never_reads(tmp_path: Path) -> None:
    long = "high water " * 200

    def plans(results: list[Any]) -> Any:  # noqa: ANN401 - JSON
        if not results:
            return {"tasks": [{"worker": "web", "input": "tides"}]}
        if len(results) == 1:
            named = results[0]["result"]["$result"]
            return {"tasks": [{"worker": "reader", "input": {"$result": named}}]}
        return {"answer": results[1]["result"]}

    def script(body: dict[str, Any]) -> tuple[int, Any]:
        if "task" in body:  # an agent: one finds much, and reads what it is given
            return 200, {"answer": long if "contract" in body["task"] else body["task"] == long}
        told = json.loads(body["messages"][-1]["content"])
        return 200, said(json.dumps(plans(told["input"]["results"])))

    says_json = {"type": "object", "additionalProperties": True}
    node = {
        "supervisor": {
            "manager": {"contract": {"of": "helper", "result": says_json, "tools": []}},
            "workers": {"web": {"contract": {"of": "web", "refer_above": 1024}}, "reader": "web"},
        }
    }
    async with reached(tmp_path, script, node) as (home, provider, _):
        assert await home.result() is True
        models = [body for body in provider.asked if "messages" in body]
    assert len(models) == 3
    assert long not in json.dumps(models)


@pytest.mark.parametrize("bound", ["tokens", "cost"])
async def test_a_model_under_a_contract_has_no_more_than_that(tmp_path: Path, bound: str) -> None:
    node = {"contract": {"of": "helper", bound: 100}}
    async with reached(tmp_path, replies(said("hm")), node) as (home, provider, _):
        assert f"exhausted: no {bound} left" in await home.stopped()
        assert provider.asked == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        pytest.param(("desk__pay", {"amount": 1}), "There is no such tool", id="not-its-own"),
        pytest.param(("desk__wipe", {}), "There is no such tool", id="unknown"),
        pytest.param(("desk__look", [1]), "The arguments are no JSON object", id="a-list"),
        pytest.param(("desk__look", {"at": 7}), "Refused: ", id="wrong-type"),
    ],
)
async def test_a_model_that_wants_what_it_may_not_is_told(
    tmp_path: Path, wanted: tuple[str, Any], told: str
) -> None:
    script = replies(said(None, wanted), said("then not"))
    async with reached(tmp_path, script, "helper") as (home, provider, done):
        assert await home.result(given="do it") == "then not"
        assert provider.asked[1]["messages"][-1]["content"].startswith(told)
        assert done == []


@pytest.mark.parametrize(
    ("script", "limits", "stop"),
    [
        pytest.param(
            replies(said(None, ("desk__look", {"at": "x"}))),
            {},
            "exhausted: no answer after 3",
            id="ever",
        ),
        pytest.param(replies(said("hm")), {"tokens": 100}, "exhausted: no tokens left", id="few"),
        pytest.param(replies(said("hm")), {"cost": 100}, "exhausted: no cost left", id="dear"),
        pytest.param(lambda _: (429, {}), {}, "failed: the provider answered", id="refused"),
        pytest.param(replies({"choices": []}), {}, "unknown: ", id="garbage"),
        pytest.param(
            replies({**said("x"), "usage": {"prompt_tokens": -1, "completion_tokens": 1}}),
            {},
            "unknown: ",
            id="negative-use",
        ),
    ],
)
async def test_a_prompt_agent_stops(
    tmp_path: Path, script: Script, limits: dict[str, Any], stop: str
) -> None:
    async with reached(tmp_path, script, "helper", **limits) as (home, provider, _):
        assert (await home.stopped(given="x")).startswith(stop)
        assert len(provider.asked) <= 3


async def test_what_is_used_is_counted_and_the_rest_given_back(tmp_path: Path) -> None:
    node = {"sequential": ["helper"] * 4}
    script = replies(said("ok", tokens=100))
    # Four requests of about 900 bytes would not fit, were they not settled by what they used.
    async with reached(tmp_path, script, node, tokens=2_000) as (home, provider, _):
        assert await home.result(given="x") == "ok"
        assert len(provider.asked) == 4


def test_a_prompt_agent_needs_a_model_that_there_is() -> None:
    spec = AgentSpec.model_validate({"prompt": {"model": "none", "instructions": "x"}})
    with pytest.raises(FlowInvalid, match="there is no model none"):
        Flows([], remote={"helper": spec})
