"""The crossing: what a governed call costs, beside the hop and the stub in the same run.

A real `passavant serve` with its home on a disk, everything switched on, two entries a call. `read`
is a tool of risk read, whose outcome entry rides with the next batch; `irreversible` one whose
outcome is awaited. After the run its log is compared with what reached the stub
(`benchmarks.comparison`); where they disagree, the figures are void.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from audit.files import is_volatile
from benchmarks import comparison, table
from benchmarks.deployment import SERVER, Deployment, NotMeasurable, deployed
from benchmarks.load import LoadFailed, Target
from benchmarks.processes import LOAD_CPU, first_line, module, running
from benchmarks.rounds import Measured, Plan, run
from benchmarks.ungoverned import DIRECT, HOP, rows, staged

READ, IRREVERSIBLE = "read", "irreversible"
TOOLS = {READ: "look", IRREVERSIBLE: "post"}


def targets(gateway: Deployment) -> tuple[Target, ...]:
    """The gateway as two targets, one for each risk."""
    return tuple(
        Target(name, gateway.agents, f"/mcp/{SERVER}", tool, gateway.child, gateway.tokens)
        for name, tool in TOOLS.items()
    )


def measure(folder: Path, plan: Plan) -> tuple[Measured, dict[str, float], list[str]]:
    """Measure everything: the cells, the rows, and why they are void.

    Raises LoadFailed or NotMeasurable.
    """
    record = folder / "record"
    stub = running(module("benchmarks.upstream", str(record)), cpu=LOAD_CPU)
    with (
        staged() as ungoverned,
        stub as behind,
        deployed(folder, f"127.0.0.1:{first_line(behind)}") as gateway,
    ):
        measured = run((*ungoverned, *targets(gateway)), plan, table.say)
        ready = {"ready after s": gateway.ready_s, "resident when ready, MiB": gateway.rss_mib}
    table.say("comparing the log with what reached the stub")
    governed = [
        sample for cell, row in measured.samples.items() if cell[0] in TOOLS for sample in row
    ]
    void = comparison.differences(folder, record, answered=sum(s.calls for s in governed))
    found = {**rows(measured, plan), **_rows(measured, plan), **ready}
    return measured, found, [*table.bad_answers(measured), *void]


def _rows(measured: Measured, plan: Plan) -> dict[str, float]:
    found = {}
    for name in TOOLS:
        for count in reversed(plan.connections):
            cell, place = (name, count), f"{name} at {count}"
            found[f"{place}: calls/s by hop"] = measured.ratio(cell, (HOP, count))
            found[f"{place}: CPU us per call"] = measured.middle(cell, lambda s: s.cpu_us)
            found[f"{place}: added p50 ms"] = measured.added_ms(cell, (DIRECT, count))
            found[f"{place}: p99 ms"] = measured.middle(cell, lambda s: s.p99_ms)
    return found


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="crossing.py", description=__doc__.splitlines()[0])
    table.add_options(parser)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if is_volatile(options.folder):
        parser.error(f"{options.folder} lies in memory: name another with --folder")
    plan = Plan.quick() if options.quick else Plan()
    try:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="passavant-bench-") as made:
            measured, found, void = measure(Path(made), plan)
    except (LoadFailed, NotMeasurable) as error:
        print(error, file=sys.stderr)
        return 1
    table.show(measured, plan)
    return table.finish("crossing", found, options, void=void)
