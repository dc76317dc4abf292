"""How the demo looks: a live panel on a terminal, lines elsewhere. Pure: a moment in, text out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from stack.demo import scored
from stack.demo.tally import PATH, Tally, percentile


@dataclass(frozen=True, slots=True)
class Moment:
    """What is shown at one time.

    Args:
        elapsed_s: Since the first event.
        seconds: How long events are sent.
        produced: Events sent so far.
        produced_rate: Events sent a second, of late.
        applied_rate: Events applied a second, of late.
        counts: Applied, late, dead and doubled.
        flows: Decisions by flow.
        rate: Decisions a second, of late.
        latency_ms: (p50, p99) of late.
        scored: Scored decisions on the newest releases and versions; None if there are none.
        defaults: How often what is a default, in words.
        failed_reads: How many reads of a table have failed.
        revision: In force.
        news: What was pushed and answered, in a few words.
        examples: Last decision of each flow.
    """

    elapsed_s: float
    seconds: float
    produced: int
    produced_rate: float
    applied_rate: float
    counts: dict[str, int]
    flows: dict[str, int]
    rate: float
    latency_ms: tuple[float, float]
    scored: scored.Group | None
    defaults: str
    failed_reads: int
    revision: str
    news: str
    examples: dict[str, dict[str, Any]]


_RECENT_S = 5.0


def moment(
    tally: Tally, *, now_s: float, start_s: float, seconds: float, produced: int,
    produced_rate: float, news: str,
) -> Moment:  # fmt: skip
    """Give what is to be shown now."""
    since_s = max(start_s, now_s - _RECENT_S)
    latencies = tally.latencies_ms(since_s)
    return Moment(
        elapsed_s=now_s - start_s,
        seconds=seconds,
        produced=produced,
        produced_rate=produced_rate,
        applied_rate=tally.applied_rate(now_s),
        counts={name: tally.total(name) for name in PATH},
        flows=dict(sorted(tally.flows().items())),
        rate=tally.rate(since_s, now_s),
        latency_ms=(percentile(latencies, 0.5), percentile(latencies, 0.99)),
        scored=next(reversed(scored.groups(tally.decisions)), None),
        defaults=scored.by_reason(tally),
        failed_reads=tally.total("failed_reads"),
        revision=tally.in_force(),
        news=news,
        examples=dict(sorted(tally.examples.items())),
    )


def line(now: Moment) -> str:
    """Give one line, for where there is no terminal."""
    flows = " ".join(f"{flow} {count}" for flow, count in now.flows.items()) or "none yet"
    return (
        f"{now.elapsed_s:4.0f} s"
        f" | {now.produced_rate:5.0f} sent/s {now.applied_rate:5.0f} applied/s"
        f" | {flows} ({now.rate:.0f}/s) | p50 {_ms(now.latency_ms[0])} p99 {_ms(now.latency_ms[1])}"
        f" | {_scored(now.scored)}"
        f" | late {now.counts['late']} doubled {now.counts['doubled']} dead {now.counts['dead']}"
        f" | revision {now.revision}"
    )


def panel(now: Moment) -> RenderableType:
    """Give the live panel."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    table.add_row(
        "events",
        f"[b]{now.produced_rate:,.0f}[/b] sent/s   [b]{now.applied_rate:,.0f}[/b] applied/s   "
        f"{now.produced:,} in all",
    )
    table.add_row(
        "not applied",
        f"late {now.counts['late']:,}   doubled {now.counts['doubled']:,}   "
        f"dead letters {now.counts['dead']:,}",
    )
    table.add_row(
        "decisions",
        f"[b]{now.rate:,.0f}[/b]/s   "
        + "   ".join(f"{flow} {count:,}" for flow, count in now.flows.items()),
    )
    table.add_row("scores", _scored(now.scored))
    table.add_row("defaults", f"{now.defaults}   failed reads {now.failed_reads:,}")
    table.add_row(
        "latency", f"p50 {_ms(now.latency_ms[0])}   p99 {_ms(now.latency_ms[1])}   sent to decided"
    )
    table.add_row("revision", f"[b]{now.revision}[/b]   {now.news}")
    examples = Table.grid(padding=(0, 2))
    longest = max(map(len, now.examples), default=0)
    examples.add_column(style="dim", no_wrap=True, min_width=longest)
    examples.add_column(no_wrap=True, overflow="ellipsis")
    for flow, record in now.examples.items():
        examples.add_row(flow, escape(example(record)))
    title = f"millrace demo  {now.elapsed_s:.0f} of {now.seconds:.0f} s"
    return Panel(Group(table, "", examples), title=title, title_align="left")


def example(record: dict[str, Any]) -> str:
    """Give a decision in one line: to whom, what, why."""
    why = record["trigger"].get("rule") or "event"
    ids = len(record["trigger"]["event_ids"])
    return (
        f"{record['user_id']} {_json(record['payload'])} because of {why} "
        f"({ids} event{'s' if ids > 1 else ''}, revision {record['revision']})"
    )


def _scored(group: scored.Group | None) -> str:
    return "no scores" if group is None else f"{group.versions}: {scored.quantiles(group)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f} ms"
