"""Performing: which pattern does which kind of node."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.parts import Agent, Approve, Emit, Part, Prompt, Tool, Wait
from orchestration.patterns.contract import contract
from orchestration.patterns.emit import emit
from orchestration.patterns.group_chat import group_chat
from orchestration.patterns.guard import guard
from orchestration.patterns.handoff import handoff
from orchestration.patterns.magentic import magentic
from orchestration.patterns.maker_checker import maker_checker
from orchestration.patterns.parallel import each, parallel
from orchestration.patterns.prompt import prompt
from orchestration.patterns.router import router
from orchestration.patterns.sequential import sequential
from orchestration.patterns.supervisor import supervisor
from orchestration.patterns.waiting import wait
from orchestration.spec import (
    Contract,
    GroupChat,
    Guard,
    Handoff,
    Magentic,
    MakerChecker,
    Map,
    Parallel,
    Router,
    Sequential,
    Supervisor,
)

# Each takes its own kind of node, which the key beside it is.
_PATTERNS: Mapping[type[Part], Callable[[Context, Any, Json], Awaitable[Json]]] = {
    Sequential: sequential,
    Parallel: parallel,
    Map: each,
    Router: router,
    Handoff: handoff,
    Supervisor: supervisor,
    MakerChecker: maker_checker,
    Magentic: magentic,
    GroupChat: group_chat,
    Guard: guard,
    Contract: contract,
    Wait: wait,
    Emit: emit,
    Prompt: prompt,
}


async def perform(here: Context, node: Part, value: Json) -> Json:
    """Do a node at this very place. Raises Stopped."""
    if isinstance(node, Agent | Tool | Approve):
        return await here.call(node, value)
    return await _PATTERNS[type(node)](here, node, value)
