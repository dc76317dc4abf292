"""The end of the demo: what it came to, and whether it is what it should be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from stack.demo import scored
from stack.demo.panel import example
from stack.demo.pushed import Pushed
from stack.demo.tally import PATH, Tally, percentile


@dataclass(frozen=True, slots=True)
class Run:
    """What the demo did, beside what it saw.

    Args:
        produced: Events sent.
        first: In force at the start.
        pushes: On the way, in order; the first one changes the rule.
        start_s: When the first event was sent, on the clock of `Tally.sent_s`.
        start_ms: The same, ms since the epoch.
        end_ms: When the last event was sent.
        parallelism: How many subtasks had to answer.
    """

    produced: int
    first: Pushed
    pushes: tuple[Pushed, ...]
    start_s: float
    start_ms: int
    end_ms: int
    parallelism: int


_SETTLE_S = 5.0
"""After the start: the job is cold, and sequences that began before were not seen."""


def rates(tally: Tally, run: Run) -> tuple[float, float]:
    """Give decisions a second of the changed flow before and after the rule was changed.

    In event time: on a busy machine the job lags, and what it decides does not change by that.
    After it means until the next push, which changes more.
    """
    before = run.first.revision
    after, *later = (push.revision for push in run.pushes)
    switched_ms = tally.switched_ms(scored.FLOW, after) or run.end_ms
    times = [tally.switched_ms(scored.FLOW, revision) for revision in later]
    until_ms = min((time for time in times if time is not None), default=run.end_ms)
    settle_ms = min(_SETTLE_S * 1_000, (run.end_ms - run.start_ms) / 8)
    return (
        tally.event_rate(scored.FLOW, before, run.start_ms + settle_ms, switched_ms),
        tally.event_rate(scored.FLOW, after, switched_ms, until_ms),
    )


def answers(tally: Tally, push: Pushed, parallelism: int) -> str:
    """Give what became of a push, and how fast."""
    found = tally.answers(push.revision)
    ready = f"{found.get('READY', 0)} READY of {parallelism}"
    committed_ms = tally.answered_ms(push.revision, "COMMITTED")
    if committed_ms is None:
        return f"{ready}, not committed"
    return f"{ready}, COMMITTED {committed_ms - push.published_ms:,.0f} ms after it was published"


def summary(tally: Tally, run: Run) -> list[str]:
    """Give the closing lines."""
    before, after = rates(tally, run)
    latencies = tally.latencies_ms(run.start_s + _SETTLE_S)
    lines = [f"{run.produced:,} events sent, {tally.total('in'):,} taken in:"]
    lines += [f"  {tally.total(name):8,} {name}" for name in PATH]
    reasons = ", ".join(f"{reason} {count}" for reason, count in tally.dead.most_common())
    lines += [f"dead letters by reason: {reasons or 'none'}"]
    lines += [f"{len(tally.decisions):,} decisions:"]
    for flow, count in sorted(tally.flows().items()):
        lines += [f"  {count:8,} {flow}, e.g. {example(tally.examples[flow])}"]
    lines += scored.summary(tally)
    lines.append(
        f"latency from sending the event to reading the decision: "
        f"p50 {percentile(latencies, 0.5):.0f} ms, p99 {percentile(latencies, 0.99):.0f} ms "
        f"({len(latencies):,} decisions, without the first {_SETTLE_S:.0f} s)"
    )
    for push in run.pushes:
        told = answers(tally, push, run.parallelism)
        lines += [f"revision {push.revision}, {push.what}: {told}"]
    lines += [
        f"in force: {tally.in_force()}",
        (
            f"the flow {scored.FLOW} before the rule was changed: {before:.1f}/s, "
            f"after it: {after:.1f}/s"
        ),
    ]
    return lines


def faults(tally: Tally, run: Run) -> list[str]:
    """Give what is not as it should be; nothing if all is well."""
    found = []
    if not tally.decisions:
        found.append("there was no decision")
    for push in run.pushes:
        if "COMMITTED" in tally.answers(push.revision):
            continue
        told = [
            f"{ack['where']}: {ack['problem']}"
            for answer in tally.acks
            if answer["revision"] == push.revision
            for ack in answer.get("reasons", ())
        ]
        why = "; ".join(told) or f"acks: {tally.answers(push.revision) or 'none'}"
        found.append(f"revision {push.revision} ({push.what}) was not committed ({why})")
    if not found:
        found += scored.faults(tally, [run.first, *run.pushes])
    return found + _miscounted(tally, run.produced)


def _miscounted(tally: Tally, produced: int) -> list[str]:
    found = []
    taken = tally.total("in")
    if taken != produced:
        found.append(f"{produced} events were sent, {taken} taken in")
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
