"""Pictures of flows: every kind has one, and everything that a reviewer asks about is in it."""

from typing import Any

import pytest

from console.drawing import outline
from console.flows.picture import _LOOKS, picture
from orchestration.flow import nodes
from orchestration.parts import Agent, Approve, Prompt, Tool
from orchestration.performing import _PATTERNS
from tests.orchestration.house import flow

FLOWS: dict[str, tuple[Any, list[str]]] = {
    "tool": ("desk.pay", ["desk.pay", "tool"]),
    "approve": (
        {"approve": {"by": "editors", "question": "Out?", "otherwise": "go-on"}},
        ["Out?", "asks editors, a no goes on"],
    ),
    "wait": ({"wait": "5m"}, ["wait 5m"]),
    "sequential": ({"sequential": ["a", "b"]}, ["a", "b"]),
    "parallel": ({"parallel": {"branches": ["a", "b"], "on_error": "keep"}}, ["keep what stops"]),
    "race": (
        {"parallel": {"branches": ["a", "b"], "until": 2, "accept": "args.n > 1"}},
        ["until 2 succeed with args.n > 1"],
    ),
    "map": ({"map": {"each": "a", "over": "/x", "max_items": 7}}, ["over /x", "up to 7"]),
    "conditions": (
        {"router": {"conditions": [{"when": "args.n > 3", "to": "a"}], "otherwise": "b"}},
        ["args.n > 3:", "otherwise:"],
    ),
    "classifier": (
        {"router": {"classifier": "c", "routes": {"yes": {"sequential": ["a", "b"]}}}},
        ["c  agent", "yes:"],
    ),
    "handoff": (
        {"handoff": {"start": "a", "agents": {"a": "a", "b": "b"}, "edges": {"a": ["b"]}}},
        ["a: begins; to b", "b: to nobody"],
    ),
    "contract": (
        {
            "contract": {
                "of": "a",
                "calls": 3,
                "wall": "5m",
                "tools": ["desk.look"],
                "accept": "args.n > 1",
                "checks": ["b"],
            }
        },
        ["up to 3 calls, within 5m, with desk.look, result looked at", "checks", "b"],
    ),
    "supervisor": (
        {"supervisor": {"manager": "lead", "workers": {"web": "searcher"}}},
        ["lead", "web:", "searcher"],
    ),
    "maker_checker": (
        {"maker_checker": {"maker": "m", "checker": "c", "otherwise": "last"}},
        ["then the last draft"],
    ),
    "magentic": (
        {"magentic": {"manager": "lead", "team": {"w": "w"}, "review": "editors"}},
        ["plans reviewed by editors"],
    ),
    "group_chat": (
        {"group_chat": {"members": {"a": "a", "b": "b"}, "consensus": 0.75}},
        ["ends when 75% agree"],
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_picture_says_what_the_flow_says(name: str) -> None:
    written, said = FLOWS[name]
    text = "\n".join(outline(picture(flow(written).flow)))
    for each in said:
        assert each in text


@pytest.mark.parametrize("name", FLOWS)
def test_everything_that_is_reached_is_in_the_picture(name: str) -> None:
    node = flow(FLOWS[name][0]).flow
    text = "\n".join(outline(picture(node)))
    for each in nodes(node):
        if isinstance(each, Agent | Tool):
            assert each.name in text
        elif isinstance(each, Approve):
            assert each.by in text


def test_every_kind_that_can_be_written_has_a_picture() -> None:
    assert set(_LOOKS) == {Agent, Tool, Approve, *_PATTERNS} - {Prompt}
