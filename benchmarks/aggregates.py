"""The benchmarks of aggregates, as the command line asks for them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from benchmarks import aggregation, report_aggregates
from benchmarks.bar import bar_on

_EACH: Final = 100_000
"""Events of a round."""
_BUSY_SPECS: Final = 100
_SIZE_EVENTS: Final = 1_000


class Found(msgspec.Struct, frozen=True):
    """What was measured."""

    speeds: list[aggregation.Speed]
    busy: list[aggregation.Busy]
    size: aggregation.Size


def add_options(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked for."""
    parser.add_argument("--plots", metavar="FOLDER", help="of aggregation: where charts are drawn")


def run(console: Console, options: argparse.Namespace) -> Found:
    """Measure the engine alone."""
    quick = options.quick
    users = options.users or (50 if quick else aggregation.USERS)
    each = 2_000 if quick else _EACH
    per_user = aggregation.PER_USER[:2] if quick else aggregation.PER_USER
    with bar_on(console) as bar:
        task = bar.add_task("aggregates", total=None)

        def told(line: str) -> None:
            bar.update(task, description=line)

        speeds = aggregation.measure_speed(aggregation.SIZES, users, options.rounds, each, told)
        busy = aggregation.measure_busy(per_user, _BUSY_SPECS, told)
        size = aggregation.measure_size(_BUSY_SPECS, _SIZE_EVENTS, told)
    report_aggregates.print_speed(console, speeds)
    report_aggregates.print_busy(console, busy)
    report_aggregates.print_size(console, size)
    if options.plots is not None:
        folder = Path(options.plots)
        folder.mkdir(parents=True, exist_ok=True)
        for name, drawn in report_aggregates.plots(speeds, busy).items():
            path = folder / f"{name}.svg"
            path.write_text(drawn)
            console.print(f"drawn to {path}")
    return Found(speeds, busy, size)
