"""All rules as one machine: events in, matches out, runs of one user as the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.matching import census, codec, handover, lines, making, plain, queues
from udfs.matching.chain import Taken
from udfs.matching.check import DEFAULT_MAX_RUNS
from udfs.matching.conditions import cel
from udfs.matching.costs import Sampler
from udfs.matching.found import Found, in_order
from udfs.matching.predicates import Compiler, Predicate
from udfs.matching.rule import CompiledRule
from udfs.matching.runs import Entry, Runs, deadline_of
from udfs.matching.turn import Turn
from udfs.matching.watch import Watch
from udfs.slices import finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from udfs.events.event import Event
    from udfs.expressions import CodeCache
    from udfs.expressions.ladder import Ladder
    from udfs.matching.chain_layout import Layout
    from udfs.matching.chains import ChainIndex
    from udfs.matching.ladders import Start, Starts
    from udfs.matching.making import Parts
    from udfs.matching.result import Match
    from udfs.slices import Work


class Machine:
    """A compiled rule set. It never changes but for its counters.

    Attributes:
        rules: The compiled rules, in the order given.
        event_types: Types that can change anything; None for all.
        overflowed: By rule name: partial matches dropped because of ``max_runs``.
        unknown_runs: Runs dropped on decoding because their rule is gone or has changed.
        watch: Counts matches and keeps back those in the shadow; None keeps back nothing.
        sampler: Accounts for what each rule costs; None until `sample`.
    """

    def __init__(self, parts: Parts) -> None:
        """Use `compile` instead."""
        self.rules: tuple[CompiledRule, ...] = parts.rules
        self.overflowed: dict[str, int] = {}
        self._expression_errors = parts.errors
        self.unknown_runs = 0
        self._has_gaps = any(rule.has_gaps for rule in self.rules)
        self._by_hash = {rule.structure_hash: rule for rule in self.rules}
        self._predicates = parts.predicates
        self._chains = parts.chains
        self._wakes = parts.wakes
        self._others = self._chains is None or len(self._chains.chains) < len(self.rules)
        self.event_types = self._event_types()
        current = self.rules[: parts.current]
        self.watch: Watch | None = Watch([rule.spec for rule in current])
        self.sampler: Sampler | None = None

    @classmethod
    def compile(
        cls,
        rules: Sequence[Mapping[str, Any]],
        cache: CodeCache | None = None,
        where: str = "rules",
        *,
        default_max_runs: int | None = DEFAULT_MAX_RUNS,
        compiler: Compiler | None = None,
        previous: Sequence[Mapping[str, Any]] = (),
        chains: bool = True,
        before: Machine | None = None,
        layout: Layout | None = None,
    ) -> Machine:
        """Do `compiling` in one go."""
        return finish(
            cls.compiling(
                rules, cache, where, default_max_runs=default_max_runs, compiler=compiler,
                previous=previous, chains=chains, before=before, layout=layout,
            )
        )  # fmt: skip

    @classmethod
    def compiling(
        cls,
        rules: Sequence[Mapping[str, Any]],
        cache: CodeCache | None = None,
        where: str = "rules",
        *,
        default_max_runs: int | None = DEFAULT_MAX_RUNS,
        compiler: Compiler | None = None,
        previous: Sequence[Mapping[str, Any]] = (),
        chains: bool = True,
        before: Machine | None = None,
        layout: Layout | None = None,
    ) -> Work[Machine]:
        """Compile a rule set, a rule at a time.

        Args:
            rules: As decoded from JSON; see docs/rules.md.
            cache: Of compiled expressions.
            where: JSON path of the list, for messages.
            default_max_runs: Cap of rules that name none; None for no cap.
            compiler: Of ``where`` texts, in place of CEL.
            previous: Rules of the set before; those that a new one with ``state: finish_old``
                replaces keep their runs until their window has passed.
            chains: Whether rules that are chains are worked off together; the answers are the
                same.
            before: What was in force before: its state is taken over more quickly.
            layout: `Machine.layout` of what has written the state, if `before` is not known.

        Returns:
            The machine.

        Raises:
            ConfigInvalid: With all the faults of all the rules.
        """
        parts = yield from making.parts_of(
            rules, where, default_max_runs, compiler or cel(cache), previous,
            chains=chains, before=None if before is None else before.chain_index, layout=layout,
        )  # fmt: skip
        return cls(parts)

    def _event_types(self) -> frozenset[str] | None:
        types, index = self._wakes.event_types, self._chains
        if index is not None and index.others is not None:
            return None
        return types

    @property
    def predicates(self) -> tuple[Predicate, ...]:
        """All conditions, each distinct one once, by index."""
        return self._predicates

    @property
    def chain_index(self) -> ChainIndex | None:
        """The rules that are worked off together, None if there are none."""
        return self._chains

    @property
    def layout(self) -> Layout | None:
        """What the bits of the chains stand for, None if there are no chains."""
        return None if self._chains is None else self._chains.layout

    @property
    def expression_errors(self) -> int:
        """How often a condition ended in an error, which is false."""
        return self._expression_errors()

    def steps_by_rule(self) -> dict[str, tuple[str, ...]]:
        """Give the names of each rule's steps, by the rule's name."""
        return {rule.name: rule.step_names for rule in self.rules if not rule.finishing}

    def sample(self, clock: Callable[[], float], every: int = 256) -> None:
        """Account for what each rule costs, from now on (see `Sampler`).

        Args:
            clock: Gives seconds.
            every: One processed event in so many is measured.
        """
        self.sampler = Sampler(self.rules, clock, every)

    def live_runs(self, runs: Runs, now: int) -> dict[int, int]:
        """Count the partial matches of each rule (by index) that has any.

        Those whose window has passed may be among them until `due` or `advance` has noticed.

        Args:
            runs: The user's.
            now: The user's rule time, ms.
        """
        self._open(runs)
        return census.live_runs(runs, self._chains, now)

    def decode(self, blob: bytes, clock: int | None = None) -> Runs:
        """Read the runs of a user; those of unknown rules are dropped and counted. HOT.

        Args:
            blob: What `encode` gave; no bytes for no runs.
            clock: Rule time at which the user was left, ms, if it is known: a run of another rule
                set whose time was over by then is not taken over. Bits do not tell when they were
                looked at last.

        Raises:
            StateIncompatible: Another version, or broken.
        """
        if not blob:
            return Runs()
        found = codec.decode(blob, self._by_hash, self._chains, clock)
        if found is None:
            found = codec.unpack(blob, self._by_hash, self._chains, self._predicates, clock)
            found[0].dirty = True
        runs, unknown = found
        if runs.dirty:
            self.unknown_runs += unknown
            runs.changed = True
            runs.deadline_exact = False
            self.next_deadline(runs)
        return runs

    def encode(self, runs: Runs) -> bytes:
        """Write the runs of a user: the very blob they came from if nothing changed. HOT.

        Args:
            runs: Made by `decode`.
        """
        if runs.dirty:
            runs.blob = (
                codec.encode(runs, self.rules, self.next_deadline(runs), self._chains)
                if runs
                else b""
            )
            runs.dirty = False
        return runs.blob

    def advance(self, runs: Runs, user_id: str, event: Event, now: int) -> list[Match]:
        """Move the user's clock on, then process an event. HOT.

        Args:
            runs: The user's; changed in place.
            user_id: Who it is.
            event: What happened.
            now: The user's rule time, never below an earlier one.

        Returns:
            First what deadlines up to `now` gave, by time; then what the event completed;
            each by rule, then by start of the run.
        """
        deadline = runs.deadline
        matches = [] if deadline is None or deadline > now else self._expire(runs, user_id, now)
        if self.sampler is not None and self.sampler.due():
            live = census.places(runs, self._by_hash, self._chains)
            with self.sampler.measure(runs, live, *self._concerned(runs, event)):
                matches += self._apply(runs, user_id, event, now)
        else:
            matches += self._apply(runs, user_id, event, now)
        if self._has_gaps and runs.deadline is not None and runs.deadline <= now:
            # Passing an event over can lead to where the time is over already.
            matches += self._expire(runs, user_id, now, settled=now)
        return self._sifted(matches) if matches else matches

    def _concerned(self, runs: Runs, event: Event) -> tuple[list[int], list[int]]:
        """Give the buckets that an event may change, and the rules that it may begin."""
        index = self._wakes
        woken = index.buckets.get(event.event_type, index.buckets_other)
        starts = index.starts.get(event.event_type, index.starts_other).starts
        begins = [number for _, rules in starts for number in rules]
        if self._chains is not None:
            begins += self._chains.concerned(runs.chains, event)
        return [number for number in runs.buckets if number in woken], begins

    def _apply(self, runs: Runs, user_id: str, event: Event, now: int) -> list[Match]:
        """Process an event after what was due before it. HOT."""
        found: list[Found] = []
        taken: list[Taken] = []
        entry: Entry | None = None
        begun: dict[int, None] = {}
        index = self._chains
        if index is not None:
            chains = runs.chains
            if chains is not None and chains.count >= chains.cap:
                self._open(runs)
                handover.unburden(runs, index, now)
                self.next_deadline(runs)
            entry, eager = index.step(runs, event, now, taken)
            if eager:
                for number in index.numbers_of(eager):
                    begun[index.chains[number].rule.index] = None
        if self._others or begun or runs.queues or runs.buckets or runs.packed is not None:
            self._apply_alone(runs, event, now, entry, begun, found)
        if entry is not None:
            runs.next_order = entry.order + 1
            chains = runs.chains
            if chains is None:
                runs.deadline_exact = False
            elif runs.deadline is None or chains.check_at < runs.deadline:
                runs.deadline = chains.check_at
        if found:
            return in_order([*found, *(one.to_found() for one in taken)], user_id)
        return [one.to_match(user_id) for one in taken] if taken else []

    def _apply_alone(
        self,
        runs: Runs,
        event: Event,
        now: int,
        entry: Entry | None,
        begun: dict[int, None],
        found: list[Found],
    ) -> None:
        """Process an event in the rules whose runs are kept one by one. HOT."""
        wake = self._wakes
        event_type = event.event_type
        starts = wake.starts.get(event_type, wake.starts_other)
        woken = wake.buckets.get(event_type, wake.buckets_other)
        touched: Iterable[int] = ()
        if runs.packed is not None and not runs.wakes.isdisjoint(woken):
            self._open(runs)
        if runs.buckets:
            touched = [number for number in runs.buckets if number in woken]
        asked: dict[int, bool] = {}
        if starts.ladders:
            self._climb(starts.ladders, event, asked, begun)
        if (
            touched
            or (runs.queues and _awaited(runs, woken))
            or begun
            or (starts.others and self._begins(starts.others, event, asked))
        ):
            turn = Turn(event, entry or Entry(0, now, None, event), self._predicates, self.rules)
            turn.outcomes = asked
            self._process(runs, turn, (starts.others, touched, woken), begun, found)
            if turn.taken and entry is None:
                runs.next_order += 1

    def _open(self, runs: Runs) -> None:
        if runs.packed is not None:
            codec.open_runs(runs, self._by_hash)

    def _climb(
        self,
        ladders: Iterable[Ladder[Start]],
        event: Event,
        asked: dict[int, bool],
        begun: dict[int, None],
    ) -> None:
        """Note the rules that begin because of a comparison. HOT.

        Args:
            ladders: Those of the event's type.
            event: The event.
            asked: Gets the outcomes that are known now.
            begun: Gets the rules.
        """
        for ladder in ladders:
            holding = ladder.holding(event.props)
            if holding is None:
                holding = []
                for start in ladder.members:
                    condition = self._predicates[start[0]].condition
                    outcome = asked[start[0]] = condition is None or condition(event, None, None)
                    if outcome:
                        holding.append(start)
            for number, rules in holding:
                asked[number] = True
                for rule in rules:
                    begun[rule] = None

    def _begins(self, starts: Starts, event: Event, asked: dict[int, bool]) -> bool:
        """Whether any rule may begin here: asked before anything is prepared for it. HOT.

        Args:
            starts: Start predicates of the event's type.
            event: The event.
            asked: Gets the outcomes, so that no predicate is asked twice.
        """
        for number, _ in starts:
            predicate = self._predicates[number]
            if predicate.of_run:
                return True
            condition = predicate.condition
            if condition is None or condition(event, None, None):
                asked[number] = True
                return True
            asked[number] = False
        return False

    def _process(  # noqa: C901 - one pass, because it is hot
        self,
        runs: Runs,
        turn: Turn,
        concerned: tuple[Starts, Iterable[int], frozenset[int]],
        begun: dict[int, None],
        found: list[Found],
    ) -> None:
        """Process an event that concerns a start state or a run. HOT."""
        starts, touched, woken = concerned
        asked = turn.outcomes
        for predicate, rules in starts:
            if asked[predicate] if predicate in asked else turn.ask(predicate):
                begun.update(dict.fromkeys(rules))
        if begun:
            self._open(runs)
        turn.entry.order = runs.next_order
        born = plain.step(runs, turn, touched, found) if touched else []
        for number in begun:
            rule = self.rules[number]
            if not rule.skips:
                born += plain.begin(turn, rule, found)
        if born:
            for number in plain.file(runs, born, self.rules):
                self._count_overflow(number, plain.trim(runs, self.rules[number]))
        for number in {*runs.queues, *begun} if runs.queues else begun:
            rule = self.rules[number]
            if rule.skips:
                begins = number in begun
                step = lines.step if rule.in_line else queues.step
                dropped = step(runs, rule, turn, woken, found, begins=begins)
                if dropped:
                    self._count_overflow(number, dropped)

    def due(self, runs: Runs, user_id: str, now: int) -> list[Match]:
        """Move the user's clock on without an event.

        Args:
            runs: The user's; changed in place.
            user_id: Who it is.
            now: The user's rule time, never below an earlier one.

        Returns:
            Absences and time-outs, by deadline, then by rule, then by start of the run.
        """
        if runs.deadline is None or runs.deadline > now:
            return []
        return self._sifted(self._expire(runs, user_id, now))

    def _sifted(self, matches: list[Match]) -> list[Match]:
        """Keep back the matches of rules in the shadow."""
        return matches if self.watch is None else self.watch.sift(matches)

    def _expire(self, runs: Runs, user_id: str, now: int, settled: int = 0) -> list[Match]:
        self._open(runs)
        found: list[Found] = []
        plain.expire(runs, self.rules, now, found, settled)
        for number in list(runs.queues):
            rule = self.rules[number]
            if rule.in_line:
                lines.expire(runs, rule, now, found)
            else:
                queues.expire(runs, rule, now, found, settled)
        runs.deadline_exact = False
        if self._chains is not None and runs.chains is not None and runs.chains.check_at <= now:
            handover.tidy(runs, self._chains, now)
        self.next_deadline(runs)
        return in_order(found, user_id)

    def next_deadline(self, runs: Runs) -> int | None:
        """Give the earliest time at which `due` has something to do, ms; None for never.

        Args:
            runs: The user's.
        """
        if not runs.deadline_exact:
            ends = [
                deadline
                for bucket in runs.buckets.values()
                for run in bucket
                if (deadline := deadline_of(run.state, run.node)) is not None
            ]
            for number, found in runs.queues.items():
                first = queues.first_deadline(self.rules[number], found)
                if first is not None:
                    ends.append(first)
            if runs.chains is not None:
                ends.append(runs.chains.check_at)
            if runs.packed is not None and runs.packed.deadline is not None:
                ends.append(runs.packed.deadline)  # of runs that were not looked at yet
            runs.deadline = min(ends, default=None)
            runs.deadline_exact = True
        return runs.deadline

    def _count_overflow(self, number: int, dropped: int) -> None:
        if dropped:
            name = self.rules[number].name
            self.overflowed[name] = self.overflowed.get(name, 0) + dropped


def _awaited(runs: Runs, woken: frozenset[int]) -> bool:
    """Whether an event concerns a run of a rule with a skip strategy. HOT."""
    for waiting in runs.queues.values():  # noqa: SIM110 - any() costs twice as much
        if waiting.woken_by(woken):
            return True
    return False
