"""Sharding against vectors taken from Flink, and against its own definition."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs import sharding

STRINGS = [
    ("", 62, 33, 1),
    ("a", 159, 64, 2),
    ("user_1", -836030213, 82, 2),
    ("user_42", -147134544, 73, 2),
    ("哈啰", 694758, 79, 2),
    ("u😀", 1885398, 91, 2),
]
LONGS = [
    (0, 62, 33, 1),
    (1, 63, 44, 1),
    (-1, 62, 33, 1),
    (42, 104, 26, 0),
    (1234567890123, 1912276498, 20, 0),
]


@pytest.mark.parametrize(("key", "row", "group", "subtask"), STRINGS)
def test_string_keys_land_where_flink_puts_them(
    key: str, row: int, group: int, subtask: int
) -> None:
    """Row hash, key group of 128 and subtask of 4 are Flink's."""
    assert sharding.row_hash(sharding.java_string_hash(key)) == row
    assert sharding.key_group(row, 128) == group
    assert sharding.subtask_of(group, 4, 128) == subtask


@pytest.mark.parametrize(("key", "row", "group", "subtask"), LONGS)
def test_long_keys_land_where_flink_puts_them(key: int, row: int, group: int, subtask: int) -> None:
    """Row hash, key group of 128 and subtask of 4 are Flink's."""
    assert sharding.row_hash(sharding.java_long_hash(key)) == row
    assert sharding.key_group(row, 128) == group
    assert sharding.subtask_of(group, 4, 128) == subtask


def test_four_subtasks_get_eight_shards_each() -> None:
    """32 shards over parallelism 4: subtask k owns shards 8k to 8k + 7."""
    labels = sharding.shard_labels(32, 128)
    assert len(set(labels)) == 32
    for shard, label in enumerate(labels):
        group = sharding.key_group(sharding.row_hash(label), 128)
        assert group == shard * 4
        assert sharding.subtask_of(group, 4, 128) == shard // 8
    assert sharding.shards_of_subtask(2, 4, 32, 128) == list(range(16, 24))


@given(st.text(), st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128, 256]))
def test_shard_is_the_first_bits_of_md5(key: str, shards: int) -> None:
    """The first byte, divided."""
    assert sharding.shard_of(key, shards) == hashlib.md5(key.encode()).digest()[0] // (
        256 // shards
    )


@given(st.text())
def test_shard_equals_the_formula_in_sql(key: str) -> None:
    """The expression over hex digits that the SQL of the job uses gives the same shard."""
    digits = hashlib.md5(key.encode()).hexdigest()
    first, second = (string.hexdigits.index(digits[i]) for i in (0, 1))
    assert sharding.shard_of(key, 32) == (first * 16 + second) // 8


@pytest.mark.parametrize("shards", [0, 3, 512, -1])
def test_odd_numbers_of_shards_are_refused(shards: int) -> None:
    """Only powers of two up to 256."""
    with pytest.raises(ValueError, match="power of two"):
        sharding.shard_of("a", shards)


@pytest.mark.parametrize(("shards", "groups"), [(32, 16), (0, 128), (2, 40_000)])
def test_labels_need_a_key_group_for_each_shard(shards: int, groups: int) -> None:
    """Two shards of one key group could not be told apart."""
    with pytest.raises(ValueError, match="key groups"):
        sharding.shard_labels(shards, groups)


@given(st.integers(1, 64), st.integers(0, 9))
def test_key_groups_are_shared_out_without_gap(parallelism: int, extra: int) -> None:
    """The ranges of all subtasks follow each other and agree with `subtask_of`."""
    groups = parallelism + extra * 7
    ranges = [sharding.key_groups_of(i, parallelism, groups) for i in range(parallelism)]
    assert [g for r in ranges for g in r] == list(range(groups))
    for subtask, owned in enumerate(ranges):
        assert {sharding.subtask_of(g, parallelism, groups) for g in owned} <= {subtask}


@given(st.sampled_from([1, 2, 4, 8, 16, 32]), st.integers(1, 16))
def test_every_shard_has_one_owner(shards: int, parallelism: int) -> None:
    """Shards of all subtasks together are all shards, in order."""
    owned = [
        s
        for i in range(parallelism)
        for s in sharding.shards_of_subtask(i, parallelism, shards, 128)
    ]
    assert owned == list(range(shards))
