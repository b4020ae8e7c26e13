"""What a measurement prints: its cells, its rows beside their goals, and what is wrong with it."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.goals import GOALS, missed
from benchmarks.load import Sample
from benchmarks.rounds import Measured, Plan

_COLUMNS = ("", "conns", "calls/s", "min-max", "by hop", "by direct")
_MORE = ("p50 ms", "added", "p99 ms", "CPU us", "MiB")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every program here takes."""
    parser.add_argument("--quick", action="store_true", help="shorter and fewer cells")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    parser.add_argument("--json", type=Path, help="write the rows here")


def say(line: str) -> None:
    """Talk while it runs; the table alone goes to standard output."""
    print(line, file=sys.stderr, flush=True)


def show(measured: Measured, plan: Plan) -> None:
    """Print every cell: medians over the rounds, ratios and added time within each round."""
    widths = (14, 7, 10, 18, 8, 11, 9, 9, 9, 9, 6)
    print("".join(f"{name:>{w}}" for name, w in zip((*_COLUMNS, *_MORE), widths, strict=True)))
    for name, count in sorted(measured.samples, key=lambda cell: cell[1]):
        cells = _cells(measured, name, count)
        print("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    print(f"{plan.rounds} rounds of {plan.seconds} s a cell")


def bad_answers(measured: Measured) -> list[str]:
    """Why a run is void for its answers alone."""
    if not measured.bad:
        return []
    return [f"{measured.bad} answers were not the tool's: {measured.complaint or 'no answer'}"]


def finish(
    program: str,
    rows: Mapping[str, float],
    options: argparse.Namespace,
    *,
    void: Sequence[str],
) -> int:
    """Print the rows, write them where asked, and answer the exit code.

    void  why nothing of this was measured; without any, the goals decide, if `--check` was given
    """
    print()
    width = max(42, *map(len, rows))
    for name, value in rows.items():
        goal = GOALS[program].get(name)
        print(f"{name:{width}} {_figure(value):>12}   {f'goal {goal}' if goal else ''}".rstrip())
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "void": void}, indent=2) + "\n")
    for line in void:
        print(f"void: {line}", file=sys.stderr)
    failures = list(missed(program, rows))
    for line in failures:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if void or (failures and options.check) else 0


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _cells(measured: Measured, name: str, count: int) -> list[str]:
    cell = (name, count)
    rates = [sample.rate for sample in measured.samples[cell]]

    def middle(of: str, form: str) -> str:
        def value(sample: Sample) -> float:
            found: float = getattr(sample, of)
            return found

        return format(measured.middle(cell, value), form)

    return [
        name,
        str(count),
        middle("rate", ",.0f"),
        f"{min(rates):,.0f}-{max(rates):,.0f}",
        format(measured.ratio(cell, ("hop", count)), ".3f"),
        format(measured.ratio(cell, ("direct", count)), ".4f"),
        middle("p50_ms", ".3f"),
        format(measured.added_ms(cell, ("direct", count)), ".3f"),
        middle("p99_ms", ".2f"),
        middle("cpu_us", ".1f"),
        middle("rss_mib", ".0f"),
    ]
