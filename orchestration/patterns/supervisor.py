"""Supervisor: a manager that gives tasks to workers until it has an answer."""

from collections.abc import Mapping
from typing import cast

from gateway.runs.run import Json
from orchestration.context import Context, Job
from orchestration.spec import Supervisor
from orchestration.stop import Stopped

MOST_TASKS = 64
"""Tasks that a manager may give in one round."""


async def supervisor(here: Context, node: Supervisor, value: Json) -> Json:
    """The manager's answer, or the result that it forwards. Raises Stopped."""
    results: list[Json] = []
    for _ in range(node.max_rounds):
        asked: Json = {"task": value, "workers": list[Json](node.workers), "results": [*results]}
        said = await here.call(node.manager, asked, "manager")
        if not isinstance(said, dict):
            raise here.failed("manager", "the manager answered neither tasks nor an answer")
        if "answer" in said:
            return said["answer"]
        if "forward" in said:
            return _forwarded(here, results, said["forward"])
        jobs = _jobs(here, node, said.get("tasks"))
        done = await here.fan(jobs, max_parallel=node.max_parallel)
        results += [_result(job, each) for job, each in zip(jobs, done, strict=True)]
    raise here.exhausted("rounds", f"no answer after {node.max_rounds} rounds")


def _jobs(here: Context, node: Supervisor, tasks: Json) -> list[Job]:
    if not isinstance(tasks, list) or not 0 < len(tasks) <= MOST_TASKS:
        raise here.failed("manager", f"the manager gave no list of 1 to {MOST_TASKS} tasks")
    jobs = []
    for task in tasks:
        worker = task.get("worker") if isinstance(task, Mapping) else None
        if not isinstance(worker, str) or worker not in node.workers:
            raise here.failed("worker", "the manager gave a task to a worker that there is not")
        given = cast("Mapping[str, Json]", task).get("input")
        jobs.append(Job(node.workers[worker], given, worker))
    return jobs


def _forwarded(here: Context, results: list[Json], which: Json) -> Json:
    if isinstance(which, bool) or not isinstance(which, int) or not 0 <= which < len(results):
        raise here.failed("manager", "the manager forwards a result that there is not")
    result = cast("dict[str, Json]", results[which])
    if "result" not in result:
        raise here.failed("manager", "the manager forwards a result that was stopped")
    return result["result"]


def _result(job: Job, done: "Json | Stopped") -> Json:
    if isinstance(done, Stopped):
        return {"worker": job.label, "input": job.value, "stopped": done.to_json()}
    return {"worker": job.label, "input": job.value, "result": done}
