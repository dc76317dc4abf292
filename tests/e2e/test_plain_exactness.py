"""The cores without any server: against an independent program, and cut in different places."""

from __future__ import annotations

import pytest

from tests.e2e import independent, shop
from tests.e2e.compare import as_independent, same
from tests.e2e.plain import run_plain
from tests.e2e.traffic import make_traffic
from udfs.decisions.shard_settings import ShardSettings


@pytest.mark.parametrize("seed", [1, 2])
def test_cores_equal_the_independent_program(seed: int) -> None:
    """Decisions, late events and dead letters, whole."""
    traffic = make_traffic(seed, 5_000)
    settings = ShardSettings(idle_advance_ms=None, max_event_bytes=shop.MAX_EVENT_BYTES)
    records, counts = run_plain(traffic.log, shop.PARTS, shop.REVISION, settings, seed=seed)
    expected = independent.run(traffic.log, shop.REVISION)
    same(as_independent(records), expected[:3])
    assert counts["doubled"] == expected[3]
    applied = counts["in"] - counts["late"] - counts["dead"] - counts["doubled"]
    assert counts["applied"] == applied > 4_000
    dead = sum(number for kind, number in traffic.made.items() if kind.startswith("dead:"))
    assert counts["dead"] == dead


@pytest.mark.parametrize("reorder", [False, True], ids=["arrival", "event_time"])
def test_results_do_not_depend_on_where_batches_are_cut(*, reorder: bool) -> None:
    """One record at a time, a few, or a whole hour at once: the same records in the same order."""
    traffic = make_traffic(3, 4_000)
    settings = ShardSettings(
        idle_advance_ms=None, reorder=reorder, max_event_bytes=shop.MAX_EVENT_BYTES
    )
    runs = [
        run_plain(traffic.log, shop.PARTS, shop.REVISION, settings, shards=4, most=most)[0]
        for most in (1, 40, 3_000)
    ]
    first, *others = (as_independent(records) for records in runs)
    assert len(first.decisions) > 100
    for other in others:
        same(other, first)
