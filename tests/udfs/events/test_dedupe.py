"""Recent ids against a list that does the same the slow way."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.events import dedupe

hashes = st.integers(0, 12).map(lambda n: bytes([n, 0, 0, 0, n, 0, 0, 0]))
steps = st.lists(st.tuples(hashes, st.integers(0, 30)), max_size=60)


@given(steps, st.integers(1, 100), st.integers(1, 6))
def test_against_a_list(steps: list[tuple[bytes, int]], window_ms: int, cap: int) -> None:
    """Window, cap and first-wins, after every event."""
    kept: list[tuple[bytes, int]] = []
    packed = remembered = (b"", b"")
    e_ms = 0
    for h, step_ms in steps:
        e_ms += step_ms
        kept = [(k, t) for k, t in kept if e_ms - t < window_ms]
        duplicate = any(k == h for k, _ in kept)
        if not duplicate:
            kept = [*kept, (h, e_ms)][-cap:]
        admitted = dedupe.admit(*packed, h, e_ms, window_ms, cap=cap)
        assert (admitted is None) == duplicate
        packed = packed if admitted is None else admitted
        remembered = dedupe.remember(*remembered, h, e_ms, window_ms, cap=cap)
        assert remembered[0] == b"".join(k for k, _ in kept)
        assert remembered[1] == b"".join(t.to_bytes(8, "little") for _, t in kept)
        assert dedupe.forget(*packed, e_ms, window_ms) == remembered


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=8), st.binary(min_size=8, max_size=8))
def test_seen_is_membership(entries: list[bytes], h: bytes) -> None:
    """Whatever the bytes."""
    assert dedupe.seen(b"".join(entries), h) == (h in entries)


def test_a_hit_across_two_neighbours_is_none() -> None:
    """Only whole entries count, also behind a false hit."""
    h = bytes([1, 2, 3, 4, 1, 2, 3, 4])
    across = bytes([9, 9, 9, 9, 1, 2, 3, 4]) + bytes([1, 2, 3, 4, 9, 9, 9, 9])
    assert not dedupe.seen(across, h)
    assert dedupe.seen(across + h, h)


@pytest.mark.parametrize(
    ("event_id", "digest"), [("", "2d06800538d394c2"), ("e1", None), ("哈啰", None)]
)
def test_hash_is_stable(event_id: str, digest: str | None) -> None:
    """8 bytes that any process gives again; XXH3-64 of nothing is in its specification."""
    h = dedupe.hash_id(event_id)
    assert len(h) == 8
    assert h == dedupe.hash_id(event_id)
    assert digest is None or h.hex() == digest


def test_the_cap_is_four_kilobytes() -> None:
    """A busy user costs no more."""
    packed = (b"", b"")
    for n in range(1_000):
        h = hashlib.md5(b"%d" % n).digest()[:8]
        packed = dedupe.remember(*packed, h, n, 10**9)
    assert [len(value) for value in packed] == [2_048, 2_048]
