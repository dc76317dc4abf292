"""Partition clocks."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from udfs.events.clocks import NEVER, PartitionClock, from_future

times = st.integers(0, 2**62)


@given(st.lists(times), st.integers(0, 10**9))
def test_the_firing_clock_never_falls(event_times: list[int], bound_ms: int) -> None:
    """F is the largest time seen minus the bound, whatever comes."""
    clock = PartitionClock()
    before = clock.firing(bound_ms)
    for n, event_time in enumerate(event_times, 1):
        clock.observe(event_time)
        assert clock.firing(bound_ms) == max(event_times[:n]) - bound_ms
        assert clock.firing(bound_ms) >= before
        before = clock.firing(bound_ms)


@given(st.lists(times, min_size=1), st.integers(0, 10**9))
def test_late_before_and_after_being_observed_is_the_same(
    event_times: list[int], bound_ms: int
) -> None:
    """An event cannot make itself late."""
    clock = PartitionClock()
    for event_time in event_times:
        late = clock.late(event_time, bound_ms)
        clock.observe(event_time)
        assert clock.late(event_time, bound_ms) == late


def test_late_means_below_the_clock() -> None:
    """Exactly at F is in time."""
    clock = PartitionClock()
    assert not clock.late(0, 0)
    clock.observe(1_000)
    assert not clock.late(900, 100)
    assert clock.late(899, 100)


def test_offsets_that_step_back_are_counted() -> None:
    """Equal or lower than the one before."""
    clock = PartitionClock()
    for offset in [0, 1, 5, 5, 3, 4, 9]:
        clock.see_offset(offset)
    assert (clock.regressions, clock.last_offset) == (2, 9)


def test_idle_partitions_fire_but_make_nothing_late() -> None:
    """Wall time counts only after the bound, from the last batch of this attempt on."""
    clock = PartitionClock()
    assert clock.firing_when_idle(0, 10**12, 0, 1) == NEVER
    clock.observe(10_000)
    assert clock.firing_when_idle(500, 70_000, 60_000, 10_000) == 9_500
    assert clock.firing_when_idle(500, 70_001, 60_000, 10_000) == 19_501
    assert clock.firing_when_idle(500, 70_001, None, 10_000) == 9_500
    assert clock.firing_when_idle(500, 70_001, 60_000, None) == 9_500
    assert clock.firing_when_idle(500, 5, 60_000, 10_000) == 9_500
    assert not clock.late(9_500, 500)


@given(st.lists(st.tuples(times, st.integers(0, 2**40)), max_size=20), st.integers(0, 20))
def test_serialising_changes_nothing(records: list[tuple[int, int]], cut: int) -> None:
    """Stored and read back anywhere, the clock goes on as it was."""
    straight, broken = PartitionClock(), PartitionClock()
    for i, (event_time, offset) in enumerate(records):
        for clock in (straight, broken):
            clock.observe(event_time)
            clock.see_offset(offset)
        if i == cut:
            broken = msgspec.msgpack.decode(msgspec.msgpack.encode(broken), type=PartitionClock)
    assert straight == broken


def test_the_future_begins_after_the_bound() -> None:
    """Exactly as far ahead as allowed is allowed."""
    assert not from_future(1_300, 1_000, 300)
    assert from_future(1_301, 1_000, 300)
