"""Recent ids against a list that does the same the slow way."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.events import dedupe

hashes = st.integers(0, 12).map(lambda n: bytes([n, 0, 0, 0, n, 0, 0, 0]))
steps = st.lists(st.tuples(hashes, st.integers(0, 30)), max_size=60)


@given(steps, st.integers(1, 100), st.integers(1, 6), st.sets(st.integers(0, 60)))
def test_against_a_list(
    steps: list[tuple[bytes, int]], window_ms: int, cap: int, compacted: set[int]
) -> None:
    """Window, cap and first-wins, after every event, compacted or not."""
    kept: list[tuple[bytes, int]] = []
    hashes, times = bytearray(), bytearray()
    e_ms = 0
    for n, (h, step_ms) in enumerate(steps):
        e_ms += step_ms
        kept = [(k, t) for k, t in kept if e_ms - t < window_ms]
        duplicate = any(k == h for k, _ in kept)
        if not duplicate:
            kept = [*kept, (h, e_ms)][-cap:]
        assert dedupe.admit(hashes, times, h, e_ms, window_ms, cap) != duplicate
        assert len(hashes) == len(times) <= 2 * cap * 8
        if n in compacted:
            dedupe.compact(hashes, times, e_ms, window_ms, cap)
            assert hashes == b"".join(k for k, _ in kept)
            assert times == b"".join(t.to_bytes(8, "little") for _, t in kept)


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=8), st.binary(min_size=8, max_size=8))
def test_seen_is_membership(entries: list[bytes], h: bytes) -> None:
    """Whatever the bytes."""
    times = bytes(8 * len(entries))
    assert dedupe.seen(b"".join(entries), times, h, 0, 1) == (h in entries)


def test_a_hit_across_two_neighbours_is_none() -> None:
    """Only whole entries count, also behind a false hit."""
    h = bytes([1, 2, 3, 4, 1, 2, 3, 4])
    across = bytes([9, 9, 9, 9, 1, 2, 3, 4]) + bytes([1, 2, 3, 4, 9, 9, 9, 9])
    assert not dedupe.seen(across, bytes(16), h, 0, 1)
    assert dedupe.seen(across + h, bytes(24), h, 0, 1)
    assert dedupe.seen(h + across, bytes(24), h, 0, 1)


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
    hashes, times = bytearray(), bytearray()
    for n in range(1_000):
        assert dedupe.admit(hashes, times, hashlib.md5(b"%d" % n).digest()[:8], n, 10**9)
    dedupe.compact(hashes, times, 1_000, 10**9)
    assert [len(hashes), len(times)] == [2_048, 2_048]
