"""Parallel and map: several at once, what becomes of those that stop, and when enough are done."""

from collections.abc import Sequence

from gateway.runs.run import Json
from orchestration.context import Context, Job, label_of
from orchestration.race import Enough
from orchestration.spec import Fan, Map, Parallel
from orchestration.stop import Stopped
from orchestration.template import found


async def parallel(here: Context, node: Parallel, value: Json) -> Json:
    """The results of the branches in their order, or merged into one object. Raises Stopped."""
    jobs = [Job(branch, value, label_of(branch)) for branch in node.branches]
    results = await _results(here, node, jobs)
    if node.merge:
        return _merged(here, results)
    return results[0] if node.until == "first" else results


async def each(here: Context, node: Map, value: Json) -> Json:
    """The results for the members of the list, in its order. Raises Stopped."""
    items = found(node.over, value, at=here.path)
    if not isinstance(items, list):
        raise here.failed("list", "map takes a list, and what it was given is none")
    if len(items) > node.max_items:
        raise here.exhausted("items", f"a list of {len(items)}, and {node.max_items} are allowed")
    jobs = [Job(node.each, item, label_of(node.each)) for item in items]
    results = await _results(here, node, jobs)
    return results[0] if node.until == "first" else results


async def _results(here: Context, node: Fan, jobs: Sequence[Job]) -> list[Json]:
    if node.until == "all":
        return kept(node, await here.fan(jobs, max_parallel=node.max_parallel))
    enough = Enough(1 if node.until == "first" else node.until, node.accept)
    return await here.race(jobs, enough, max_parallel=node.max_parallel)


def kept(node: Fan, results: Sequence["Json | Stopped"]) -> list[Json]:
    """Results as `on_error` wants them. Raises the first Stopped where that is to stop all."""
    values: list[Json] = []
    for result in results:
        if not isinstance(result, Stopped):
            values.append(result)
        elif node.on_error == "fail":
            raise result
        elif node.on_error == "keep":
            values.append({"stopped": result.to_json()})
    return values


def _merged(here: Context, results: Sequence[Json]) -> Json:
    merged: dict[str, Json] = {}
    for result in results:
        if not isinstance(result, dict):
            raise here.failed("merge", "a branch gave no object, so it cannot be merged")
        if twice := sorted(merged.keys() & result.keys()):
            raise here.failed("merge", f"two branches gave {', '.join(twice)}")
        merged |= result
    return merged
