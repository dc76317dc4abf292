"""The runs of a user as bytes.

Version 1 is the byte 1 and one MessagePack array::

    hashes   structure hash (8 bytes) of every rule that has something here
    base     rule time of the oldest event, ms
    offsets  rule time of each event - base, never falling
    events   each event once, packed (`udfs.events.codec.to_msgpack`)
    nodes    three integers each: 1 + the node before (0: none), step, event
    runs     for every rule: how many, then two integers each: state, node;
             state 0 is the place of the start state in the queue of a rule with a skip strategy
    held     for every rule: how many, then one integer each: the node of a held-back match

A node stands after the node before it. Numbers of states and steps hold for a structure hash.
Nothing to remember is no bytes at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from udfs.errors import StateIncompatible
from udfs.matching.runs import NEVER, Entry, Node, Place, Queues, Run, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from udfs.matching.rule import CompiledRule

VERSION: Final = 1


class _Blob(msgspec.Struct, array_like=True, gc=False):
    hashes: list[bytes]
    base: int
    offsets: list[int]
    events: list[bytes]
    nodes: list[int]
    runs: list[int]
    held: list[int]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Blob)
_PREFIX: Final = bytes([VERSION])


def encode(runs: Runs, rules: tuple[CompiledRule, ...]) -> bytes:
    """Write runs. HOT.

    Args:
        runs: Those of one user.
        rules: Those of the machine, by index.
    """
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
    offsets, events, nodes = table.columns()
    base = offsets[0]
    blob = _Blob(
        [rules[rule].structure_hash for rule in found],
        base,
        [time - base for time in offsets],
        events,
        nodes,
        flat,
        flat_held,
    )
    return _PREFIX + _ENCODER.encode(blob)


class _Table:
    """Nodes and events in the order of their numbers."""

    __slots__ = ("_nodes", "_numbers")

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._numbers: dict[int, int] = {}

    def number(self, node: Node) -> int:
        numbers = self._numbers
        known = numbers.get(id(node))
        if known is not None:
            return known
        chain = [node]
        before = node.before
        while before is not None and id(before) not in numbers:
            chain.append(before)
            before = before.before
        for link in reversed(chain):
            numbers[id(link)] = len(self._nodes)
            self._nodes.append(link)
        return len(self._nodes) - 1

    def columns(self) -> tuple[list[int], list[bytes], list[int]]:
        """Give times, packed events and the three integers of each node."""
        entries = {node.entry.order: node.entry for node in self._nodes}
        orders = sorted(entries)
        places = {order: place for place, order in enumerate(orders)}
        nodes: list[int] = []
        numbers = self._numbers
        for node in self._nodes:
            before = node.before
            front = 0 if before is None else numbers[id(before)] + 1
            nodes += (front, node.step, places[node.entry.order])
        return (
            [entries[order].time for order in orders],
            [entries[order].pack() for order in orders],
            nodes,
        )


def decode(blob: bytes, rules: Mapping[bytes, CompiledRule]) -> tuple[Runs, int]:
    """Read runs. HOT.

    Args:
        blob: What `encode` gave, not empty.
        rules: Those of the machine, by structure hash.

    Returns:
        The runs, and how many were dropped because their rule is not known (any more).

    Raises:
        StateIncompatible: Another version, or not such bytes.
    """
    if blob[0] != VERSION:
        raise StateIncompatible(
            f"runs of format {blob[0]}, this code reads {VERSION}: "
            "go back to the version that wrote them, or drop the state"
        )
    try:
        return _read(_DECODER.decode(memoryview(blob)[1:]), rules)
    except (msgspec.DecodeError, IndexError, StopIteration) as error:
        raise StateIncompatible(
            f"{len(blob)} bytes of runs are broken ({error!r}): restore an older savepoint"
        ) from error


def _read(parts: _Blob, rules: Mapping[bytes, CompiledRule]) -> tuple[Runs, int]:
    base = parts.base
    entries = [
        Entry(order, base + offset, packed, None)
        for order, (offset, packed) in enumerate(zip(parts.offsets, parts.events, strict=True))
    ]
    nodes: list[Node] = []
    numbers = iter(parts.nodes)
    for front, step, place in zip(numbers, numbers, numbers, strict=True):
        entry = entries[place]
        before = nodes[front - 1] if front else None
        nodes.append(Node(before, step, entry, entry if before is None else before.root))
    runs = Runs()
    runs.next_order = len(entries)
    unknown = 0
    flat, held = iter(parts.runs), iter(parts.held)
    for structure_hash in parts.hashes:
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
            _read_queues(runs, rule, nodes, (count, flat), (held_count, held))
        else:
            _read_buckets(runs, rule, nodes, count, flat)
    return runs, unknown


def _read_buckets(
    runs: Runs, rule: CompiledRule, nodes: list[Node], count: int, flat: Iterator[int]
) -> None:
    states = rule.states
    window_ms = rule.spec.within_ms
    buckets = runs.buckets
    for _ in range(count):
        state = states[next(flat)]
        node = nodes[next(flat)]
        bucket = buckets.get(state.wake)
        if bucket is None:
            buckets[state.wake] = [Run(state, node)]
        else:
            bucket.append(Run(state, node))
        if window_ms is not None:
            deadline = node.root.time + window_ms
            if runs.deadline is None or deadline < runs.deadline:
                runs.deadline = deadline
    if rule.spec.max_runs is not None:
        runs.counts[rule.index] = count


def _read_queues(
    runs: Runs,
    rule: CompiledRule,
    nodes: list[Node],
    partial: tuple[int, Iterator[int]],
    held: tuple[int, Iterator[int]],
) -> None:
    window_ms = rule.spec.within_ms
    queues = runs.queues[rule.index] = Queues([], [])
    count, flat = partial
    for _ in range(count):
        state, number = next(flat), next(flat)
        if state == 0:
            queues.partial.append(Place(NEVER, None, None))
            continue
        node = nodes[number]
        queues.partial.append(Place(node.root.order, rule.states[state], node))
        if window_ms is not None:
            deadline = node.root.time + window_ms
            if runs.deadline is None or deadline < runs.deadline:
                runs.deadline = deadline
    count, flat = held
    for _ in range(count):
        node = nodes[next(flat)]
        queues.held.append(Place(node.root.order, None, node))
