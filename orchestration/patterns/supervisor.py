"""Supervisor: a manager that gives tasks to workers until it has an answer."""

from typing import cast

from gateway.runs.run import Json
from orchestration.assignment import Assignment
from orchestration.context import Context, Job
from orchestration.spec import Supervisor
from orchestration.stop import Stopped

MOST_TASKS = 64
"""Tasks that a manager may give in one round."""


async def supervisor(here: Context, node: Supervisor, value: Json) -> Json:
    """The manager's answer, or the result that it forwards. Raises Stopped."""
    results: list[Json] = []
    for number in range(1, node.max_rounds + 1):
        await here.emit("round", round=number, of=node.max_rounds, results=len(results))
        asked: Json = {"task": value, "workers": list[Json](node.workers), "results": [*results]}
        said = await here.call(node.manager, asked, "manager", opens=False)
        if not isinstance(said, dict):
            raise here.failed("manager", "the manager answered neither tasks nor an answer")
        if "answer" in said:
            return said["answer"]
        if "forward" in said:
            return _forwarded(here, results, said["forward"])
        results += await _round(here, node, _tasks(here, node, said.get("tasks")))
    raise here.exhausted("rounds", f"no answer after {node.max_rounds} rounds")


async def _round(here: Context, node: Supervisor, given: list[Assignment]) -> list[Json]:
    """What became of the tasks of one round, in their order."""
    jobs = [each.job(node, at=here.path) for each in given]
    may = [job for job in jobs if isinstance(job, Job)]
    done = iter(await here.fan(may, max_parallel=node.max_parallel))
    results = [next(done) if isinstance(job, Job) else job for job in jobs]
    return [_told(*each) for each in zip(given, results, strict=True)]


def _told(given: Assignment, result: "Json | Stopped") -> Json:
    if isinstance(result, Stopped):
        return {"worker": given.worker, "input": given.input, "stopped": result.to_json()}
    return {"worker": given.worker, "input": given.input, "result": result}


def _tasks(here: Context, node: Supervisor, tasks: Json) -> list[Assignment]:
    if not isinstance(tasks, list) or not 0 < len(tasks) <= MOST_TASKS:
        raise here.failed("manager", f"the manager gave no list of 1 to {MOST_TASKS} tasks")
    found = [Assignment.read(task) for task in tasks]
    if any(each.worker not in node.workers for each in found):
        raise here.failed("worker", "the manager gave a task to a worker that there is not")
    return found


def _forwarded(here: Context, results: list[Json], which: Json) -> Json:
    if isinstance(which, bool) or not isinstance(which, int) or not 0 <= which < len(results):
        raise here.failed("manager", "the manager forwards a result that there is not")
    result = cast("dict[str, Json]", results[which])
    if "result" not in result:
        raise here.failed("manager", "the manager forwards a result that was stopped")
    return result["result"]
