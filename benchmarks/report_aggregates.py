"""Tables about aggregates: speed, one busy user, state and reading."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.aggregate_workload import ALL_HOLD
from benchmarks.aggregation import (
    AIM_ANY_US,
    AIM_HOT_US,
    BAR,
    BAR_SHARE,
    MOST_TOUCHED,
    Busy,
    Size,
    Speed,
)
from benchmarks.cores import quartiles
from benchmarks.plot import chart

_BAR_SPECS = 100


def print_speed(console: Console, speeds: Sequence[Speed]) -> None:
    """Print events per second by number of specs."""
    table = Table(
        title="two events of a user through its stored state, 1 in 100 read; CPU",
        title_justify="left",
    )
    table.add_column("series")
    for column in ("specs", "events/s", "quartiles", "µs an event", "touched", "bytes a user"):
        table.add_column(column, justify="right")
    for each in speeds:
        median, low, high = quartiles(each.rates)
        table.add_row(
            each.series, f"{each.specs:,}", f"{median:,.0f}", f"{low:,.0f}-{high:,.0f}",
            f"{1e6 / median:.1f}", f"{each.touched:g}", f"{each.blob_bytes:,.0f}",
        )  # fmt: skip
    console.print(table)
    for each in speeds:
        if each.specs == _BAR_SPECS and each.series == ALL_HOLD.name:
            kept = "kept" if each.rate >= BAR else "NOT kept"
            console.print(f"{each.specs} specs: {BAR:,.0f} events/s are {kept}")
    for one, many in growth(speeds):
        console.print(
            f"{one.series}: {many.specs / one.specs:,.0f} times the specs of {one.specs}, "
            f"{one.rate / many.rate:.1f} times the cost"
        )


def growth(speeds: Sequence[Speed]) -> list[tuple[Speed, Speed]]:
    """Give the fewest and the most specs of each series."""
    by_series: dict[str, list[Speed]] = {}
    for each in speeds:
        by_series.setdefault(each.series, []).append(each)
    return [(found[0], found[-1]) for found in by_series.values() if len(found) > 1]


def print_busy(console: Console, found: Sequence[Busy]) -> None:
    """Print what one user costs, by events in the window."""
    table = Table(title="one user; 100 specs, windows up to a day; µs", title_justify="left")
    for column in ("events a day", "update", "stored", "read all", "touched bytes", "bytes"):
        table.add_column(column, justify="right")
    for each in found:
        table.add_row(
            f"{each.events:,}", f"{each.update_us:.1f}", f"{each.stored_us:.1f}",
            f"{each.read_us:.1f}", f"{each.touched_bytes:,.0f}", f"{each.blob_bytes:,}",
        )  # fmt: skip
    console.print(table)
    most = max(each.touched_bytes for each in found)
    kept = "kept" if most <= MOST_TOUCHED else "NOT kept"
    console.print(f"at most {MOST_TOUCHED:,} bytes are touched for an event: {most:,.0f}, {kept}")


def print_size(console: Console, size: Size) -> None:
    """Print state and reading of one user."""
    console.print(
        f"{size.specs} specs, {size.events:,} events, {size.values:,} retained values: "
        f"{size.bytes_each:.2f} bytes each, pickled {size.pickled_each:.1f}"
    )
    share = size.bytes_each / size.pickled_each
    console.print(
        f"{share:.3f} of the pickled; 1/3 is {'kept' if share <= BAR_SHARE else 'NOT kept'}"
    )
    console.print(
        f"reading one value again: p50 {size.again_p50_us:.1f} µs, p99 {size.again_p99_us:.1f} "
        f"(aim {AIM_HOT_US:g}); after an event: p50 {size.first_p50_us:.1f} µs, "
        f"p99 {size.first_p99_us:.1f} (aim {AIM_ANY_US:g})"
    )


def plots(speeds: Sequence[Speed], busy: Sequence[Busy]) -> dict[str, str]:
    """Draw the cost by specs and by events in the window.

    Returns:
        SVG by name.
    """
    by_series: dict[str, list[tuple[float, float]]] = {}
    for each in speeds:
        by_series.setdefault(each.series, []).append((each.specs, 1e6 / each.rate))
    by_events = {
        "one event": [(one.events, one.update_us) for one in busy],
        "decode, one event, encode": [(one.events, one.stored_us) for one in busy],
        "all values": [(one.events, one.read_us) for one in busy],
    }
    return {
        "aggregates_by_specs": chart(
            "An event through stored state", "aggregates", "µs of CPU", by_series
        ),
        "aggregates_by_events": chart(
            "One user, 100 aggregates", "events in the longest window", "µs", by_events
        ),
    }
