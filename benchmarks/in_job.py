"""The benchmarks of rules in the job, as the command line asks for them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import TaskID

from benchmarks import (
    aggregate_log,
    log,
    report_jobs,
    report_swaps,
    rule_jobs,
    rule_log,
    servers,
    sql_jobs,
    swaps,
)
from benchmarks.bar import bar_on
from benchmarks.rule_log import USERS
from benchmarks.workload import Log
from stack import Stack

_EVENTS: Final = 2_000_000
_SQL_EVENTS: Final = 600_000
_TRIED_EVENTS: Final = 400_000
"""To see what the job can do before half of it is taken."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only these benchmarks know."""
    group = parser.add_argument_group("rules and swaps")
    group.add_argument(
        "--limit", type=float, default=rule_jobs.LIMIT_S, metavar="SECONDS",
        help="of rules: how long Flink CEP is watched at most [%(default)s]",
    )  # fmt: skip
    group.add_argument("--pushes", type=int, default=swaps.PUSHES, help="of swaps [%(default)s]")
    group.add_argument(
        "--gil", action=argparse.BooleanOptionalAction, default=True,
        help="of swaps: a second thread in the worker looks for gaps, which costs something itself",
    )  # fmt: skip


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a message if the options make no sense."""
    if options.limit <= 0:
        parser.error("--limit: more than 0")
    if options.pushes < 1:
        parser.error("--pushes: at least 1")
    if options.what == "swaps" and min(options.rules or [swaps.RULES]) < 2:
        parser.error("--rules: swaps needs at least 2, the first is never changed")


def run_rules(console: Console, options: argparse.Namespace) -> rule_jobs.Result:
    """Measure the job beside Flink CEP."""
    users = options.users or USERS
    sizes = options.rules or rule_jobs.SIZES
    plan = rule_jobs.Result(options.events or _EVENTS, users, options.limit)
    servers.make_room()
    with servers.running(console.print) as stack:
        counts = _fill(console, stack, plan.events, users)
        with bar_on(console) as bar:
            tasks: dict[str, TaskID] = {}

            def told(name: str, done: int) -> None:
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=plan.events)
                bar.update(tasks[name], completed=done)

            def ended(run: rule_jobs.Run) -> None:
                bar.console.print(
                    f"{run.job}, {run.rules:,} rules: {run.events_per_s:,.0f} events/s"
                )

            folder = stack.settings.run_dir
            result = rule_jobs.run(
                stack, plan, sizes, counts, options.rounds, folder, told, ended
            )  # fmt: skip
    report_jobs.print_rules(console, result)
    return result


def run_sql(console: Console, options: argparse.Namespace) -> sql_jobs.Result:
    """Measure the job with aggregates beside Flink SQL."""
    users = options.users or aggregate_log.USERS
    plan = sql_jobs.Result(options.events or _SQL_EVENTS, users, sql_jobs.COUNT)
    servers.make_room()
    with servers.running(console.print) as stack:
        make = aggregate_log.Traffic(users).spread
        counts = _fill(console, stack, plan.events, users, make)
        with bar_on(console) as bar:
            tasks: dict[str, TaskID] = {}

            def told(name: str, done: int) -> None:
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=plan.events)
                bar.update(tasks[name], completed=done)

            def ended(run: rule_jobs.Run) -> None:
                bar.console.print(
                    f"{run.job}, read at 1 of {run.rules} events: {run.events_per_s:,.0f} events/s"
                )

            folder = stack.settings.run_dir
            result = sql_jobs.run(stack, plan, counts, options.rounds, folder, told, ended)
    report_jobs.print_sql(console, result)
    return result


def _fill(
    console: Console,
    stack: Stack,
    events: int,
    users: int,
    make: Callable[[int, int], Iterator[Log]] | None = None,
) -> list[int]:
    with bar_on(console) as bar:
        task = bar.add_task("writing the log", total=events)
        return log.fill(
            stack.kafka_bootstrap,
            events,
            lambda done: bar.update(task, completed=done),
            make or rule_log.Traffic(users).log,
        )


def run_swaps(console: Console, options: argparse.Namespace) -> swaps.Swaps:
    """Measure what pushes of rules do to a running job."""
    users = options.users or USERS
    rules = options.rules[0] if options.rules else swaps.RULES
    with servers.running(console.print) as stack:
        rate = options.rate
        if rate is None:
            counts = _fill(console, stack, options.events or _TRIED_EVENTS, users)
            rate = _throughput(console, stack, rules, counts) / 2
        plan = swaps.Plan(
            rate, rules, users, options.seconds or swaps.SECONDS, options.pushes, options.gil
        )
        with bar_on(console) as bar:
            task = bar.add_task("swaps", total=None)
            found = swaps.run(stack, plan, lambda line: bar.update(task, description=line))
    report_swaps.print_swaps(console, found)
    return found


def _throughput(console: Console, stack: Stack, rules: int, counts: list[int]) -> float:
    """Give what the job can do with so many rules, from one round."""
    ours = rule_jobs.Many(rules)
    ours.publish(stack)
    with bar_on(console) as bar:
        task = bar.add_task(f"what it can do with {rules:,} rules", total=sum(counts))
        run, _ = rule_jobs.one(
            stack, ours, rules, 0, counts, math.inf,
            lambda _name, done: bar.update(task, completed=done),
        )  # fmt: skip
    console.print(f"with {rules:,} rules: {run.events_per_s:,.0f} events/s")
    return run.events_per_s
