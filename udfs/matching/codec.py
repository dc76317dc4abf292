"""The runs of a user as bytes.

Version 2 is the byte 2, the length of what follows (uint32, little-endian), a MessagePack array,
and the events of chains (`udfs.matching.tracks.Stored`). The array are the fields of
`udfs.matching.runs.Packed`::

    deadline  when the first window ends, ms, or nil
    hashes    structure hash (8 bytes) of every rule that has something here
    runs      for every rule: how many, then two integers each: state and node;
              state 0 is the place of the start state in the queue of a rule with a skip strategy
    held      for every rule: how many, then one integer each: the node of a held-back match
    entries   each event once: [order, rule time in ms, the packed event]
    nodes     three integers each: 1 + the node before (0 for none), step, position in entries
    next      order of the next event that is taken
    chains    what is kept for rules that are chains (`udfs.matching.chain_state.Section`), or nil

Version 1 is the byte 1 and the array, which ends with the nodes; its chains have their runs one
by one like all others.
A node stands after the node before it. Numbers of states and steps hold for a
structure hash. Nothing to remember is no bytes at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from udfs.errors import StateIncompatible
from udfs.matching import chain_codec, handover
from udfs.matching.runs import NEVER, Entry, Node, Packed, Place, Queues, Run, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from udfs.matching.chains import Ancestor, ChainIndex
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule

VERSION: Final = 2
OLDEST: Final = 1


_ENCODER: Final = msgspec.msgpack.Encoder()
_FRONT: Final = msgspec.msgpack.Decoder(Packed)
_ENTRIES: Final = msgspec.msgpack.Decoder(list[Entry])
_NUMBERS: Final = msgspec.msgpack.Decoder(list[int])
_PREFIX: Final = bytes([VERSION])
_LENGTH: Final = 4
"""Bytes that say how long the array is."""


def encode(
    runs: Runs,
    rules: tuple[CompiledRule, ...],
    deadline: int | None,
    index: ChainIndex | None = None,
) -> bytes:
    """Write runs. HOT.

    Args:
        runs: Those of one user.
        rules: Those of the machine, by index.
        deadline: When the first window ends, ms.
        index: Those that are chains, None if none is.
    """
    chains = runs.chains
    section: tuple[object, ...] | None = None
    tail: tuple[bytes | memoryview, ...] = ()
    if chains is not None:
        assert index is not None
        section, tail = chain_codec.encode(index, chains)
    packed = runs.packed
    if packed is not None:
        # Only what is kept of the chains has changed.
        return _joined(
            (deadline, packed.hashes, packed.runs, packed.held, packed.entries, packed.nodes,
             runs.next_order, section),
            tail,
        )  # fmt: skip
    if not runs.buckets and not runs.queues:
        return _joined((deadline, (), (), (), (), (), runs.next_order, section), tail)
    return _joined((deadline, *_alone(runs, rules), runs.next_order, section), tail)


def _alone(runs: Runs, rules: tuple[CompiledRule, ...]) -> tuple[object, ...]:
    """Give what is stored of the runs that are kept one by one."""
    table = _Table()
    found: dict[int, list[int]] = {}
    for bucket in runs.buckets.values():
        for run in bucket:
            state = run.state
            numbers = found.get(state.rule)
            if numbers is None:
                numbers = found[state.rule] = []
            numbers += (state.index, table.number(run.node))
    held: dict[int, list[int]] = {}
    for rule, queues in runs.queues.items():
        numbers = found[rule] = []
        for place in queues.partial:
            if place.state is None or place.node is None:
                numbers += (0, 0)
            else:
                numbers += (place.state.index, table.number(place.node))
        held[rule] = [table.number(place.node) for place in queues.held if place.node is not None]
    flat: list[int] = []
    flat_held: list[int] = []
    for rule, numbers in found.items():
        flat.append(len(numbers) // 2)
        flat += numbers
        waiting = held.get(rule, ())
        flat_held.append(len(waiting))
        flat_held += waiting
    hashes = [rules[rule].structure_hash for rule in found]
    return hashes, flat, flat_held, table.entries, table.nodes


def _joined(head: tuple[object, ...], tail: tuple[bytes | memoryview, ...]) -> bytes:
    packed = _ENCODER.encode(head)
    return b"".join((_PREFIX, len(packed).to_bytes(_LENGTH, "little"), packed, *tail))


class _Table:
    """Nodes and events in the order of their numbers. HOT.

    Attributes:
        nodes: Three integers each, as stored.
        entries: The events, as stored.
    """

    __slots__ = ("_numbers", "_places", "entries", "nodes")

    def __init__(self) -> None:
        self.nodes: list[int] = []
        self.entries: list[tuple[int, int, bytes]] = []
        self._numbers: dict[int, int] = {}
        self._places: dict[int, int] = {}

    def number(self, node: Node) -> int:
        """Give the number of a node; those before it get theirs first."""
        numbers = self._numbers
        known = numbers.get(id(node))
        if known is not None:
            return known
        before = node.before
        if before is None:
            return self._add(node, 0)
        front = numbers.get(id(before))
        if front is not None:
            return self._add(node, front + 1)
        chain = [node]
        while before is not None and id(before) not in numbers:
            chain.append(before)
            before = before.before
        number = -1 if before is None else numbers[id(before)]
        for link in reversed(chain):
            number = self._add(link, number + 1)
        return number

    def _add(self, node: Node, front: int) -> int:
        entry = node.entry
        place = self._places.get(entry.order)
        if place is None:
            place = self._places[entry.order] = len(self.entries)
            self.entries.append(entry.row or entry.pack())
        self.nodes += (front, node.step, place)
        number = self._numbers[id(node)] = len(self._numbers)
        return number


def decode(
    blob: bytes,
    rules: Mapping[bytes, CompiledRule],
    index: ChainIndex | None = None,
    clock: int | None = None,
) -> tuple[Runs, int] | None:
    """Read the front of runs. HOT.

    Args:
        blob: What `encode` gave, not empty.
        rules: Those of the machine, by structure hash.
        index: Those that are chains, None if none is.
        clock: Rule time at which the user was left, ms, if it is known.

    Returns:
        The runs, still packed, and how many, at least, were dropped because their rule is not
        known; None if they are of another rule set or an older version, so that they must be
        opened.

    Raises:
        StateIncompatible: Another version, or not such bytes.
    """
    packed, tail = _front(blob)
    if blob[0] != VERSION:
        return None
    section = packed.chains
    ancestor = None if section is None or index is None else index.ancestors.get(section.digest)
    wakes = None if _foreign(index, packed, ancestor) else _wakes_of(blob, packed, rules)
    if wakes is None:
        return None
    runs = Runs()
    runs.packed = packed if packed.hashes else None
    runs.next_order = packed.next_order
    runs.wakes = wakes
    runs.deadline = packed.deadline
    runs.blob = blob
    if section is None or index is None:
        return runs, 0
    chains = runs.chains = chain_codec.decode(index, section, tail)
    if ancestor is None:
        return runs, 0
    runs.dirty = True
    if clock is not None and clock > chains.newest:
        chains.newest = clock
    if ancestor.left:
        if runs.packed is not None:
            open_runs(runs, rules)
        handover.leave(runs, chains, ancestor.left, rules)
    return runs, chain_codec.inherit(index, chains, ancestor, runs.next_order - 1)


def _foreign(index: ChainIndex | None, packed: Packed, ancestor: Ancestor | None) -> bool:
    """Whether a rule set has written this that these chains do not go back to."""
    section = packed.chains
    if section is not None and (
        index is None or (ancestor is None and section.digest != index.digest)
    ):
        return True
    # Another set has kept runs of a chain one by one.
    written_here = section is not None and ancestor is None
    return (
        index is not None
        and not written_here
        and not index.by_hash.keys().isdisjoint(packed.hashes)
    )


def _wakes_of(blob: bytes, packed: Packed, rules: Mapping[bytes, CompiledRule]) -> set[int] | None:
    """Give what wakes the runs; None if one is of an unknown rule."""
    numbers = packed.runs
    wakes = set()
    at = 0
    try:
        for structure_hash in packed.hashes:
            rule = rules.get(structure_hash)
            if rule is None:
                return None
            states = rule.states
            end = at + 1 + 2 * numbers[at]
            wakes.update([states[state].wake for state in numbers[at + 1 : end : 2]])
            at = end
    except IndexError as error:
        raise _broken(blob, error) from error
    return wakes


def unpack(
    blob: bytes,
    rules: Mapping[bytes, CompiledRule],
    index: ChainIndex | None = None,
    table: Sequence[Predicate] = (),
    clock: int | None = None,
) -> tuple[Runs, int]:
    """Read runs in full.

    Args:
        blob: What `encode` gave, not empty.
        rules: Those of the machine, by structure hash.
        index: Those that are chains, None if none is.
        table: The predicates of the machine, by index.
        clock: Rule time at which the user was left, ms, if it is known.

    Returns:
        The runs, and how many were dropped because their rule is not known.

    Raises:
        StateIncompatible: Another version, or not such bytes.
    """
    runs = Runs()
    front, tail = _front(blob)
    runs.packed = front
    runs.blob = blob
    unknown = open_runs(runs, rules)
    runs.next_order = max(runs.next_order, front.next_order)
    if front.chains is not None:
        if clock is not None and clock > front.chains.newest:
            front.chains.newest = clock
        try:
            unknown += handover.take_over(runs, index, front.chains, tail, rules, table)
        except (IndexError, ValueError) as error:
            raise _broken(blob, error) from error
    elif index is not None:
        handover.mark_eager(runs, index)
    return runs, unknown


def _front(blob: bytes) -> tuple[Packed, memoryview]:
    if not OLDEST <= blob[0] <= VERSION:
        raise StateIncompatible(
            f"runs of format {blob[0]}, this code reads {OLDEST} to {VERSION}: "
            "go back to the version that wrote them, or drop the state"
        )
    try:
        view = memoryview(blob)
        if blob[0] == OLDEST:
            return _FRONT.decode(view[1:]), view[:0]
        end = 1 + _LENGTH + int.from_bytes(view[1 : 1 + _LENGTH], "little")
        return _FRONT.decode(view[1 + _LENGTH : end]), view[end:]
    except msgspec.DecodeError as error:
        raise _broken(blob, error) from error


def _broken(blob: bytes, error: Exception) -> StateIncompatible:
    return StateIncompatible(
        f"{len(blob)} bytes of runs are broken ({error!r}): restore an older savepoint"
    )


def open_runs(runs: Runs, rules: Mapping[bytes, CompiledRule]) -> int:
    """Read the rest of packed runs. HOT.

    Args:
        runs: Packed; changed in place.
        rules: Those of the machine, by structure hash.

    Returns:
        How many runs were dropped because their rule is not known.

    Raises:
        StateIncompatible: The rest is not what `encode` writes.
    """
    packed = runs.packed
    assert packed is not None
    try:
        entries = _ENTRIES.decode(packed.entries)
        nodes: list[Node] = []
        numbers = iter(_NUMBERS.decode(packed.nodes))
        for front in numbers:
            step, entry = next(numbers), entries[next(numbers)]
            before = nodes[front - 1] if front else None
            nodes.append(Node(before, step, entry, entry if before is None else before.root))
        unknown = _open_rules(runs, packed, nodes, rules)
    except (msgspec.DecodeError, IndexError, StopIteration) as error:
        raise _broken(runs.blob, error) from error
    runs.packed = None
    runs.next_order = max(runs.next_order, max([e.order for e in entries], default=-1) + 1)
    return unknown


def _open_rules(
    runs: Runs, packed: Packed, nodes: list[Node], rules: Mapping[bytes, CompiledRule]
) -> int:
    unknown = 0
    flat, held = iter(packed.runs), iter(packed.held)
    for structure_hash in packed.hashes:
        rule = rules.get(structure_hash)
        count, held_count = next(flat), next(held)
        if rule is None:
            unknown += held_count
            for _ in range(count):
                unknown += next(flat) != 0
                next(flat)
            for _ in range(held_count):
                next(held)
        elif rule.skips:
            _open_queues(runs, rule, nodes, (count, flat), (held_count, held))
        else:
            _open_buckets(runs, rule, nodes, count, flat)
    return unknown


def _open_buckets(
    runs: Runs, rule: CompiledRule, nodes: list[Node], count: int, flat: Iterator[int]
) -> None:
    states = rule.states
    buckets = runs.buckets
    for _ in range(count):
        state = states[next(flat)]
        run = Run(state, nodes[next(flat)])
        bucket = buckets.get(state.wake)
        if bucket is None:
            buckets[state.wake] = [run]
        else:
            bucket.append(run)
    if rule.spec.max_runs is not None:
        runs.counts[rule.index] = count


def _key(place: Place) -> int:
    return place.key


def _open_queues(
    runs: Runs,
    rule: CompiledRule,
    nodes: list[Node],
    partial: tuple[int, Iterator[int]],
    held: tuple[int, Iterator[int]],
) -> None:
    queues = runs.queues[rule.index] = Queues([], [])
    count, flat = partial
    for _ in range(count):
        state, number = next(flat), next(flat)
        if state:
            node = nodes[number]
            queues.partial.append(Place(node.root.order, rule.states[state], node))
        else:
            queues.partial.append(Place(NEVER, None, None))
    if rule.in_line:
        queues.partial.sort(key=_key)  # earlier versions kept it in the order of a heap
    count, flat = held
    for _ in range(count):
        node = nodes[next(flat)]
        queues.held.append(Place(node.root.order, None, node))
