"""Rules that are plain sequences, all of them at once: bits say who waits, the events who matches.

Most rules are chains: step after step with ``followed_by``, conditions that look at the event
alone, a window. What the runs of such a rule are follows from the user's events: each event
that fits the first step begins a run, and each run takes the first later event that fits its
next step. So no run is kept. For each rule and each step but the last one bit says whether a run
*may* wait there; an event moves all bits that wait for it at once (the Shift-And automaton of
Baeza-Yates and Gonnet, on an integer). Only when a bit leaves the last position are the rule's
runs worked out, from the events that may still matter (`udfs.matching.tracks`): windows that
have passed are seen then. A bit too many costs a look; there is never one too few.

An event's bits come from its type and from sorted comparisons (`udfs.expressions.ladder`): one
search for each property, however many rules compare it.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from typing import TYPE_CHECKING, Final

import msgspec

from udfs.matching import chain_state
from udfs.matching.chain import Taken
from udfs.matching.chain_state import Chains
from udfs.matching.runs import Entry, Node
from udfs.matching.tracks import Track, Tracks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from udfs.events.event import Event
    from udfs.matching.automaton import State
    from udfs.matching.bits import Kind
    from udfs.matching.chain import Chain, Step
    from udfs.matching.chain_layout import Layout
    from udfs.matching.runs import Runs

_OLDEST: Final = 64
"""Rule sets before this one whose state is taken over as it is."""

_NEAR: Final = 16
"""A cap that is so near might have to be looked at with every event."""


class Ancestor(msgspec.Struct, frozen=True, gc=False):
    """How to go on with what an older rule set has written.

    Args:
        kept: Positions that mean the same.
        new: Chains that it did not have, by number.
        left: Its chains that are rules of this set, but no chains any more.
    """

    kept: int
    new: tuple[int, ...]
    left: tuple[Chain, ...] = ()


class ChainIndex:
    """The chains of a rule set (see `udfs.matching.chain_making`).

    Args:
        chains: The chains, by number, in the order of the rules. The number of a chain is its
            first position.
        kinds: What events of each kind do, by number.
        layout: What the bits stand for.

    Attributes:
        in_order: Whether the numbers rise with the order of the rules.
        digest: 8 bytes that change when bits lose their meaning.
        ancestors: By digest: how to go on with what an older set has written.
        kinds: What events do, by type.
        others: What an event of any other type does, None for nothing.
        longest_ms: The longest window.
        all_bits: All positions.
        by_hash: Numbers of the chains, by structure hash.
        widths: Bytes that the predicates of each kind take, as bits.
        names: Structure hash and number of positions of each chain, 9 bytes.
        places: First position of each chain, uint32.
    """

    def __init__(self, chains: dict[int, Chain], kinds: tuple[Kind, ...], layout: Layout) -> None:
        self.chains = chains
        self.layout = layout
        self.widths = layout.widths
        self.kinds = dict(zip(layout.kinds, kinds, strict=True))
        self.others = self.kinds.pop(None, None)
        if self.others is not None and not (self.others.begins or self.others.moves):
            self.others = None  # of an older set
        self._kinds = kinds
        self._final = self.all_bits = 0
        self._at: dict[int, int] = {}
        """The chain of each position."""
        for first, chain in chains.items():
            end = first + len(chain.front)
            self._final |= 1 << (end - 1)
            self._at |= dict.fromkeys(range(first, end), first)
            self.all_bits |= chain.bits
        self.in_order = sorted(chains) == list(chains)
        found = list(chains.values())
        self.longest_ms = max(chain.within_ms for chain in found)
        self.by_hash = {chain.rule.structure_hash: number for number, chain in chains.items()}
        self._caps = _bits_by([chain.rule.spec.max_runs for chain in found], found)
        self._windows = _bits_by([chain.within_ms for chain in found], found)
        self.names = b"".join(name_of(chain) for chain in found)
        self.places = array("I", chains).tobytes()
        caps = [chain.rule.spec.max_runs for _, chain in sorted(chains.items())]
        self.digest = hashlib.sha256(layout.digest() + repr(caps).encode()).digest()[:8]
        self.ancestors: dict[bytes, Ancestor] = {}

    def descend(self, before: ChainIndex, alone: Collection[bytes]) -> None:
        """Note how to go on with what older sets have written.

        Args:
            before: The set before, whose bits stand for the same.
            alone: Structure hashes of the rules that are no chains.
        """
        kept = 0
        for name, number in self.by_hash.items():
            if name in before.by_hash:
                kept |= self.chains[number].bits
        left = [chain for chain in before.chains.values() if chain.rule.structure_hash in alone]
        older = [*before.ancestors.items(), (before.digest, Ancestor(before.all_bits, ()))]
        for digest, ancestor in older[-_OLDEST:]:
            since = ancestor.kept & kept
            self.ancestors[digest] = Ancestor(
                since,
                tuple(number for number, chain in self.chains.items() if not chain.bits & since),
                (
                    *(one for one in ancestor.left if one.rule.structure_hash in alone),
                    *(one for one in left if one.bits & ancestor.kept),
                ),
            )
        self.ancestors.pop(self.digest, None)

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
            chains = runs.chains = self.nothing()
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
            self._keep(chains, kind, entry, holds)
            if chains.count > chains.room:
                self._make_room(chains, now)
        if not chains.waiting and not chains.eager:
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

    def nothing(self) -> Chains:
        """Give what is kept of a user of whom nothing is kept."""
        chains = Chains(Tracks(self.widths))
        self.fit(chains)
        return chains

    def tidy(self, chains: Chains, now: int) -> None:
        """Forget what no run has taken, and work out where runs wait.

        All runs are begun and moved on once more, as bits.

        Args:
            chains: The user's; changed in place.
            now: Rule time, ms.
        """
        waiting, eager = 0, chains.eager
        needed: set[int] = set()
        closed = self.all_bits
        windows = [(now - within_ms, bits) for within_ms, bits in self._windows]
        ended = 0
        floors = sorted([(-floor, number) for number, floor in chains.floors.items()])
        for _, number in floors:
            ended |= self.chains[number].bits
        for order, time, holds, kind in chains.tracks.rows():
            while floors and -floors[-1][0] < order:
                ended &= ~self.chains[floors.pop()[1]].bits
            while windows and windows[-1][0] < time:
                closed &= ~windows.pop()[1]
            begins, moves = self._kinds[kind].effects(holds)
            moves &= waiting & ~self._final
            begins &= ~(closed | ended | eager)
            if begins or moves:
                needed.add(order)
                waiting = (waiting ^ moves) | (moves << 1) | begins
        chains.waiting = waiting
        before = chains.count
        chains.count = chains.tracks.keep(needed.__contains__)
        # Where little was forgotten, it will take long until it is worth another look.
        rich = chains.count * 3 > before * 2
        room = chains.count * 2 if rich else chains.count * 3 // 2
        chains.room = max(chain_state.ROOM, room)
        chains.check_at = chains.newest + self.longest_ms
        oldest = min(needed, default=2**63)
        chains.floors = {
            number: floor for number, floor in chains.floors.items() if floor >= oldest
        }
        self.fit(chains)

    def _make_room(self, chains: Chains, now: int) -> None:
        """Forget what is too old; if that is little, what no run has taken, if it may be much."""
        chains.count = chains.tracks.prune(now - self.longest_ms)
        if chains.count * 4 > chains.room * 3:
            if chains.count > 2 * chains.waiting.bit_count():
                self.tidy(chains, now)
            else:
                chains.room *= 2  # so many runs have hardly taken fewer events

    def numbers_of(self, bits: int) -> Iterator[int]:
        """Give the numbers of the chains that positions belong to, each once."""
        while bits:
            number = self._at[(bits & -bits).bit_length() - 1]
            bits &= ~self.chains[number].bits
            yield number

    def crowded(self, chains: Chains) -> list[int]:
        """Give the chains that may soon have more runs than they may.

        Args:
            chains: The user's; what no run has taken is forgotten, and `Chains.cap` set for
                when the chains given are run one by one.
        """
        self.tidy(chains, chains.newest)
        found = []
        room: float = math.inf
        for number, chain in self.chains.items():
            cap = chain.rule.spec.max_runs
            if cap is not None and not chains.eager & chain.bits:
                left = cap - sum(1 for _ in alive(chains, chain, chains.newest))
                if left < max(_NEAR, cap // 4):
                    found.append(number)
                else:
                    room = min(room, left)
        chains.cap = chains.count + room
        return found

    def fit(self, chains: Chains) -> None:
        """Set from how many events on somebody should ask `crowded`.

        Args:
            chains: The user's; changed in place.
        """
        together = ~chains.eager
        chains.cap = next((cap for cap, bits in self._caps if bits & together), math.inf)

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
                self._keep(chains, kind, entry, holds)

    def _keep(self, chains: Chains, kind: Kind, entry: Entry, holds: int) -> None:
        """Add an event to its track. HOT."""
        if not chains.count:
            chains.check_at = entry.time + self.longest_ms
        chains.tracks.add(kind.number, entry, holds)
        chains.newest = entry.time
        chains.count += 1

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
        if not self.in_order and len(found) > 1:
            found.sort(key=_rule_of)
        return ended


def runs_of(
    chains: Chains, chain: Chain, states: Sequence[State], now: int
) -> Iterator[tuple[State, Node]]:
    """Give the runs of a chain, the oldest first, each with the state in which it stands.

    Args:
        chains: The user's.
        chain: Which chain.
        states: Where a run stands that has taken so many steps.
        now: Rule time, ms.
    """
    for taken in alive(chains, chain, now):
        entries = [track.entry(place) for track, place in taken]
        node: Node | None = None
        for step, entry in zip(chain.steps, entries, strict=False):
            node = Node(node, step.number, entry, entries[0])
        assert node is not None
        yield states[len(taken)], node


def alive(chains: Chains, chain: Chain, now: int) -> Iterator[list[tuple[Track, int]]]:
    """Give what the runs of a chain have taken, the oldest run first, by track and place.

    Args:
        chains: The user's.
        chain: Which chain.
        now: Rule time, ms.
    """
    tracks = chains.tracks
    alive_from = now - chain.within_ms
    order = chains.floors.get(chain.number, -1)
    while True:
        found = _next(tracks, chain.steps[0], order, alive_from)
        if found is None:
            return
        taken = [found]
        order = after = found[0].orders[found[1]]
        for step in chain.front[1:]:
            found = _next(tracks, step, after, -1)
            if found is None:
                break
            taken.append(found)
            after = found[0].orders[found[1]]
        yield taken


def _rule_of(taken: Taken) -> int:
    return taken.chain.rule.index


def _front(
    tracks: Tracks, front: tuple[Step, ...], order: int, alive_from: int
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
        found = _next(tracks, step, order, alive_from)
        if found is None:
            return None
        taken.append(found)
        order = found[0].orders[found[1]]
        alive_from = -1
    return [track.entry(place) for track, place in taken]


def _next(tracks: Tracks, step: Step, after: int, alive_from: int) -> tuple[Track, int] | None:
    """Give the first event that fits a step, by track and place. HOT."""
    if step.kind >= 0:
        track = tracks[step.kind]
        place = track.first(step.bit, after, alive_from)
        return None if place < 0 else (track, place)
    best: tuple[Track, int] | None = None
    for kind, bit in step.places.items():
        track = tracks[kind]
        place = track.first(bit, after, alive_from)
        if place >= 0 and (best is None or track.orders[place] < best[0].orders[best[1]]):
            best = track, place
    return best


def _bits_by(keys: Sequence[int | None], chains: Sequence[Chain]) -> list[tuple[int, int]]:
    """Give the positions of the chains that share a number, by the number, lowest first."""
    found: dict[int, int] = {}
    for key, chain in zip(keys, chains, strict=True):
        if key is not None:
            found[key] = found.get(key, 0) | chain.bits
    return sorted(found.items())


def name_of(chain: Chain) -> bytes:
    """Give structure hash and number of positions, 9 bytes."""
    return chain.rule.structure_hash + bytes([len(chain.steps) - 1])
