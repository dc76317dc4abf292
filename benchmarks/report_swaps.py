"""Tables about pushes of rules into a running job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.in_worker.marks import GAP_MS
from benchmarks.swap_times import LONG_MS, Part, Spread
from benchmarks.swaps import BAR, Swaps

_PLACES: Final = 8
_KEEPS_UP: Final = 0.95
"""Of the events that are produced so many must be worked off."""

_ROWS: Final[tuple[tuple[str, Callable[[Part], Spread]], ...]] = (
    ("batches", lambda part: part.batches),
    ("all calls", lambda part: part.calls),
    ("latency of decisions", lambda part: part.latency),
)


def print_swaps(console: Console, found: Swaps) -> None:
    """Print both parts, each push, and what held the GIL."""
    plan = found.plan
    table = Table(
        title=f"{plan.rules:,} rules, {found.reached:,.0f} events/s (asked for {plan.rate:,.0f}), "
        f"{plan.users:,} users, {plan.pushes} pushes in {plan.seconds:.0f} s; ms; load before "
        f"{found.load:.1f}, producer late p99 {found.lateness_p99:.0f} ms",
        title_justify="left",
    )
    for column in ("part", "what", "count", "p50", "p99", "p99.9", "max"):
        table.add_column(column, justify="left" if column in ("part", "what") else "right")
    for part in (found.alone, found.pushed):
        for name, spread in (*((name, of(part)) for name, of in _ROWS), *part.by_kind.items()):
            table.add_row(
                part.name if name == "batches" else "", name, f"{spread.count:,}",
                *(f"{ms:.1f}" for ms in (spread.p50, spread.p99, spread.p999, spread.most)),
            )  # fmt: skip
        table.add_section()
    console.print(table)
    for part in (found.alone, found.pushed):
        console.print(
            f"{part.name}: {part.events / part.seconds:,.0f} events/s worked off, in calls "
            f"{part.busy:.0%} of the time; {part.long:,} calls longer than {LONG_MS:.0f} ms, "
            f"{part.long_ms:,.0f} ms together"
        )
    for line in verdicts(found):
        console.print(line)
    _print_pushes(console, found)
    for part in (found.alone, found.pushed):
        _print_gaps(console, part)


def verdicts(found: Swaps) -> list[str]:
    """Give the ratios of the part with pushes to the other, with the bar."""
    lines = []
    if found.alone.events < _KEEPS_UP * found.reached * found.alone.seconds:
        lines.append("the job did not keep up even when left alone: choose a lower --rate")
    for name, of in _ROWS:
        alone, pushed = of(found.alone), of(found.pushed)
        if not alone.count or not pushed.count:
            lines.append(f"{name}: nothing to compare")
            continue
        ratio = pushed.p999 / alone.p999
        line = f"{name}: p99.9 with pushes is {ratio:.2f} times that without; wanted at most "
        line += f"{BAR:g}: {'kept' if ratio <= BAR else 'NOT kept'}; "
        lines.append(f"{line}longest {pushed.most / alone.most:.2f} times")
    return lines


def _print_pushes(console: Console, found: Swaps) -> None:
    table = Table(title="pushes, ms after each was published", title_justify="left")
    for column in ("revision", "worker ready", "committed", "worker's call", "ended as"):
        table.add_column(column, justify="right")
    for push in found.pushes:
        times_ms = (push.ready, push.committed, push.prepare)
        cells = ["" if ms is None else f"{ms:,.0f}" for ms in times_ms]
        table.add_row(str(push.revision), *cells, push.ended)
    console.print(table)
    times = Spread.of(push.committed for push in found.pushes if push.committed is not None)
    console.print(
        f"{times.count} of {len(found.pushes)} committed: "
        f"p50 {times.p50:,.0f} ms, longest {times.most:,.0f} ms"
    )


def _print_gaps(console: Console, part: Part) -> None:
    if part.gaps is None:
        console.print(f"{part.name}: no sampler ran")
        return
    held = [gap for gap in part.gaps if gap.held]
    minutes = part.seconds / 60
    console.print(
        f"{part.name}: the sampler waited longer than {GAP_MS} ms {len(part.gaps) / minutes:,.0f} "
        f"times a minute, at most {max((gap.ms for gap in part.gaps), default=0.0):,.0f} ms; "
        f"for the working thread {len(held) / minutes:,.0f} times, "
        f"at most {max((gap.held_ms for gap in held), default=0.0):,.0f} ms"
    )
    longest: dict[str, list[float]] = {}
    for gap in part.gaps:
        if gap.held:
            longest.setdefault(f"the working thread, then in {gap.main}", []).append(gap.held_ms)
        elif gap.ms - gap.queued_ms > GAP_MS:
            for other in gap.others:
                longest.setdefault(f"perhaps another thread, then in {other}", []).append(gap.ms)
    for who, times in sorted(longest.items(), key=lambda item: -max(item[1]))[:_PLACES]:
        console.print(f"  {len(times):,} times, at most {max(times):,.0f} ms: {who}")
