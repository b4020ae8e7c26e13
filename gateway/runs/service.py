"""What the program around a gateway may bring: flows, the agents in them, and who runs them.

`gateway` knows no flow. It is handed an `Orchestration` when it is opened, takes the tools that its
agents are into the catalogue, and gives it the way through the gate.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from audit.canonical import Json
from gateway.home import Home
from gateway.links.local import LocalLink
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means
from gateway.principal import Principal
from gateway.runs.hop import Hop
from gateway.runs.made import Made
from gateway.runs.run import Cause, Run
from gateway.runs.work import Work


class RunService(Protocol):
    """Runs flows, for operators."""

    @property
    def work(self) -> Work | None:
        """What workers are answered by; None: there are none."""

    def flows(self) -> Mapping[str, Json]:
        """The flows that can be started, by name, each as it is written."""

    async def start(self, flow: str, given: Json, *, by: str, key: str | None) -> Run:
        """Start a run; it goes on by itself, whatever becomes of this process.

        key  the starter's own name for it: the same start again is the same run

        Raises RunRefused and AuditUnavailable.
        """

    async def triggered(
        self, flow: str, given: Json, cause: Cause, *, labels: frozenset[str]
    ) -> Run:
        """Start a run that a trigger wants; the same event of it again is the same run.

        labels  of what it is given

        Raises RunRefused and AuditUnavailable.
        """

    async def fork(self, run_id: str, number: int, instead: tuple[Json, ...], *, by: str) -> Run:
        """Start a run that goes on from a step of another, in the name of who forks and no other.

        number   of the step among those that were made, in the order of their decisions, from 1
        instead  the value that this step is given; (): the same

        Raises RunRefused and AuditUnavailable.
        """

    async def invoke(
        self,
        agent: str,
        given: Json,
        *,
        caller: Principal,
        key: str | None,
        made: Made | None = None,
    ) -> Run:
        """Have one agent do something for another, as a run in the name of `caller`.

        made  the agent, where the caller has made it

        Raises RunRefused, DelegationRefused, SessionEnded and AuditUnavailable.
        """

    async def cancel(self, run_id: str, *, by: str) -> Run:
        """Stop a run and all that it has handed on.

        Raises RunRefused and AuditUnavailable.
        """

    async def output(self, run: Run) -> Json:
        """What came out of a run; None while it goes on, and when it is not kept."""


class Orchestration(Protocol):
    """What a gateway is opened with so that it runs flows."""

    def links(self, means: Means, masks: Masks) -> tuple[LocalLink, ...]:
        """The servers that agents, models and people are the tools of.

        means, masks  for those that are reached over the network

        Raises GatewayError for an address that may not be reached.
        """

    def opened(self, hop: Hop, home: Home) -> AbstractAsyncContextManager[RunService]:
        """Take up what was running, and run until the context is left."""
