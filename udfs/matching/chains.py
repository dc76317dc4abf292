"""Rules that are plain sequences, all of them at once: bits say who waits, the events who matches.

Most rules are chains: step after step with ``followed_by``, conditions that look at the event
alone, a window. What the runs of such a rule are follows from the user's events: each event
that fits the first step begins a run, and each run takes the first later event that fits its
next step. So no run is kept. For each rule and each step but the last one bit says whether a run
*may* wait there; an event moves all bits that wait for it at once (the Shift-And automaton of
Baeza-Yates and Gonnet, on an integer). Only when a bit leaves the last position are the rule's
runs worked out, from the events that may still matter (`udfs.matching.tracks`): windows that
have passed are seen then. A bit too many costs a look; there is never one too few.

An event's bits come from its type and from sorted comparisons (`udfs.matching.ladders`): one
search for each property, however many rules compare it.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

import msgspec

from udfs.matching.automaton import Kind as StateKind
from udfs.matching.bits import Bits, Kind
from udfs.matching.found import Found
from udfs.matching.result import Match
from udfs.matching.runs import Entry, Node
from udfs.matching.spec import Skip
from udfs.matching.tracks import Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from udfs.events.event import Event
    from udfs.matching.automaton import Move, State
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule
    from udfs.matching.runs import Runs

LONGEST: Final = 16
"""Events of a chain; longer rules are run one by one."""

MOST: Final = 8_192
"""Positions of a rule set: bits for each, and for each number compared with, take up to 50 MB."""


class Step(msgspec.Struct, frozen=True, eq=False):
    """A step of a chain.

    Args:
        number: Of the step in the rule.
        masks: The bit of its predicate, by kind of event.
        kind: The kind, if there is but one.
        mask: The bit for it; 0 if there are several.
    """

    number: int
    masks: dict[str | None, int]
    kind: str | None
    mask: int


class Chain(msgspec.Struct, frozen=True, eq=False):
    """A rule that is a chain.

    Args:
        rule: The rule.
        steps: What it takes, in order.
        states: Where a run stands that has taken so many steps.
        within_ms: Its window.
        past_last: Whether a match ends all runs, those that the same event begins too.
        bits: Its positions.
        front: All steps but the last.
        names: Names of the steps.
        repeats: Whether a step is taken more than once.
    """

    rule: CompiledRule
    steps: tuple[Step, ...]
    states: tuple[State, ...]
    within_ms: int
    past_last: bool
    bits: int
    front: tuple[Step, ...]
    names: tuple[str, ...]
    repeats: bool


class Taken(msgspec.Struct, gc=False, eq=False):
    """A match of a chain.

    Args:
        chain: Whose.
        entries: What each step has taken.
    """

    chain: Chain
    entries: list[Entry]

    def to_match(self, user_id: str) -> Match:
        """Write it down. HOT."""
        chain, entries = self.chain, self.entries
        spec = chain.rule.spec
        if chain.repeats:
            steps: dict[str, list[Event]] = {}
            for name, entry in zip(chain.names, entries, strict=True):
                steps.setdefault(name, []).append(entry.value())
        else:
            steps = {
                name: [entry.event or entry.value()]
                for name, entry in zip(chain.names, entries, strict=True)
            }
        return Match(
            spec.name, spec.version, "match", user_id, entries[-1].time, steps, entries[0].time
        )

    def to_found(self) -> Found:
        """Give it as the other rules' matches are."""
        first = self.entries[0]
        node: Node | None = None
        for step, entry in zip(self.chain.steps, self.entries, strict=True):
            node = Node(node, step.number, entry, first)
        assert node is not None
        return Found(self.chain.rule, node, node.entry.time, "match")


class Chains:
    """What is kept of one user.

    Attributes:
        waiting: Positions at which a run may wait.
        floors: By chain: no run that began with this order or an earlier one is alive.
        tracks: The events, by kind.
        check_at: When to look for events that nobody needs any more, ms.
        newest: Rule time of the newest event kept, ms.
        eager: Positions of the chains whose runs are kept one by one.
        count: Events kept, those included that were pruned since it was last looked at.
        cap: From so many events on, a rule may have too many runs.
    """

    __slots__ = ("cap", "check_at", "count", "eager", "floors", "newest", "tracks", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        self.floors: dict[int, int] = {}
        self.tracks: dict[str | None, Track] = {}
        self.check_at = 0
        self.newest = 0
        self.eager = 0
        self.count = 0
        self.cap: float = math.inf


class ChainIndex:
    """The chains of a rule set.

    Args:
        rules: Rules for which `is_chain` holds.
        table: The predicates of the machine, by index.

    Attributes:
        chains: The chains.
        digest: 8 bytes that change when bits lose their meaning.
        kinds: What events do, by type.
        others: What an event of any other type does, None for nothing.
        longest_ms: The longest window.
        by_hash: Numbers of the chains, by structure hash.
        names: Structure hash and number of positions of each chain, 9 bytes.
    """

    def __init__(self, rules: Sequence[CompiledRule], table: Sequence[Predicate]) -> None:
        self._final = 0
        self._at: list[int] = []
        """The chain of each position."""
        uses: dict[int, list[int]] = {}
        chains = []
        taken = []
        for number, rule in enumerate(rules):
            moves, states = _path(rule)
            base = len(self._at)
            count = len(moves) - 1
            self._at += [number] * count
            self._final |= 1 << (base + count - 1)
            for place, move in enumerate(moves):
                use = uses.setdefault(move.needs[0][0], [0, 0])
                use[place > 0] |= 1 << (base + max(place - 1, 0))
            taken.append((rule, moves, states, ((1 << count) - 1) << base))
        named = sorted({name for index in uses for name in table[index].types or ()})
        masks: dict[int, dict[str | None, int]] = {index: {} for index in uses}
        found: dict[str | None, Kind] = {}
        for name in (*named, None):
            members: list[tuple[Predicate, Bits]] = []
            for index, (begins, moves_on) in uses.items():
                if table[index].may_hold(name):
                    mask = masks[index][name] = 1 << len(members)
                    members.append((table[index], (mask, begins, moves_on)))
            if members:
                found[name] = Kind(members)
        for rule, moves, states, bits in taken:
            steps = tuple(_step(move.step, masks[move.needs[0][0]]) for move in moves)
            within_ms = rule.spec.within_ms
            assert within_ms is not None
            past_last = rule.spec.skip is Skip.PAST_LAST
            names = tuple(rule.step_names[move.step] for move in moves)
            repeats = len(set(names)) < len(names)
            chains.append(
                Chain(rule, steps, states, within_ms, past_last, bits, steps[:-1], names, repeats)
            )
        self.chains = tuple(chains)
        self.others = found.pop(None, None)
        self.kinds: Mapping[str | None, Kind] = found
        self.longest_ms = max(chain.within_ms for chain in chains)
        self.by_hash = {chain.rule.structure_hash: place for place, chain in enumerate(chains)}
        self.names = b"".join(
            chain.rule.structure_hash + bytes([len(chain.steps) - 1]) for chain in chains
        )
        self.digest = hashlib.sha256(self.names).digest()[:8]
        caps: dict[int, int] = {}
        for chain in chains:
            cap = chain.rule.spec.max_runs
            if cap is not None:
                caps[cap] = caps.get(cap, 0) | chain.bits
        self._caps = sorted(caps.items())

    def step(  # noqa: C901 - one pass, because it is hot
        self, runs: Runs, event: Event, now: int, found: list[Taken]
    ) -> tuple[Entry | None, int]:
        """Process an event. HOT.

        Args:
            runs: The user's; their chains are changed in place.
            event: The event.
            now: Rule time, ms.
            found: Gets the matches, in the order in which they leave.

        Returns:
            The event if it was taken; and the positions of the chains that begin with it, but
            whose runs are kept one by one.
        """
        kind = self.kinds.get(event.event_type, self.others)
        if kind is None:
            return None, 0
        chains = runs.chains
        waiting = 0 if chains is None else chains.waiting
        if not (kind.begins or kind.moves & waiting):
            return None, 0
        holds, begins, moves = kind.bits(event, waiting)
        eager = 0
        if chains is not None and chains.eager:
            eager = begins & chains.eager
            begins ^= eager
        moves &= waiting
        if not (moves or begins):
            return None, eager
        entry = Entry(runs.next_order, now, None, event)
        if chains is None:
            chains = runs.chains = Chains()
            self.fit(chains)
        if moves:
            final = moves & self._final
            moves ^= final
            waiting = (waiting ^ final ^ moves) | (moves << 1)
            if final:
                ended = self._finish(chains, final, entry, found)
                if ended:
                    waiting &= ~ended
                    begins &= ~ended
        waiting |= begins
        chains.waiting = waiting
        if begins or moves:
            self._keep(chains, event.event_type, entry, holds)
        if not waiting and not chains.eager:
            runs.chains = None
        runs.dirty = runs.changed = True
        return entry, eager

    def concerned(self, chains: Chains | None, event: Event) -> list[int]:
        """Give the rules (by index) that an event may begin, or whose runs it may move on."""
        kind = self.kinds.get(event.event_type, self.others)
        if kind is None:
            return []
        waiting = 0 if chains is None else chains.waiting
        bits = kind.begins | (kind.moves & waiting)
        return [self.chains[number].rule.index for number in self.numbers_of(bits)]

    def tidy(self, chains: Chains, now: int) -> bool:
        """Forget what no run can need any more.

        Args:
            chains: The user's; changed in place.
            now: Rule time, ms.

        Returns:
            Whether anything is left.
        """
        until = now - self.longest_ms
        for name, track in list(chains.tracks.items()):
            track.prune(until)
            if not len(track):
                del chains.tracks[name]
        chains.count = sum(map(len, chains.tracks.values()))
        if not chains.tracks:
            chains.waiting = 0
            chains.floors.clear()
            return False
        oldest = min(track.orders[0] for track in chains.tracks.values())
        chains.floors = {
            number: floor for number, floor in chains.floors.items() if floor >= oldest
        }
        chains.check_at = chains.newest + self.longest_ms
        return True

    def runs(self, chains: Chains, number: int, now: int) -> Iterator[tuple[State, Node]]:
        """Give the runs of a chain, the oldest first, each with the state in which it stands.

        Args:
            chains: The user's.
            number: Which chain.
            now: Rule time, ms.
        """
        chain = self.chains[number]
        alive_from = now - chain.within_ms
        floor = chains.floors.get(number, -1)
        while True:
            first = _next(chains.tracks, chain.steps[0], floor, alive_from)
            if first is None:
                return
            floor = first.order
            node = Node(None, chain.steps[0].number, first, first)
            taken = 1
            for step in chain.steps[1:-1]:
                entry = _next(chains.tracks, step, node.entry.order, -1)
                if entry is None:
                    break
                node = Node(node, step.number, entry, first)
                taken += 1
            yield chain.states[taken], node

    def positions(self, chains: Chains, number: int, now: int) -> int:
        """Give the positions at which a chain has runs; see `runs`."""
        low = self.chains[number].bits & -self.chains[number].bits
        states = self.chains[number].states
        found = 0
        for state, _ in self.runs(chains, number, now):
            found |= low << (states.index(state) - 1)
        return found

    def chain_at(self, position: int) -> int:
        """Give the number of the chain that a position belongs to."""
        return self._at[position]

    def numbers_of(self, bits: int) -> Iterator[int]:
        """Give the numbers of the chains that positions belong to, each once."""
        while bits:
            number = self._at[(bits & -bits).bit_length() - 1]
            bits &= ~self.chains[number].bits
            yield number

    def crowded(self, chains: Chains) -> list[int]:
        """Give the chains that may soon have more runs than they may; forgets old events.

        Args:
            chains: The user's.
        """
        self.tidy(chains, chains.newest)
        return [
            number
            for number, chain in enumerate(self.chains)
            if chain.rule.spec.max_runs is not None
            and chain.rule.spec.max_runs <= chains.count
            and not chains.eager & chain.bits
        ]

    def fit(self, chains: Chains) -> None:
        """Set from how many events on somebody should ask `crowded`."""
        kept_together = ~chains.eager
        chains.cap = next((cap for cap, bits in self._caps if bits & kept_together), math.inf)

    def remember(self, chains: Chains, entry: Entry) -> None:
        """Keep an event whatever may wait for it.

        Args:
            chains: The user's.
            entry: Later than all that is kept.
        """
        event = entry.value()
        kind = self.kinds.get(event.event_type, self.others)
        if kind is not None:
            holds = kind.bits(event, -1)[0]
            if holds:
                self._keep(chains, event.event_type, entry, holds)

    def _keep(self, chains: Chains, name: str, entry: Entry, holds: int) -> None:
        """Add an event to its track. HOT."""
        kind = name if name in self.kinds else None
        track = chains.tracks.get(kind)
        if track is None:
            if not chains.tracks:
                chains.check_at = entry.time + self.longest_ms
            track = chains.tracks[kind] = Track()
        track.add(entry, holds)
        chains.newest = entry.time
        chains.count += 1
        if track.full:
            track.prune(entry.time - self.longest_ms)

    def _finish(self, chains: Chains, final: int, entry: Entry, found: list[Taken]) -> int:
        """Work out the runs that may wait for their last event. HOT.

        Args:
            chains: The user's.
            final: Their positions.
            entry: The last event.
            found: Gets the matches.

        Returns:
            Positions of the chains all of whose runs have ended.
        """
        ended = 0
        floors, tracks, now = chains.floors, chains.tracks, entry.time
        while final:
            low = final & -final
            final ^= low
            number = self._at[low.bit_length() - 1]
            chain = self.chains[number]
            alive_from = now - chain.within_ms
            floor = floors.get(number, -1)
            while True:
                taken = _front(tracks, chain.front, floor, alive_from)
                if taken is None:
                    break
                floor = floors[number] = taken[0].order
                taken.append(entry)
                found.append(Taken(chain, taken))
                if chain.past_last:
                    floors[number] = entry.order
                    ended |= chain.bits
                    break
        return ended


def _front(
    tracks: Mapping[str | None, Track], front: tuple[Step, ...], order: int, alive_from: int
) -> list[Entry] | None:
    """Give the events of the oldest run that has taken all steps but the last. HOT.

    Args:
        tracks: The user's events.
        front: Those steps.
        order: Only what began later counts.
        alive_from: Rule time, ms; only what began later counts.
    """
    taken = []
    for step in front:
        entry = _next(tracks, step, order, alive_from)
        if entry is None:
            return None
        taken.append(entry)
        order = entry.order
        alive_from = -1
    return taken


def _next(
    tracks: Mapping[str | None, Track], step: Step, after: int, alive_from: int
) -> Entry | None:
    """Give the first event that fits a step. HOT."""
    if step.mask:
        track = tracks.get(step.kind)
        if track is not None:
            place = track.first(step.mask, after, alive_from)
            if place is not None:
                return track.entries[place]
        return None
    best: Entry | None = None
    for kind, mask in step.masks.items():
        track = tracks.get(kind)
        place = None if track is None else track.first(mask, after, alive_from)
        if track is not None and place is not None:
            entry = track.entries[place]
            if best is None or entry.order < best.order:
                best = entry
    return best


def _step(number: int, masks: dict[str | None, int]) -> Step:
    if len(masks) > 1:
        return Step(number, masks, None, 0)
    [(kind, mask)] = masks.items()
    return Step(number, masks, kind, mask)


def is_chain(rule: CompiledRule, table: Sequence[Predicate]) -> bool:
    """Whether the runs of a rule follow from the events alone, as this module needs it.

    Args:
        rule: The rule.
        table: The predicates of the machine, by index.
    """
    spec = rule.spec
    if rule.finishing or spec.timeouts or spec.within_ms is None:
        return False
    if spec.skip not in (Skip.NONE, Skip.TO_NEXT, Skip.PAST_LAST):
        return False
    moves = _path(rule)[0]
    return 1 < len(moves) <= LONGEST and all(
        len(move.needs) == 1 and not table[move.needs[0][0]].of_run for move in moves
    )


def chains_of(rules: Iterable[CompiledRule], table: Sequence[Predicate]) -> list[CompiledRule]:
    """Give the rules that are chains, as many as there is room for.

    Args:
        rules: All rules.
        table: The predicates of the machine, by index.
    """
    found, room = [], MOST
    for rule in rules:
        if is_chain(rule, table):
            room -= len(_path(rule)[0]) - 1
            if room < 0:
                break
            found.append(rule)
    return found


def _path(rule: CompiledRule) -> tuple[list[Move], tuple[State, ...]]:
    """Give the moves of a rule whose states only wait, and the states; no moves for others."""
    moves: list[Move] = []
    states = []
    state = rule.start
    while state.kind is not StateKind.FINAL:
        move = state.waits
        if (
            move is None
            or state.gap_ms is not None
            or state.kind is not StateKind.NORMAL
            or state in states
        ):
            return [], ()
        states.append(state)
        moves.append(move)
        state = move.target
    return moves, tuple(states)
