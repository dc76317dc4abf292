"""The deadline wheel: nobody is woken late, nobody is lost, a restart changes nothing."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from udfs.decisions.memory import MemoryChunks
from udfs.decisions.wheel import CHUNK, Wheel

HOUR_MS = 3_600_000

moves = st.lists(
    st.one_of(
        st.tuples(
            st.just("arm"), st.integers(0, 30), st.integers(0, 1), st.integers(-1_000, 30 * HOUR_MS)
        ),
        st.tuples(st.just("tick"), st.integers(0, 2 * HOUR_MS), st.integers(0, 1)),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)


@given(moves)
def test_everybody_is_woken_in_time(script: list[tuple[object, ...]]) -> None:
    """Against a dictionary: at any clock all due subjects come out, none after its deadline."""
    chunks = MemoryChunks()
    wheel = Wheel(chunks)
    clocks = {0: 0, 1: 0}
    filed: dict[tuple[int, str], int] = {}
    for move in script:
        if move[0] == "arm":
            _, subject, partition, away = move
            name, clock = f"s{subject}", clocks[partition]
            deadline = clock + away
            start = wheel.arm(partition, name, deadline, clock)
            assert start <= deadline
            filed[partition, name] = min(deadline, filed.get((partition, name), deadline))
        elif move[0] == "tick":
            _, step, partition = move
            clocks[partition] += step
            woken = wheel.due(partition, clocks[partition])
            due = {n for (p, n), d in filed.items() if p == partition and d <= clocks[partition]}
            assert due <= set(woken)
            for name in woken:
                # Woken early: it goes back, as the shard does it.
                deadline = filed.pop((partition, name), None)
                if deadline is not None and deadline > clocks[partition]:
                    wheel.arm(partition, name, deadline, clocks[partition])
                    filed[partition, name] = deadline
            wheel.flush()
        else:
            wheel.flush()
            wheel = Wheel(chunks)


def test_a_far_deadline_costs_few_wake_ups() -> None:
    """From 30 days down to the deadline a subject is woken a few dozen times at most."""
    wheel = Wheel(MemoryChunks())
    deadline, clock, wakes = 30 * 24 * HOUR_MS, 0, 0
    wheel.arm(0, "s", deadline, clock)
    while clock < deadline:
        clock = wheel.next_wake(0)
        assert wheel.due(0, clock) == ["s"]
        wakes += 1
        if clock < deadline:
            assert clock < wheel.arm(0, "s", deadline, clock) <= deadline
    assert wakes < 50


def test_chunks_are_small_and_go_away() -> None:
    """Many subjects in one bucket lie in chunks of bounded size; after waking none is left."""
    chunks = MemoryChunks()
    wheel = Wheel(chunks)
    names = [f"s{i}" for i in range(3 * CHUNK + 5)]
    for name in names:
        wheel.arm(0, name, 10 * HOUR_MS, 0)
    wheel.flush()
    assert len(chunks.found) == 4
    assert max(map(len, chunks.found.values())) < 40 * CHUNK
    again = Wheel(chunks)
    assert sorted(again.due(0, 10 * HOUR_MS)) == sorted(names)
    assert len(chunks.found) == 4, "the store changes with a flush alone"
    again.flush()
    assert chunks.found == {}


def test_nothing_to_wake() -> None:
    """An empty wheel knows no wake-up and no partition."""
    wheel = Wheel(MemoryChunks())
    assert wheel.due(0, 10**15) == []
    assert wheel.next_wake(0) is None
    assert wheel.partitions() == []
