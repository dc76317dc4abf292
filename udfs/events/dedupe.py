"""Recent event ids of one user, as two packed values.

``hashes`` holds 8 bytes an event: XXH3-64 of ``event_id``, big-endian as xxhash digests it.
``times`` holds 8 bytes an event in the same order: the user's time E when it came, signed,
little-endian. E never falls, so the oldest is in front. Neither is ever decoded: a look-up is
one search, a new id two appends.

What is as old as the window is forgotten late: a look-up does not find it, `compact` removes it.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from xxhash import xxh3_64_digest

CAP: Final = 256
"""Most ids remembered a user: 4 KB, the most that a touch of a user may cost."""

_TIME: Final = Struct("<q")
_SIZE: Final = 8
_pack = _TIME.pack
_unpack = _TIME.unpack_from


def hash_id(event_id: str) -> bytes:
    """Give the 8 bytes an event id is remembered by."""
    digest: bytes = xxh3_64_digest(event_id.encode())
    return digest


def admit(
    hashes: bytearray, times: bytearray, h: bytes, e_ms: int, window_ms: int, cap: int = CAP
) -> bool:
    """Remember an id, unless it is remembered already: the first one stays, with its time. HOT.

    Args:
        hashes: Packed hashes; appended to.
        times: Packed times; appended to.
        h: What `hash_id` gives.
        e_ms: The user's time now; not below the last one.
        window_ms: ``dedupe_window``: what is this old or older is not remembered.
        cap: Most ids; the oldest are not remembered.

    Returns:
        False for a duplicate.
    """
    if hashes.find(h) >= 0 and seen(hashes, times, h, e_ms, window_ms, cap):  # find beats in
        return False
    hashes += h
    times += _pack(e_ms)
    if len(hashes) > 2 * cap * _SIZE:
        compact(hashes, times, e_ms, window_ms, cap)
    return True


def seen(
    hashes: bytes | bytearray,
    times: bytes | bytearray,
    h: bytes,
    e_ms: int,
    window_ms: int,
    cap: int = CAP,
) -> bool:
    """Tell whether an id is remembered; arguments as in `admit`.

    A hit in the middle of two neighbours is none.
    """
    at = hashes.rfind(h)
    while at >= 0 and at % _SIZE:
        at = hashes.rfind(h, 0, at + _SIZE - 1)
    # The last entry of an id is its youngest: if that is forgotten, all are.
    if at < max(0, len(hashes) - cap * _SIZE):
        return False
    entered: int = _unpack(times, at)[0]
    return e_ms - entered < window_ms


def compact(hashes: bytearray, times: bytearray, e_ms: int, window_ms: int, cap: int = CAP) -> None:
    """Remove what is not remembered any more; arguments as in `admit`."""
    end = len(times)
    cut = max(0, end - cap * _SIZE)
    while cut < end and e_ms - _unpack(times, cut)[0] >= window_ms:
        cut += _SIZE
    if cut:
        del hashes[:cut], times[:cut]
