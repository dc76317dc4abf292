"""The rule engine in memory beside Flink's NFA looped over the same rules; one core each."""

from __future__ import annotations

import contextlib
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.cores import quartiles
from benchmarks.flink_loop import FlinkLoop
from benchmarks.rule_workload import STEPS, Rules, Traffic
from benchmarks.sampling import counted, sampled
from udfs.errors import MillraceError
from udfs.events.event import Event
from udfs.matching import Machine, Match, Runs

SIZES: Final = (1, 10, 100, 1_000)
COMMON: Final = 0.1
RARE: Final = 0.001
SERIES: Final = (COMMON, RARE)
"""Share of its type's events for which a step's comparison holds."""

RATIO_BARS: Final = {1: 1.0, 100: 30.0, 1_000: 400.0}
"""By rules: how many times as fast as Flink's loop, in the first series."""

RARE_BAR: Final = 300_000.0
"""Events/s with 1,000 rules, in the second series."""

WARM_UP_S: Final = 600
"""Of event time: as long as the window, so that runs end as fast as they begin."""

_FLINK_CALLS: Final = 1_000_000  # of NFA.process in a round: one to two seconds
_FLINK_WARM_CALLS: Final = 3_000_000  # of the warm-up, the last of it: as the timed ones are
_MOST_EVENTS: Final = 200_000
_LEAST_EVENTS: Final = 25_000
_RULE_EVENTS: Final = 10_000_000
_PROFILE_S: Final = 4.0
_COUNTED_RULES: Final = 2_000_000  # times events: counting calls costs more than the calls
_MOST_COUNTED: Final = 20_000
_MOST_PROFILED: Final = 2_000_000
_GC_THRESHOLDS: Final = (100_000, 20, 20)  # as the job sets them
_MASK: Final = 2**64 - 1


class DisagreementError(MillraceError):
    """The two sides did not find the same."""


class Plan(msgspec.Struct, frozen=True):
    """How much is run.

    Args:
        rounds: Of everything.
        users: How many there are.
        per_user_seconds: Event time between two events of a user, on average.
        warm_up_s: Event time before the first round.
        events: Of a round; None for what suits the number of rules.
        flink: Whether Flink is run beside.
        profile_s: CPU time of the profile; 0 for none.
    """

    rounds: int = 5
    users: int = 1_000
    per_user_seconds: float = 1.0
    warm_up_s: float = WARM_UP_S
    events: int | None = None
    flink: bool = True
    profile_s: float = _PROFILE_S

    def events_of(self, rules: int) -> int:
        """How many events a round has."""
        fitting = min(_MOST_EVENTS, max(_LEAST_EVENTS, _RULE_EVENTS // rules))
        return fitting if self.events is None else self.events

    def traffic(self) -> Traffic:
        """Give the events."""
        return Traffic(self.users, 1_000 * self.per_user_seconds / self.users)

    @property
    def warm_up(self) -> int:
        """How many events come before the first round."""
        return int(self.warm_up_s * self.users / self.per_user_seconds)


class Part(msgspec.Struct, frozen=True):
    """A function of ours.

    Args:
        name: Module and function.
        share: Of the time, that of functions which it calls not included.
        ns: The same per event.
        calls: Per event.
    """

    name: str
    share: float
    ns: float
    calls: float


class Outcome(msgspec.Struct, frozen=True):
    """A rule set, measured.

    Args:
        share: See `SERIES`.
        rules: How many.
        events: Of ours in a round.
        ours: Events per second of CPU, each round.
        armed: The same with the next deadline looked up after every change, as a shard does.
        theirs: The same of Flink's loop; empty if it was not run.
        their_events: Of Flink's loop in a round.
        matches: In all.
        live: Partial matches per user at the end.
        parts: Where our time goes, the largest first.
    """

    share: float
    rules: int
    events: int
    ours: list[float]
    armed: list[float]
    theirs: list[float]
    their_events: int
    matches: int
    live: float
    parts: list[Part]

    @property
    def rate(self) -> float:
        """Median of our rounds."""
        return quartiles(self.ours)[0]

    @property
    def ratio(self) -> float | None:
        """How many times as fast as Flink's loop, by the medians."""
        return self.rate / quartiles(self.theirs)[0] if self.theirs else None

    @property
    def bar(self) -> tuple[str, bool] | None:
        """What is wanted and whether it is reached; None if nothing is."""
        if self.share == COMMON and self.rules in RATIO_BARS and self.ratio is not None:
            wanted = RATIO_BARS[self.rules]
            return f"≥ {wanted:g} times", self.ratio >= wanted
        if self.share == RARE and self.rules == max(SIZES):
            return f"≥ {RARE_BAR:,.0f} events/s", self.rate >= RARE_BAR
        return None


class Engine:
    """The machine in a plain loop, state in a dictionary.

    Args:
        rules: The rule set.
        traffic: Gives the events.
    """

    def __init__(self, rules: Rules, traffic: Traffic) -> None:
        manifest = rules.manifest()
        self.machine = Machine.compile(manifest)
        self._numbers = {rule["rule"]: number for number, rule in enumerate(manifest)}
        self.users = {name: Runs() for name in traffic.names}
        self.matches = 0
        self.digest = 0

    def run(self, events: Sequence[Event], *, armed: bool = False) -> float:
        """Process events.

        Args:
            events: Of all users, by time.
            armed: Look up the user's next deadline after every change.

        Returns:
            CPU seconds.
        """
        found: list[Match] = []
        loop = self._armed_loop if armed else self.loop
        began = time.process_time()
        loop(events, found)
        spent_s = time.process_time() - began
        self.note(found)
        return spent_s

    def note(self, found: Sequence[Match]) -> None:
        """Add matches to what was found so far."""
        self.matches += len(found)
        for match in found:
            mixed = self._numbers[match.rule]
            for step in STEPS:
                mixed = mixed * 1_000_003 + int(match.steps[step][0].event_id)
            self.digest = (self.digest + mixed) & _MASK

    def loop(self, events: Sequence[Event], found: list[Match]) -> None:
        """Process events and nothing else.

        Args:
            events: Of all users, by time.
            found: Gets the matches.
        """
        advance, users = self.machine.advance, self.users
        for event in events:
            user = event.user_id
            matches = advance(users[user], user, event, event.event_time)
            if matches:
                found += matches

    def _armed_loop(self, events: Sequence[Event], found: list[Match]) -> None:
        machine, users = self.machine, self.users
        for event in events:
            user = event.user_id
            runs = users[user]
            matches = machine.advance(runs, user, event, event.event_time)
            if runs.changed:
                runs.changed = False
                machine.next_deadline(runs)
            if matches:
                found += matches

    def live(self, now_ms: int) -> int:
        """Move everybody's time on, and count partial matches."""
        for user, runs in self.users.items():
            self.machine.due(runs, user, now_ms)
        live_runs = self.machine.live_runs
        return sum(sum(live_runs(runs, now_ms).values()) for runs in self.users.values())


def measure(
    share: float,
    count: int,
    plan: Plan,
    folder: Path,
    progress: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Measure one rule set.

    Args:
        share: See `SERIES`.
        count: How many rules.
        plan: How much is run.
        folder: For Java.
        progress: Told what is done.

    Raises:
        DisagreementError: The two sides do not find the same.
        StackError: Java does not run.
    """
    rules, traffic = Rules(count, share), plan.traffic()
    events = plan.events_of(count)
    their_events = min(events, max(_FLINK_CALLS // count, 1))
    ours: list[float] = []
    armed: list[float] = []
    theirs: list[float] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(as_in_the_job())
        engine = Engine(rules, traffic)
        flink = None
        if plan.flink:
            flink = stack.enter_context(FlinkLoop(folder, rules, plan.users))
        last = _FLINK_WARM_CALLS // count
        for done in _warm_up(engine, flink, traffic, plan.warm_up, last):
            progress(f"{count:,} rules: warm-up {done:,}/{plan.warm_up:,}")
        for number in range(plan.rounds):
            progress(f"{count:,} rules: round {number + 1}/{plan.rounds}")
            made = traffic.make(events)
            if flink is not None:
                # What `fast` left to be ended is ended before the clock runs.
                flink.live(int(made["time"][0]))
                theirs.append(their_events * 1e9 / flink.timed(made, their_events).told)
            ours.append(events / engine.run(traffic.events(made)))
        parts: list[Part] = []
        if plan.profile_s:
            progress(f"{count:,} rules: profile")
            parts = _profile(engine, flink, traffic, quartiles(ours)[0], plan.profile_s)
        for number in range(plan.rounds):
            # Behind all others: what the deadlines tell makes the plain loop faster for a while.
            progress(f"{count:,} rules: with deadlines {number + 1}/{plan.rounds}")
            made = traffic.make(events)
            armed.append(events / engine.run(traffic.events(made), armed=True))
            if flink is not None:
                flink.fast(made)
        live = engine.live(traffic.now_ms)
        if flink is not None:
            _compare(engine, live, flink, traffic.now_ms)
    return Outcome(
        share,
        count,
        events,
        ours,
        armed,
        theirs,
        their_events,
        engine.matches,
        live / plan.users,
        parts,
    )


def _warm_up(
    engine: Engine, flink: FlinkLoop | None, traffic: Traffic, events: int, their_last: int
) -> Iterator[int]:
    """Fill the users' states; the last of it goes through all rules, also in Flink.

    Yields:
        Events so far.
    """
    for made in traffic.chunks(events):
        engine.run(traffic.events(made))
        if flink is not None:
            if events - (traffic.made - len(made)) <= max(their_last, len(made)):
                flink.timed(made, min(len(made), their_last))
            else:
                flink.fast(made)
        yield traffic.made


def _compare(engine: Engine, live: int, flink: FlinkLoop, now_ms: int) -> None:
    answer = flink.live(now_ms)
    found = (engine.matches, engine.digest, live)
    wanted = (answer.matches, answer.digest & _MASK, answer.told)
    if found != wanted:
        raise DisagreementError(
            f"matches, their digest, partial matches: {found} of ours, {wanted} of Flink's NFA"
        )


def _profile(
    engine: Engine, flink: FlinkLoop | None, traffic: Traffic, rate: float, seconds: float
) -> list[Part]:
    """Look where our time goes in further events; Flink takes them off the clock."""
    count = min(_MOST_COUNTED, max(_COUNTED_RULES // len(engine.machine.rules), 1))

    def next_events(most: int) -> Sequence[Event]:
        made = traffic.make(most)
        if flink is not None:
            flink.fast(made)
        return traffic.events(made)

    few = next_events(count)
    found: list[Match] = []
    calls = counted(lambda: engine.loop(few, found))
    seen: Counter[str] = Counter()
    left = min(int(rate * seconds), _MOST_PROFILED)
    while left > 0:
        events = next_events(min(left, 50_000))
        left -= len(events)
        with sampled() as looked:
            engine.loop(events, found)
        seen.update(looked)
    engine.note(found)
    total = sum(seen.values()) or 1
    return [
        Part(name, times / total, times / total * 1e9 / rate, calls[name] / count)
        for name, times in seen.most_common()
    ]


@contextlib.contextmanager
def as_in_the_job() -> Iterator[None]:
    """Collect garbage as a worker does: not looking through what was there at its start."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
