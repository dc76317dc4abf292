"""Tables about rules: speed beside Flink's NFA, state, loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.cores import quartiles
from benchmarks.matching import Outcome, Plan
from benchmarks.rule_load import BAR_S, Load, Round
from benchmarks.rule_state import BAR_US, State

_PARTS: Final = 12


def print_matching(console: Console, outcomes: Sequence[Outcome], plan: Plan) -> None:
    """Print the comparison, a table a series, then where our time goes."""
    for share in dict.fromkeys(each.share for each in outcomes):
        table = Table(
            title=f"a step's comparison holds for 1 in {1 / share:g} of its type's events; "
            f"{plan.users:,} users, {plan.rounds} rounds, events per second of CPU",
            title_justify="left",
        )
        for column in ("rules", "millrace", "with deadlines", "Flink's NFA", "ratio",
                       "runs a user", "matches"):  # fmt: skip
            table.add_column(column, justify="right")
        shown = [each for each in outcomes if each.share == share]
        for each in shown:
            theirs = f"{quartiles(each.theirs)[0]:,.0f}" if each.theirs else ""
            table.add_row(
                f"{each.rules:,}", f"{each.rate:,.0f}", f"{quartiles(each.armed)[0]:,.0f}", theirs,
                "" if each.ratio is None else f"{each.ratio:.2f}",
                f"{each.live:,.1f}", f"{each.matches:,}",
            )  # fmt: skip
        console.print(table)
        for each in shown:
            _print_spread(console, each)
    if plan.flink:
        console.print("matches, their events and the partial matches agree")
    for each in outcomes:
        if each.parts:
            _print_parts(console, each)


def _print_spread(console: Console, each: Outcome) -> None:
    _, low, high = quartiles(each.ours)
    line = f"rules: {each.rules:,}; {1e9 / each.rate:,.0f} ns an event; "
    line += f"quartiles {low:,.0f}-{high:,.0f}"
    if each.theirs:
        _, low, high = quartiles(each.theirs)
        line += f", Flink's {low:,.0f}-{high:,.0f}"
    bar = each.bar
    if bar is not None:
        line += f"; {bar[0]} {'kept' if bar[1] else 'NOT kept'}"
    console.print(line)


def _print_parts(console: Console, outcome: Outcome) -> None:
    table = Table(
        title=f"rules: {outcome.rules:,}, 1 in {1 / outcome.share:g}; where our time goes, sampled",
        title_justify="left",
    )
    table.add_column("function")
    for column in ("share", "ns an event", "calls an event"):
        table.add_column(column, justify="right")
    shown = outcome.parts[:_PARTS]
    for part in shown:
        table.add_row(part.name, f"{part.share:.0%}", f"{part.ns:,.0f}", f"{part.calls:,.2f}")
    rest = sum(part.ns for part in outcome.parts[_PARTS:])
    table.add_row("all others", f"{1 - sum(part.share for part in shown):.0%}", f"{rest:,.0f}", "")
    console.print(table)


def print_states(console: Console, states: Sequence[State]) -> None:
    """Print what runs take in state, and what reading and writing them costs."""
    for state in states:
        table = Table(
            title=f"{state.rules:,} rules, {state.users:,} users after {state.events:,} events "
            f"({state.with_runs:,} have runs); {state.sample:,} events more, each through the "
            "stored form",
            title_justify="left",
        )
        table.add_column("of an event")
        for column in ("mean", "p50", "p99"):
            table.add_column(column, justify="right")
        size = state.size_bytes
        table.add_row(size.name, *(f"{value:,.0f}" for value in (size.mean, size.p50, size.p99)))
        timed = (state.read_us, state.write_us, state.both_us, state.advance_us, state.resident_us)
        for each in timed:
            figures = (each.mean, each.p50, each.p99)
            table.add_row(f"{each.name}, µs", *(f"{value:,.1f}" for value in figures))
        console.print(table)
        kept = "kept" if state.both_us.mean <= BAR_US else "NOT kept"
        console.print(f"decode and encode, mean: {BAR_US:.0f} µs are {kept}")


def print_loads(console: Console, measured: Sequence[Sequence[Round]]) -> None:
    """Print how long rule sets take to be loaded."""
    for rounds in measured:
        first = rounds[0]
        table = Table(
            title=f"{first.rules:,} rules, {first.json_bytes / 1000:,.0f} kB of JSON, "
            f"{first.texts:,} different conditions ({first.cache_bytes / 1000:,.0f} kB compiled); "
            f"CPU ms, medians of {len(rounds)} processes",
            title_justify="left",
        )
        table.add_column("load")
        for column in ("read cache", "parse", "check", "compile", "together"):
            table.add_column(column, justify="right")
        for ways in zip(*(each.loads for each in rounds), strict=True):
            table.add_row(ways[0].name, *_middles(ways))
        console.print(table)
        together = quartiles([each.loads[0].together for each in rounds])[0]
        kept = "kept" if together <= BAR_S else "NOT kept"
        console.print(f"parse, check and compile as new: {BAR_S:g} s are {kept}")


def _middles(ways: Sequence[Load]) -> list[str]:
    columns = (
        [way.cache for way in ways],
        [way.parse for way in ways],
        [way.check for way in ways],
        [way.compile for way in ways],
        [way.together for way in ways],
    )
    return [f"{quartiles(column)[0] * 1000:,.1f}" for column in columns]
