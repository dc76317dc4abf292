"""Recent event ids of one user, as two packed values.

``hashes`` holds 8 bytes an event: XXH3-64 of ``event_id``, big-endian as xxhash digests it.
``times`` holds 8 bytes an event in the same order: the user's time E when it came, signed,
little-endian. E never falls, so the oldest is in front. Both are kept as bytes in state and
never decoded: a look-up is one search.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from xxhash import xxh3_64_digest

CAP: Final = 256
"""Most ids remembered a user: 4 KB, the most that a touch of a user may cost."""

_TIME: Final = Struct("<q")
_SIZE: Final = 8


def hash_id(event_id: str) -> bytes:
    """Give the 8 bytes an event id is remembered by."""
    digest: bytes = xxh3_64_digest(event_id.encode())
    return digest


def seen(hashes: bytes, h: bytes) -> bool:
    """Tell whether a hash is among the remembered ones. HOT.

    A hit in the middle of two neighbours is none.
    """
    at = hashes.find(h)
    while at >= 0:
        if at % _SIZE == 0:
            return True
        at = hashes.find(h, at + 1)
    return False


def forget(hashes: bytes, times: bytes, e_ms: int, window_ms: int) -> tuple[bytes, bytes]:
    """Drop from the front what is as old as the window or older. HOT.

    Args:
        hashes: Packed hashes.
        times: Packed times.
        e_ms: The user's time now.
        window_ms: ``dedupe_window``.

    Returns:
        What is left of both.
    """
    if not times or e_ms - _TIME.unpack_from(times)[0] < window_ms:
        return hashes, times
    if e_ms - _TIME.unpack_from(times, len(times) - _SIZE)[0] >= window_ms:
        return b"", b""
    cut = _SIZE
    while e_ms - _TIME.unpack_from(times, cut)[0] >= window_ms:
        cut += _SIZE
    return hashes[cut:], times[cut:]


def remember(
    hashes: bytes, times: bytes, h: bytes, e_ms: int, window_ms: int, *, cap: int = CAP
) -> tuple[bytes, bytes]:
    """Add a hash, unless it is there already: the first one stays, with its time. HOT.

    Args:
        hashes: Packed hashes.
        times: Packed times.
        h: What `hash_id` gives.
        e_ms: The user's time now; not below the last one.
        window_ms: ``dedupe_window``: entries this old or older are dropped first.
        cap: Most entries; the oldest go.

    Returns:
        Both values with the entry at the end.
    """
    hashes, times = forget(hashes, times, e_ms, window_ms)
    if seen(hashes, h):
        return hashes, times
    return (hashes + h)[-cap * _SIZE :], (times + _TIME.pack(e_ms))[-cap * _SIZE :]


def admit(
    hashes: bytes, times: bytes, h: bytes, e_ms: int, window_ms: int, *, cap: int = CAP
) -> tuple[bytes, bytes] | None:
    """Do what a job does per event, in one call: None for a duplicate, else `remember`. HOT."""
    hashes, times = forget(hashes, times, e_ms, window_ms)
    if h in hashes and seen(hashes, h):
        return None
    if len(hashes) >= cap * _SIZE:
        keep = len(hashes) - (cap - 1) * _SIZE
        hashes, times = hashes[keep:], times[keep:]
    return hashes + h, times + _TIME.pack(e_ms)
