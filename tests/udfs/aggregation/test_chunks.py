"""Packed stretches: what goes in comes out, in few bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.aggregation.chunks import pack, unpack
from udfs.errors import StateIncompatible

items = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.integers(-100, 100)),
    st.lists(st.floats(allow_nan=False, allow_infinity=False)),
    st.lists(st.integers(-10_000, 10_000).map(lambda x: x / 100)),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 1, True, "a", None, [1, {"b": 2}]])),
    st.lists(st.text(max_size=3)),
)


@given(items, st.integers(-(2**40), 2**60), st.data())
def test_round_trip(found: list[Any], first: int, data: st.DataObject) -> None:
    """Values, kinds and signs of zero."""
    gaps = data.draw(
        st.lists(
            st.sampled_from([0, 1, 255, 256, 65_536, 2**33]),
            min_size=len(found), max_size=len(found),
        )
    )  # fmt: skip
    times, at = [], first
    for gap in gaps:
        times.append(at)
        at += gap
    if times:
        assert repr(unpack(pack(times, found), len(times), first)) == repr((times, found))
        assert unpack(pack(times, []), len(times), first) == (times, [])


@pytest.mark.parametrize(
    ("found", "bytes_each"),
    [
        ([x % 100 for x in range(64)], 1),
        ([x * 300 for x in range(64)], 2),
        ([x / 100 for x in range(64)], 1),
        ([1000 + x / 100 for x in range(64)], 4),
        ([x / 3 for x in range(64)], 8),
        ([], 0),
    ],
)
def test_few_bytes(found: list[Any], bytes_each: int) -> None:
    """As many as the items need, and one or two a time."""
    times = list(range(0, 64 * 50, 50))
    assert len(pack(times, found)) == 2 + 64 * 2 + 64 * bytes_each


@pytest.mark.parametrize("cut", [0, 1, 2, 50, 200])
def test_damage_is_told(cut: int) -> None:
    """A cut stretch is refused."""
    packed = pack(list(range(64)), [x / 3 for x in range(64)])
    with pytest.raises(StateIncompatible, match="damaged"):
        unpack(packed[:cut], 64, 0)
