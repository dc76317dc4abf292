"""What the matcher remembers of one user: runs, the events they hold, held-back matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.events.codec import from_msgpack, to_msgpack
from udfs.matching.chain_state import Section

if TYPE_CHECKING:
    from udfs.events.event import Event
    from udfs.matching.automaton import State
    from udfs.matching.chain_state import Chains

NEVER: Final = 2**63 - 1
"""Sorts after every event."""


class Entry(msgspec.Struct, array_like=True, gc=False, eq=False):
    """One event that at least one run has taken; all runs of the user share it.

    Args:
        order: Rises with every event of the user that is taken; the tie-break of equal times.
        time: The user's rule time when the event came.
        packed: The event as MessagePack, once somebody needed it.
        event: The event, once somebody needed it.
        row: What state keeps of all this, once it was written; never stored as a field.
    """

    order: int
    time: int
    packed: bytes | None
    event: Any = None
    row: tuple[int, int, bytes] | None = None

    def value(self) -> Event:
        """Give the event."""
        event: Event | None = self.event
        if event is None:
            assert self.packed is not None
            event = self.event = from_msgpack(self.packed)
        return event

    def pack(self) -> tuple[int, int, bytes]:
        """Give the entry as state keeps it: order, time, the event as MessagePack."""
        packed = self.packed
        if packed is None:
            assert self.event is not None
            packed = self.packed = to_msgpack(self.event)
        self.row = (self.order, self.time, packed)
        return self.row


class Node(msgspec.Struct, gc=False, eq=False):
    """A taken event at the end of a chain; runs that branched share the front of it.

    Args:
        before: What was taken before, None at the start.
        step: Index of the step that took the event.
        entry: The event.
        root: The first event of the chain.
    """

    before: Node | None
    step: int
    entry: Entry
    root: Entry


def deadline_of(state: State, node: Node) -> int | None:
    """Give when a run's time in a state ends, ms; None for never.

    Args:
        state: Where it stands.
        node: What it has taken.
    """
    window_ms, gap_ms = state.window_ms, state.gap_ms
    if gap_ms is None:
        return None if window_ms is None else node.root.time + window_ms
    deadline = node.entry.time + gap_ms
    if window_ms is not None and node.root.time + window_ms < deadline:
        return node.root.time + window_ms
    return deadline


class Run(msgspec.Struct, gc=False, eq=False):
    """A partial match: where it stands and what it has taken."""

    state: State
    node: Node


class Place(msgspec.Struct, gc=False, eq=False):
    """An element of the queues of a rule with a skip strategy.

    Args:
        key: Order of the run's first event; `NEVER` for the place of the start state.
        state: Where the run stands; None for the start state and for finished matches.
        node: What it has taken; None for the start state.
    """

    key: int
    state: State | None
    node: Node | None


class Queues(msgspec.Struct):
    """The runs of one rule with a skip strategy, in Flink's order, and its finished matches."""

    partial: list[Place]
    held: list[Place]
    wakes: set[int] | None = None
    """What wakes the runs, None until asked; runs that were pruned since may be in it."""

    def woken_by(self, woken: frozenset[int]) -> bool:
        """Whether any of the runs is concerned. HOT."""
        wakes = self.wakes
        if wakes is None:
            wakes = self.wakes = {p.state.wake for p in self.partial if p.state is not None}
        return not wakes.isdisjoint(woken)


class Packed(msgspec.Struct, array_like=True, gc=False, eq=False):
    """The stored form of runs, of which only the front is read until an event concerns them.

    Args:
        deadline: When the first window ends, ms; None for never.
        hashes: Structure hash of every rule that has something here.
        runs: For every rule: how many, then two integers each: state and node.
        held: For every rule: how many, then the nodes of its held-back matches.
        entries: The events; see `Entry`.
        nodes: Three integers each: 1 + the node before (0 for none), step, event.
        next_order: Order of the next event that is taken.
        chains: What is kept for the rules that are chains, without the events.
    """

    deadline: int | None
    hashes: list[bytes]
    runs: list[int]
    held: list[int]
    entries: msgspec.Raw
    nodes: msgspec.Raw
    next_order: int = 0
    chains: Section | None = None


class Runs:
    """The runs of one user. Mutable and opaque: made by `Machine.decode`."""

    __slots__ = (
        "blob",
        "buckets",
        "chains",
        "changed",
        "counts",
        "deadline",
        "deadline_exact",
        "dirty",
        "next_order",
        "packed",
        "queues",
        "wakes",
    )

    def __init__(self) -> None:
        self.packed: Packed | None = None
        """The stored form as long as nothing needed more of it."""
        self.wakes: frozenset[int] | set[int] = frozenset()
        """While packed: what wakes the runs (`State.wake`)."""
        self.buckets: dict[int, list[Run]] = {}
        """Runs of rules without a skip strategy, by what wakes them."""
        self.counts: dict[int, int] = {}
        """How many of those each capped rule has."""
        self.queues: dict[int, Queues] = {}
        """Runs of rules with a skip strategy, by rule index."""
        self.chains: Chains | None = None
        """What is kept for the rules that are chains."""
        self.deadline: int | None = None
        """No window ends before this."""
        self.deadline_exact = True
        self.next_order = 0
        self.blob = b""
        self.dirty = False
        """Whether `blob` is out of date."""
        self.changed = False
        """Set with `dirty`; whoever looks at the deadline after a change resets it."""

    def __bool__(self) -> bool:
        return self.packed is not None or bool(self.buckets or self.queues or self.chains)
