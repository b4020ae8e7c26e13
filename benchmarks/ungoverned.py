"""The hop: how much of the stub's own speed is left behind a process that only passes on.

`direct` is the stub on the CPU of the server under test; `hop` is `benchmarks.relay` there, with
the stub beside the load on the other CPU. A hop that is slow by itself would flatter everything
that is compared with it.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import table
from benchmarks.load import LoadFailed, Target
from benchmarks.processes import LOAD_CPU, SERVER_CPU, first_line, module, running
from benchmarks.rounds import Measured, Plan, run

DIRECT, HOP = "direct", "hop"
TOOL = "look"


@contextmanager
def staged() -> Iterator[tuple[Target, Target]]:
    """Run what every crossing is compared with: the stub alone, and the hop before another."""
    stub = module("benchmarks.upstream")
    with running(stub, cpu=LOAD_CPU) as behind, running(stub, cpu=SERVER_CPU) as alone:
        relay = module("benchmarks.relay", first_line(behind))
        with running(relay, cpu=SERVER_CPU) as hop:
            direct_at, hop_at = (f"127.0.0.1:{first_line(child)}" for child in (alone, hop))
            yield (
                Target(DIRECT, direct_at, "/mcp", TOOL, alone),
                Target(HOP, hop_at, "/mcp", TOOL, hop),
            )


def rows(measured: Measured, plan: Plan) -> dict[str, float]:
    """How much of direct the hop reaches, for each number of connections."""
    return {
        f"{HOP} at {count}: calls/s by {DIRECT}": measured.ratio((HOP, count), (DIRECT, count))
        for count in plan.connections
    }


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="hop.py", description=__doc__.splitlines()[0])
    table.add_options(parser)
    options = parser.parse_args()
    plan = Plan.quick() if options.quick else Plan()
    try:
        with staged() as targets:
            measured = run(targets, plan, table.say)
    except LoadFailed as error:
        print(error, file=sys.stderr)
        return 1
    table.show(measured, plan)
    return table.finish("hop", rows(measured, plan), options, void=table.bad_answers(measured))
