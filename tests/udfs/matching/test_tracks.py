"""Columns of events: what is stored comes back, whatever was looked at between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from udfs.errors import StateIncompatible
from udfs.events.event import Event
from udfs.matching.runs import Entry
from udfs.matching.tracks import Tracks, read

WIDTHS = (1, 3)
ADDED = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2**8 - 1), st.integers(0, 3), st.booleans()),
    max_size=30,
)


@given(ADDED, st.data())
def test_as_a_list(added: list[tuple[int, int, int, bool]], data: st.DataObject) -> None:
    """Look-ups, and forgetting what is old or not needed, in stored and in fresh columns."""
    tracks = Tracks(WIDTHS)
    plain: list[tuple[int, int, int, int]] = []
    time = 0
    for order, (kind, high, gap, stored) in enumerate(added):
        time += gap
        holds = high << 8 * (WIDTHS[kind] - 1)
        event = Event(str(order), "x", "u", time, props={"n": order})
        tracks.add(kind, Entry(order, time, None, event), holds)
        plain.append((kind, order, time, holds))
        if stored:
            tracks = Tracks(WIDTHS, tracks.pack())
        match data.draw(st.sampled_from(["", "", "prune", "keep"])):
            case "prune":
                plain = [row for row in plain if row[2] > time - 5]
                assert tracks.prune(time - 5) == len(plain)
            case "keep":
                plain = [row for row in plain if row[1] % 3 > 0]
                assert tracks.keep(lambda order: order % 3 > 0) == len(plain)
        where, bit = data.draw(st.sampled_from([(0, 0), (0, 7), (1, 16), (1, 21)]))
        after, since = data.draw(st.integers(-1, 30)), data.draw(st.integers(-1, 60))
        fitting = [
            row[1] for row in plain
            if row[0] == where and row[1] > after and row[2] > since and row[3] >> bit & 1
        ]  # fmt: skip
        place = tracks[where].first(bit, after, since)
        found = [] if place < 0 else [tracks[where].entry(place)]
        assert [entry.order for entry in found] == fitting[:1]
        assert all(entry.value().props == {"n": entry.order} for entry in found)
    rows = [(row[0], row[1], int.from_bytes(row[2], "little")) for row in tracks.rows()]
    assert rows == [row[1:] for row in plain]
    entries = read(tracks.pack())
    assert [entry.order for entry in entries] == [row[1] for row in plain]
    assert all(entry.value().event_time == entry.time for entry in entries)


def test_predicates_may_become_more() -> None:
    """What was stored when they took fewer bytes is read, and what nobody reads stays as it is."""
    tracks = Tracks(WIDTHS)
    for order in range(40):
        event = Event(str(order), "x", "u", order)
        tracks.add(order % 2, Entry(order, order, None, event), 1 << order % 7)
    tracks = Tracks((2, 4), tracks.pack())
    tracks.add(0, Entry(40, 40, None, Event("40", "x", "u", 40)), 1 << 9)
    assert [tracks[0].first(bit, 20) for bit in (0, 1, 9)] == [14, 11, 20]
    for order in range(41, 60):
        tracks.add(0, Entry(order, order, None, Event(str(order), "x", "u", order)), 1 << 15)
    tracks = Tracks((2, 5), tracks.pack())
    assert tracks[0].first(15, 0) == 21
    assert tracks[1].first(1, 20) == 14
    assert [entry.value().event_time for entry in read(tracks.pack())] == list(range(60))


@pytest.mark.parametrize("count", [3, 40])
def test_broken_bytes_are_refused(count: int) -> None:
    """Cut or of another size: an error that says what to do, not an answer."""
    tracks = Tracks(WIDTHS)
    for order in range(count):
        tracks.add(1, Entry(order, 10 + order, None, Event("e", "x", "u", 10)), 5)
    stored = tracks.pack()
    assert (stored.logged == 0) is (count == 40)
    name = "log" if stored.logged else "rows"
    whole = bytes(getattr(stored, name))
    broken = [structs.replace(stored, **{name: each}) for each in (whole[:-1], whole + b"x")]
    if not stored.logged:
        wrong = bytearray(whole)
        wrong[20 * count - 4] ^= 0xFF
        broken += [structs.replace(stored, rows=bytes(wrong)),
                   structs.replace(stored, directory=bytes(stored.directory)[:-4])]  # fmt: skip
    for each in broken:
        with pytest.raises(StateIncompatible, match="older savepoint"):
            read(each)
        with pytest.raises(StateIncompatible, match="older savepoint"):
            Tracks(WIDTHS, each).rows()
