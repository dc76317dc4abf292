"""Tables about rules in the job: speed beside Flink CEP."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks import sql_jobs
from benchmarks.contestants import FlinkCep
from benchmarks.cores import quartiles
from benchmarks.report import print_threads
from benchmarks.rule_jobs import BARS, KEPT_BAR, MOST_OPERATORS, Many, Result


def print_rules(console: Console, result: Result) -> None:
    """Print the comparison."""
    sizes = list(dict.fromkeys(each.rules for each in result.runs))
    table = Table(
        title=f"{result.events:,} events, {result.users:,} users, one slot; Flink for at most "
        f"{result.limit_s:.0f} s; events/s, medians and quartiles of "
        f"{len(result.rates(Many.name, sizes[0]))} rounds",
        title_justify="left",
    )
    for column in ("rules", "job", "events/s", "quartiles", "events", "decisions", "load before"):
        table.add_column(column, justify="left" if column == "job" else "right")
    for rules in sizes:
        for job in (Many.name, FlinkCep.name):
            own = [each for each in result.runs if (each.job, each.rules) == (job, rules)]
            if not own:
                continue
            middle, low, high = quartiles([each.events_per_s for each in own])
            loads = f"{min(each.load for each in own):.1f}-{max(each.load for each in own):.1f}"
            table.add_row(
                f"{rules:,}", job, f"{middle:,.0f}", f"{low:,.0f}-{high:,.0f}",
                f"{own[-1].events:,}" + ("" if own[-1].whole else " (time was up)"),
                f"{own[-1].decisions:,}", loads,
            )  # fmt: skip
    console.print(table)
    for line in verdicts(result):
        console.print(line)
    for rules in sizes:
        for job in (Many.name, FlinkCep.name):
            rounds = [r.cpu_us for r in result.runs if (r.job, r.rules) == (job, rules)]
            if any(rounds):
                print_threads(console, f"{job}, {rules:,} rules", rounds)


def print_sql(console: Console, result: sql_jobs.Result) -> None:
    """Print the comparison with Flink SQL."""
    table = Table(
        title=f"{result.events:,} events, {result.users:,} users, {result.aggregates} aggregates "
        "over the last hour, one slot; events/s, medians and quartiles",
        title_justify="left",
    )
    for column in ("read at 1 of", "job", "events/s", "quartiles", "decisions", "load before"):
        table.add_column(column, justify="left" if column == "job" else "right")
    for every in sql_jobs.EVERY:
        for job in (sql_jobs.Ours.name, sql_jobs.FlinkSql.name):
            own = [each for each in result.runs if (each.job, each.rules) == (job, every)]
            if own:
                middle, low, high = quartiles([each.events_per_s for each in own])
                loads = f"{min(each.load for each in own):.1f}-{max(each.load for each in own):.1f}"
                table.add_row(
                    f"{every}", job, f"{middle:,.0f}", f"{low:,.0f}-{high:,.0f}",
                    f"{own[-1].decisions:,}", loads,
                )  # fmt: skip
    console.print(table)
    for every in sql_jobs.EVERY:
        ours, theirs = (
            quartiles(result.rates(job, every))[0]
            for job in (sql_jobs.Ours.name, sql_jobs.FlinkSql.name)
        )
        console.print(
            f"read at 1 of {every}: {ours / theirs:.2f} times Flink SQL (ratio of medians)"
            + _rounds(result.ratios(every))
            + _bar(sql_jobs.BARS[every], ours / theirs)
        )
    for each in result.agreements:
        console.print(
            f"read at 1 of {each.every}: {each.values:,} values of {each.events:,} events "
            f"compared, {each.unequal:,} differ"
        )
    for every in sql_jobs.EVERY:
        for job in (sql_jobs.Ours.name, sql_jobs.FlinkSql.name):
            rounds = [r.cpu_us for r in result.runs if (r.job, r.rules) == (job, every)]
            if any(rounds):
                print_threads(console, f"{job}, read at 1 of {every}", rounds)


def verdicts(result: Result) -> list[str]:
    """Give ratios with their bars, what was left out, and whether the matches agree."""
    lines = []
    for rules in dict.fromkeys(each.rules for each in result.runs):
        theirs = result.rates(FlinkCep.name, rules)
        if theirs:
            overall = quartiles(result.rates(Many.name, rules))[0] / quartiles(theirs)[0]
            line = f"{rules:,} rules: {overall:.2f} times Flink CEP (ratio of medians)"
            line += _rounds(result.ratios(rules)) + _bar(BARS.get(rules), overall)
        else:
            line = f"{rules:,} rules: without Flink CEP, which would need {rules:,} operators, "
            line += f"each a thread with a copy of the stream; the most here is {MOST_OPERATORS}"
        lines.append(line)
        kept = result.kept(rules)
        if kept and rules > 1:
            middle = quartiles(kept)[0]
            bar = KEPT_BAR[1] if rules == KEPT_BAR[0] else None
            lines.append(
                f"{rules:,} rules: {middle:.2f} of our own rate with one (median of the rounds)"
                + _rounds(kept) + _bar(bar, middle)
            )  # fmt: skip
        lines.extend(_agreement(result, rules))
    return lines


def _agreement(result: Result, rules: int) -> list[str]:
    found = [each for each in result.agreements if each.rules == rules]
    if not found:
        return []
    unshared = sum(each.unshared for each in found)
    matches, rare = (
        sum(each.matches for each in found),
        sum(each.of_rare for each in found),
    )
    told = "equal" if not unshared else f"{unshared:,} NOT shared"
    if not matches:
        told = "nothing to compare: too few events"
    line = f"{rules:,} rules: matches compared in {len(found)} rounds: {matches:,}, {rare:,} of "
    line += f"them not of the marker rule, over {sum(each.events for each in found):,} events"
    return [f"{line}: {told}"]


def _rounds(ratios: list[float]) -> str:
    middle, low, high = quartiles(ratios)
    return f"; round by round {middle:.2f}, quartiles {low:.2f}-{high:.2f}"


def _bar(bar: float | None, found: float) -> str:
    if bar is None:
        return ""
    return f"; wanted {bar:g}: {'kept' if found >= bar else 'NOT kept'}"
