"""The end of the demo: what it came to, and whether it is what it should be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from stack.demo.panel import example
from stack.demo.tally import PATH, Tally, percentile


@dataclass(frozen=True, slots=True)
class Run:
    """What the demo did, beside what it saw.

    Args:
        produced: Events sent.
        revisions: Before and after the push.
        flow: Whose rule was changed.
        start_s: When the first event was sent, on the clock of `Tally.sent_s`.
        start_ms: The same, ms since the epoch.
        end_ms: When the last event was sent.
        parallelism: How many subtasks had to answer.
    """

    produced: int
    revisions: tuple[int, int]
    flow: str
    start_s: float
    start_ms: int
    end_ms: int
    parallelism: int


_SETTLE_S = 5.0
"""After the start: the job is cold, and sequences that began before were not seen."""


def rates(tally: Tally, run: Run) -> tuple[float, float]:
    """Give decisions a second of the changed flow before and after the push.

    In event time: on a busy machine the job lags, and what it decides does not change by that.
    """
    before, after = run.revisions
    switched_ms = tally.switched_ms(run.flow, after)
    if switched_ms is None:
        switched_ms = run.end_ms
    settle_ms = min(_SETTLE_S * 1_000, (run.end_ms - run.start_ms) / 8)
    return (
        tally.event_rate(run.flow, before, run.start_ms + settle_ms, switched_ms),
        tally.event_rate(run.flow, after, switched_ms, run.end_ms),
    )


def summary(tally: Tally, run: Run) -> list[str]:
    """Give the closing lines."""
    before, after = rates(tally, run)
    first, second = run.revisions
    answers = tally.answers(second)
    latencies = tally.latencies_ms(run.start_s + _SETTLE_S)
    lines = [f"{run.produced:,} events sent, {tally.total('in'):,} taken in:"]
    lines += [f"  {tally.total(name):8,} {name}" for name in PATH]
    reasons = ", ".join(f"{reason} {count}" for reason, count in tally.dead.most_common())
    lines += [f"dead letters by reason: {reasons or 'none'}"]
    lines += [f"{len(tally.decisions):,} decisions:"]
    for flow, count in sorted(tally.flows().items()):
        lines += [f"  {count:8,} {flow}, e.g. {example(tally.examples[flow])}"]
    lines += [
        (
            f"latency from sending the event to reading the decision: "
            f"p50 {percentile(latencies, 0.5):.0f} ms, p99 {percentile(latencies, 0.99):.0f} ms "
            f"({len(latencies):,} decisions, without the first {_SETTLE_S:.0f} s)"
        ),
        (
            f"revision {second}: {answers.get('READY', 0)} READY of {run.parallelism}, "
            f"{'COMMITTED' if 'COMMITTED' in answers else 'not committed'}; "
            f"in force: {tally.in_force()}"
        ),
        (
            f"the flow {run.flow} before the push (revision {first}): {before:.1f}/s, "
            f"after it (revision {second}): {after:.1f}/s"
        ),
    ]
    return lines


def faults(tally: Tally, run: Run) -> list[str]:
    """Give what is not as it should be; nothing if all is well."""
    found = []
    _, second = run.revisions
    if not tally.decisions:
        found.append("there was no decision")
    if "COMMITTED" not in tally.answers(second):
        told = [
            f"{ack['where']}: {ack['problem']}"
            for answer in tally.acks
            if answer["revision"] == second
            for ack in answer.get("reasons", ())
        ]
        why = "; ".join(told) or f"acks: {tally.answers(second) or 'none'}"
        found.append(f"revision {second} was not committed ({why})")
    elif not any(seen.revision == second for seen in tally.decisions):
        found.append(f"there was no decision under revision {second}")
    taken = tally.total("in")
    if taken != run.produced:
        found.append(f"{run.produced} events were sent, {taken} taken in")
    if taken != tally.accounted():
        parts = " + ".join(f"{tally.total(name)} {name}" for name in PATH)
        found.append(f"counts do not agree: in {taken} is not {parts}")
    for name, read in (("late", tally.late), ("dead", tally.dead.total())):
        if read != tally.total(name):
            found.append(f"{tally.total(name)} {name} were counted, {read} lie on the topic")
    if len(tally.decisions) != tally.total("decisions"):
        found.append(
            f"{tally.total('decisions')} decisions were counted, {len(tally.decisions)} lie on the "
            "topic"
        )
    return found
