"""Assignments: what a manager gives its workers to do.

With a task it can state a contract, which holds beside what the flow states of the worker: it can
take away and never give. One that cannot be is told to the manager like a worker that stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

from pydantic import ValidationError

from gateway.runs.run import Json
from orchestration.context import Job
from orchestration.parts import Name
from orchestration.spec import Contract, Supervisor, Terms
from orchestration.stop import Stopped


class Stated(Terms):
    """The terms that a manager states with a task.

    check  another worker, who looks at what comes of it
    """

    check: Name | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """One task for one worker, as the manager wrote it.

    worker    "" where it names none
    contract  None: it states none
    """

    worker: str
    input: Json
    contract: Json

    @classmethod
    def read(cls, task: Json) -> Self:
        """What a manager wrote, whatever that is."""
        told = cast("Mapping[str, Json]", task) if isinstance(task, Mapping) else {}
        worker = told.get("worker")
        name = worker if isinstance(worker, str) else ""
        return cls(name, told.get("input"), told.get("contract"))

    def job(self, node: Supervisor, *, at: str) -> Job | Stopped:
        """What is to be done; a stop where the contract cannot be.

        at  the path of the supervisor, which has the worker
        """
        work = node.workers[self.worker]
        if self.contract is None:
            return Job(work, self.input, self.worker)
        try:
            contract = self._contract(node)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)[0]
            where = ascii(".".join(map(str, wrong["loc"]))[:80])
            return _refused(f"{where}: {wrong['msg'][:200]}", at)
        except KeyError:
            return _refused("'check' is to be the name of another worker", at)
        return Job(contract, self.input, self.worker)

    def _contract(self, node: Supervisor) -> Contract:
        """The worker under what is stated. Raises ValidationError and KeyError."""
        stated = Stated.model_validate(self.contract)
        others = {name: each for name, each in node.workers.items() if name != self.worker}
        checks = () if stated.check is None else (others[stated.check],)
        terms = {name: getattr(stated, name) for name in Terms.model_fields}
        return Contract(of=node.workers[self.worker], checks=checks, **terms)


def _refused(why: str, at: str) -> Stopped:
    return Stopped("refused", f"the contract cannot be: {why}", at=at, code="run.contract")
