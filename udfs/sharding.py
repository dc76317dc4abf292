"""Which shard a key has, and which subtask Flink gives the shard to.

The shard of a key is the first bits of its MD5, so that SQL, Python and any other language
agree. PyFlink hashes ``Row(key)``, not the key; `key_group` is that hash as Flink 2.3 takes it.
Labels are INT keys chosen so that shard ``i`` falls into key group
``i * max_parallelism // shards``: every subtask owns a contiguous range of shards.
"""

from __future__ import annotations

import hashlib
from typing import Final

MAX_SHARDS: Final = 256
"""The shard is taken from one byte."""

MAX_KEY_GROUPS: Final = 32_768
"""Flink's own limit of max parallelism."""

_WORD: Final = 0xFFFFFFFF
_SIGN: Final = 0x80000000
_ROW_OF_ONE: Final = 62  # hash of an org.apache.flink.types.Row without its field, in 2.3


def shard_of(key: str, shards: int) -> int:
    """Give the shard of a key. HOT.

    >>> shard_of("user_1", 32) == hashlib.md5(b"user_1").digest()[0] // 8
    True

    Args:
        key: The subject.
        shards: A power of two up to 256.

    Returns:
        0 … shards - 1.

    Raises:
        ValueError: `shards` is no power of two up to 256, or `key` is not UTF-8.
    """
    if not 0 < shards <= MAX_SHARDS or shards & (shards - 1):
        raise ValueError(f"{shards} shards: take a power of two up to {MAX_SHARDS}")
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return digest[0] * shards >> 8


def java_string_hash(text: str) -> int:
    """Give Java's ``String.hashCode()``: polynomial of 31 over UTF-16 units, signed."""
    h = 0
    units = text.encode("utf-16-le")
    for at in range(0, len(units), 2):
        h = (31 * h + (units[at] | units[at + 1] << 8)) & _WORD
    return _signed(h)


def java_long_hash(value: int) -> int:
    """Give Java's ``Long.hashCode()``: the upper half mixed into the lower, signed."""
    return _signed((value ^ (value & 0xFFFFFFFFFFFFFFFF) >> 32) & _WORD)


def row_hash(key_hash: int) -> int:
    """Give the hash of ``Row(key)``, which is what PyFlink partitions by."""
    return _signed((_ROW_OF_ONE + key_hash) & _WORD)


def key_group(row_hash: int, max_parallelism: int) -> int:
    """Give the key group of a row's hash (Flink's murmur, not the usual one).

    Args:
        row_hash: What `row_hash` gives.
        max_parallelism: Number of key groups.

    Returns:
        0 … max_parallelism - 1.
    """
    return _murmur(row_hash) % max_parallelism


def subtask_of(key_group: int, parallelism: int, max_parallelism: int) -> int:
    """Give the subtask that owns a key group."""
    return key_group * parallelism // max_parallelism


def key_groups_of(subtask: int, parallelism: int, max_parallelism: int) -> range:
    """Give the key groups that a subtask owns."""
    start = -(-subtask * max_parallelism // parallelism)
    stop = -(-(subtask + 1) * max_parallelism // parallelism)
    return range(start, stop)


def shard_labels(shards: int, max_parallelism: int) -> list[int]:
    """Search the INT keys that put each shard where it belongs.

    Args:
        shards: Number of shards.
        max_parallelism: Number of key groups, at least as many.

    Returns:
        For shard i the smallest label n >= 0 whose key group is
        ``i * max_parallelism // shards``.

    Raises:
        ValueError: Fewer key groups than shards.
    """
    if not 0 < shards <= max_parallelism <= MAX_KEY_GROUPS:
        raise ValueError(
            f"{shards} shards on {max_parallelism} key groups: every shard needs a key group of "
            f"its own, and Flink has at most {MAX_KEY_GROUPS}; raise max parallelism or take "
            "fewer shards"
        )
    missing = {i * max_parallelism // shards: i for i in range(shards)}
    labels = [0] * shards
    label = 0
    while missing:
        shard = missing.pop(key_group(row_hash(label), max_parallelism), None)
        if shard is not None:
            labels[shard] = label
        label += 1
    return labels


def shards_of_subtask(
    subtask: int, parallelism: int, shards: int, max_parallelism: int
) -> list[int]:
    """Give the shards that a subtask owns, a contiguous range."""
    owned = key_groups_of(subtask, parallelism, max_parallelism)
    return [i for i in range(shards) if i * max_parallelism // shards in owned]


def _signed(word: int) -> int:
    return word - 2 * _SIGN if word & _SIGN else word


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _WORD


def _murmur(code: int) -> int:
    h = code * 0xCC9E2D51 & _WORD
    h = _rotated(h, 15) * 0x1B873593 & _WORD
    h = _rotated(h, 13) * 5 + 0xE6546B64 & _WORD
    h ^= 4
    h = (h ^ h >> 16) * 0x85EBCA6B & _WORD
    h = (h ^ h >> 13) * 0xC2B2AE35 & _WORD
    h = _signed(h ^ h >> 16)
    return 0 if h == -_SIGN else abs(h)
