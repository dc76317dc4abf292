"""Tables for people, JSON for programs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.cores import Stage, quartiles
from benchmarks.decisions import BAR_US, Cost, Costs
from benchmarks.latency import Latency
from benchmarks.servers import BENCH
from benchmarks.throughput import Result


def print_stages(console: Console, stages: Sequence[Stage]) -> None:
    """Print where the time goes in the cores."""
    table = Table(title="The cores in plain Python, CPU µs per event", title_justify="left")
    table.add_column("up to here")
    for column in ("median", "adds", "quartiles"):
        table.add_column(column, justify="right")
    before = 0.0
    for stage in stages:
        whole = not stage.name.startswith(("+", "decode"))
        adds = "" if whole else f"{stage.us - before:.2f}"
        before = stage.us
        table.add_row(stage.name, f"{stage.us:.2f}", adds, f"{stage.low:.2f}-{stage.high:.2f}")
    console.print(table)


def print_decisions(console: Console, all_costs: Sequence[Costs]) -> None:
    """Print what a decision costs, for each size of a batch."""
    for costs in all_costs:
        table = Table(
            title=f"CPU µs a decision, batches of {costs.size}, {costs.rounds} rounds",
            title_justify="left",
        )
        table.add_column("what")
        for column in ("median", "quartiles", "share"):
            table.add_column(column, justify="right")
        whole = costs.wholes[0]
        for each in costs.wholes:
            _add_cost(table, each, each.name, 0.0)
        table.add_section()
        for part in costs.parts:
            _add_cost(table, part, part.name, whole.us)
        table.add_row("rest", f"{costs.rest:.2f}", "", f"{costs.rest / whole.us:.0%}")
        table.add_section()
        for each in costs.shard:
            _add_cost(table, each, f"in a shard: {each.name}", 0.0)
        console.print(table)
        kept = "kept" if whole.us <= BAR_US else "NOT kept"
        console.print(f"{whole.name}, batches of {costs.size}: {BAR_US:.0f} µs are {kept}")


def _add_cost(table: Table, cost: Cost, name: str, whole_us: float) -> None:
    share = f"{cost.us / whole_us:.0%}" if whole_us else ""
    table.add_row(name, f"{cost.us:.2f}", f"{cost.low:.2f}-{cost.high:.2f}", share)


def print_throughput(console: Console, result: Result) -> None:
    """Print the comparison."""
    names = list(dict.fromkeys(each.job for each in result.rounds))
    table = Table(
        title=f"{result.events:,} events, {len(result.rates(names[0]))} rounds each, one slot",
        title_justify="left",
    )
    for column in ("job", "events/s", "quartiles", "decisions", "load before"):
        table.add_column(column, justify="left" if column == "job" else "right")
    for name in names:
        middle, low, high = quartiles(result.rates(name))
        own = [each for each in result.rounds if each.job == name]
        loads = f"{min(each.load for each in own):.1f}-{max(each.load for each in own):.1f}"
        table.add_row(
            name, f"{middle:,.0f}", f"{low:,.0f}-{high:,.0f}", f"{own[-1].decisions:,}", loads
        )
    console.print(table)
    middle, low, high = quartiles(result.ratios(names[0], names[1]))
    overall = result.median(names[0]) / result.median(names[1])
    console.print(
        f"{names[0]} : {names[1]} = {overall:.2f} (ratio of medians); "
        f"round by round {middle:.2f}, quartiles {low:.2f}-{high:.2f}"
    )
    agree = "the same" if result.matches_equal else f"{result.unshared:,} NOT shared"
    console.print(f"matches compared: {result.matches:,}, {agree}")
    for name in names:
        print_threads(console, name, [r.cpu_us for r in result.rounds if r.job == name])


def print_threads(console: Console, name: str, rounds: Sequence[dict[str, float]]) -> None:
    """Print where a TaskManager's CPU time goes.

    Args:
        console: Where to.
        name: Whose TaskManager.
        rounds: CPU µs per event by kind of thread, in each round.
    """
    groups = {group for each in rounds for group in each}
    middles = {g: quartiles([each.get(g, 0.0) for each in rounds])[0] for g in groups}
    total = sum(middles.values())
    table = Table(title=f"{name}: CPU µs per event in the TaskManager, by thread",
                  title_justify="left")  # fmt: skip
    table.add_column("thread")
    table.add_column("µs", justify="right")
    shown = {group: us for group, us in middles.items() if us >= 0.005 * total}
    for group, us in sorted(shown.items(), key=lambda item: -item[1]):
        table.add_row(group, f"{us:.2f}")
    table.add_row("all others", f"{total - sum(shown.values()):.2f}")
    table.add_row("together", f"{total:.2f}")
    console.print(table)


def print_latency(console: Console, latency: Latency) -> None:
    """Print the latency."""
    console.print(
        f"latency at {latency.reached:,.0f} events/s (asked for {latency.rate:,.0f}), "
        f"{latency.decisions:,} decisions, load before {latency.load:.1f}:"
    )
    console.print(
        f"  p50 {latency.p50:.0f} ms   p90 {latency.p90:.0f} ms   p99 {latency.p99:.0f} ms   "
        f"max {latency.most:.0f} ms   (producer late p99 {latency.lateness_p99:.0f} ms)"
    )


def write(results: dict[str, Any]) -> Path:
    """Write everything as JSON.

    Returns:
        Where.
    """
    BENCH.mkdir(parents=True, exist_ok=True)
    stamp = dt.datetime.now(tz=dt.UTC).strftime("%Y%m%d-%H%M%S")
    path = BENCH / f"results-{stamp}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    return path
