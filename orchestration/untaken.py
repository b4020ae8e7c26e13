"""Untaken runs: cancelled while they waited for a worker, where nobody else would end them."""

from collections.abc import Iterable

from gateway.runs.hop import Hop
from orchestration.queues import Queues


class Untaken:
    """The runs of one gateway that no worker has."""

    def __init__(self, hop: Hop, queues: Queues) -> None:
        self._hop = hop
        self._queues = queues

    async def end(self, pools: Iterable[str]) -> None:
        """End those that were cancelled. Raises RunRefused while that cannot be recorded.

        The entry comes first: a run that is still in its queue then is over for who takes it.
        """
        stopping = [run.id for run in self._hop.runs.all() if run.state == "stopping"]
        for run in await self._queues.untaken(stopping, pools):
            await self._hop.end(run, "cancelled", "it waited for a worker", None)
            await self._queues.remove(run)
