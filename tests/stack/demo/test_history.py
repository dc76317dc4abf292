"""The simulated past: repeatable, about the users and items of the traffic, with gaps."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from feature_dist.publish.rows import read_rows
from feature_dist.spec import read_spec
from stack.demo.history import TENDENCIES, clicks, items, users, write
from stack.demo.traffic import CATEGORIES, Shop, catalogue, traffic
from stack.settings import ROOT

SHOP = Shop(users=500)
SCORING = ROOT / "configs" / "examples" / "scoring"


def test_the_same_seed_gives_the_same_history() -> None:
    """And another one another."""
    assert users(1, 2, SHOP) == users(1, 2, SHOP)
    assert users(1, 2, SHOP) != users(2, 2, SHOP)
    everybody = users(1, 1, SHOP)
    assert clicks(1, 1, SHOP, everybody, 50) == clicks(1, 1, SHOP, everybody, 50)


def test_history_is_about_those_who_come() -> None:
    """Most of the traffic's users and items are known, and some are not."""
    known_users = {row["user_id"] for row in users(1, 1, SHOP) if row["known"]}
    known_items = {row["sku"] for row in items(SHOP)}
    seen_users, seen_items = set(), set()
    for message in itertools.islice(traffic(7, 1_800_000_000_000, SHOP), 20_000):
        if message.kind == "good":
            event = json.loads(message.value or b"")
            seen_users.add(event["user_id"])
            seen_items |= {event["props"][key] for key in ("sku",) if key in event["props"]}
    assert len(seen_users & known_users) > 0.8 * len(seen_users)
    assert len(seen_items & known_items) > 0.8 * len(seen_items)
    assert seen_users - known_users
    assert seen_items - known_items


def test_the_second_month_goes_on_from_the_first() -> None:
    """Nobody has spent less or is forgotten, some are known now, tastes have moved."""
    for before, after in zip(users(1, 1, SHOP), users(1, 2, SHOP), strict=True):
        assert before["age_band"] == after["age_band"]
        assert before["lifetime_spend"] <= after["lifetime_spend"]
        assert before["visits"] <= after["visits"]
        assert before["known"] <= after["known"]
        assert before["affinity"] != after["affinity"]
        assert sum(after["affinity"]) == pytest.approx(1)
    known = [sum(row["known"] for row in users(1, month, SHOP)) for month in (1, 2)]
    assert known[0] < known[1] < SHOP.users


def test_who_likes_what_clicks_more() -> None:
    """Clicks follow the tendency that they were drawn by."""
    everybody = users(1, 1, SHOP)
    by_id = {row["user_id"]: row for row in everybody}
    sold = {item.sku: item for item in catalogue(SHOP)}
    rows = clicks(1, 1, SHOP, everybody, 20_000)
    assert 0.05 < sum(row["clicked"] for row in rows) / len(rows) < 0.5
    chances: dict[bool, list[Any]] = {True: [], False: []}
    for row in rows:
        category = CATEGORIES.index(sold[row["sku"]].category)
        chances[by_id[row["user_id"]]["affinity"][category] > 0.4].append(row["clicked"])
    likes, others = (sum(chances[key]) / len(chances[key]) for key in (True, False))
    assert likes > 2 * others


def test_prices_repel_in_the_second_month_only() -> None:
    """So that a model of the first month is a bad one in the second."""
    assert TENDENCIES[1].price > 0 > TENDENCIES[2].price


@pytest.mark.parametrize("month", [1, 2])
def test_what_is_written_fits_the_table_specs(tmp_path: Path, month: int) -> None:
    """`millrace table publish` takes the files with the example specs."""
    counts = write(tmp_path, 1, month, SHOP)
    for table in ("user", "item"):
        spec = read_spec(json.loads((SCORING / f"{table}.json").read_text()))
        source = tmp_path / f"{table}s.parquet"
        rows = dict(read_rows(spec, source, 0))
        assert len(rows) == counts[f"{table}s"] == pq.read_metadata(source).num_rows
