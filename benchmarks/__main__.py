"""``python -m benchmarks [WHAT]``; see docs/benchmarks.md.

cores: the shards without a JVM. decisions: a scored decision and its parts, without servers.
throughput: beside a Flink CEP job. scoring: the job with and without scores. latency.
matching: rules beside Flink's NFA, in memory. state: what runs take in it. load: of rules.
aggregation: aggregates in memory: speed, state, reading.
rules: the job with 1 to 1,000 rules beside Flink CEP. swaps: how long a push of rules holds up
the stream. sql: the job with 100 aggregates beside Flink SQL. all: but the last three.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress

from benchmarks import (
    aggregates,
    contestants,
    cores,
    decisions,
    in_job,
    latency,
    log,
    report,
    rules,
    scoring,
    servers,
    swaps,
    throughput,
)
from benchmarks.bar import bar_on
from benchmarks.progress import LEAST_EVENTS
from stack import Stack
from udfs.errors import MillraceError

_CORE_EVENTS: Final = 100_000
_LOG_EVENTS: Final = 2_000_000
_NEED_LOG: Final = ("throughput", "scoring", "latency", "all")
_BUSY: Final = 1.0
_SECONDS: Final = 30.0
_WARM_UP_S: Final = 30.0  # of latency: Java compiles itself, as in the first half of a log


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for.

    Returns:
        Exit code.
    """
    options = _options(arguments)
    # Ended from outside, it stops its stack like after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    console = Console(highlight=False, soft_wrap=True)
    busy = servers.load()
    console.print(f"machine: {servers.machine()}; load {busy[0]:.2f} {busy[1]:.2f} {busy[2]:.2f}")
    if busy[0] > _BUSY:
        console.print("the machine is busy with other work: these figures prove nothing")
    results: dict[str, Any] = {"machine": servers.machine(), "load": busy, "options": vars(options)}
    wanted = options.what
    try:
        for name, measured in _ALONE.items():
            if wanted in (name, "all"):
                results[name] = measured(console, options)
        if wanted in _OWN_SERVERS:
            results[wanted] = _OWN_SERVERS[wanted](console, options)
        if wanted in _NEED_LOG:
            _on_log(console, options, results)
    except MillraceError as error:
        console.print(f"benchmarks: {error}")
        return 1
    console.print(f"written to {report.write(results)}")
    return 0


def _on_log(console: Console, options: argparse.Namespace, results: dict[str, Any]) -> None:
    """Run what has servers, and reads the log of shop events or makes such events."""
    wanted = options.what
    with servers.running(console.print) as stack:
        if wanted != "latency":
            counts = _log(console, stack, options)
        if wanted in ("throughput", "all"):
            results["throughput"] = _throughput(console, stack, counts, options)
        if wanted in ("scoring", "all"):
            results["scoring"] = _scoring(console, stack, counts, options)
        if wanted in ("latency", "all"):
            rate = options.rate or _half(results)
            results["latency"] = _latency(console, stack, rate, options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", default="all",
        choices=(*_ALONE, *_OWN_SERVERS, *_NEED_LOG),
    )  # fmt: skip
    parser.add_argument(
        "--events", type=int,
        help=f"in the log [{_LOG_EVENTS}]; of a round of matching [by the number of rules]; "
        f"before the sample of state [{rules.EVENTS_A_USER} a user]",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="of everything [%(default)s]")
    parser.add_argument(
        "--rate", type=float, help="events/s of latency and swaps [half of the throughput]"
    )
    parser.add_argument(
        "--seconds", type=float, help=f"of latency [{_SECONDS:.0f}]; of either part of swaps "
        f"[{swaps.SECONDS:.0f}]",
    )  # fmt: skip
    rules.add_options(parser)
    in_job.add_options(parser)
    aggregates.add_options(parser)
    options = parser.parse_args(arguments)
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a message if the options make no sense."""
    if options.what == "latency" and options.rate is None:
        parser.error("latency alone needs --rate; 'all' takes half of the measured throughput")
    if (
        options.what in (*_NEED_LOG, "rules", "sql")
        and (options.events or _LOG_EVENTS) < LEAST_EVENTS
    ):
        parser.error(f"--events: at least {LEAST_EVENTS}, or start-up is all there is to see")
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    rules.check_options(parser, options)
    in_job.check_options(parser, options)


def _half(results: dict[str, Any]) -> float:
    measured: throughput.Result = results["throughput"]
    return measured.median(contestants.Millrace.name) / 2


def _cores(console: Console, options: argparse.Namespace) -> Any:
    with bar_on(console) as bar:
        task = bar.add_task("cores", total=None)
        stages = cores.measure(
            _CORE_EVENTS, options.rounds, lambda line: bar.update(task, description=line)
        )
    report.print_stages(console, stages)
    return stages


def _decisions(console: Console, options: argparse.Namespace) -> Any:
    with bar_on(console) as bar:
        task = bar.add_task("decisions", total=None)
        costs = decisions.measure(options.rounds, lambda line: bar.update(task, description=line))
    report.print_decisions(console, costs)
    return costs


_ALONE: Final[dict[str, Callable[[Console, argparse.Namespace], Any]]] = {
    "cores": _cores,
    "decisions": _decisions,
    "matching": rules.run_matching,
    "state": rules.run_state,
    "load": rules.run_load,
    "aggregation": aggregates.run,
}
"""What needs no servers."""

_OWN_SERVERS: Final[dict[str, Callable[[Console, argparse.Namespace], Any]]] = {
    "rules": in_job.run_rules,
    "swaps": in_job.run_swaps,
    "sql": in_job.run_sql,
}
"""What has servers and a log of its own; too long for ``all``."""


def _log(console: Console, stack: Stack, options: argparse.Namespace) -> list[int]:
    events = options.events or _LOG_EVENTS
    with bar_on(console) as bar:
        task = bar.add_task("writing the log", total=events)
        return log.fill(
            stack.kafka_bootstrap, events, lambda done: bar.update(task, completed=done)
        )


def _throughput(
    console: Console, stack: Stack, counts: list[int], options: argparse.Namespace
) -> Any:
    with bar_on(console) as bar:
        jobs: list[contestants.Contestant] = [
            contestants.Millrace(),
            contestants.FlinkCep(contestants.build(stack)),
        ]
        result = throughput.run(stack, jobs, counts, options.rounds, *_told(bar, sum(counts)))
    report.print_throughput(console, result)
    return result


def _scoring(console: Console, stack: Stack, counts: list[int], options: argparse.Namespace) -> Any:
    with bar_on(console) as bar:
        told, ended = _told(bar, sum(counts))
        result = scoring.measure(stack, counts, options.rounds, told, ended, bar.console.print)
    report.print_throughput(console, result)
    return result


def _told(bar: Progress, events: int) -> tuple[throughput.Told, Callable[[throughput.Round], None]]:
    """Show how far each job has come, and how each round has ended."""
    tasks: dict[str, Any] = {}

    def told(name: str, done: int) -> None:
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=events)
        bar.update(tasks[name], completed=done)

    def ended(each: throughput.Round) -> None:
        bar.console.print(f"{each.job}: {each.events_per_s:,.0f} events/s")

    return told, ended


def _latency(console: Console, stack: Stack, rate: float, options: argparse.Namespace) -> Any:
    seconds = options.seconds or _SECONDS
    warm_up_s = _WARM_UP_S + seconds / 2
    with bar_on(console) as bar:
        task = bar.add_task(f"{rate:,.0f} events/s", total=warm_up_s + seconds)
        found = latency.run(
            stack, rate, warm_up_s, seconds, lambda s: bar.update(task, completed=s)
        )
    report.print_latency(console, found)
    return found


if __name__ == "__main__":
    sys.exit(main())
