"""The simulated shop's past: what is known of its users and items, and who clicked on what.

    python -m stack.demo.history DIR --month 2

writes ``users.parquet``, ``items.parquet`` and ``clicks.parquet``, for the users and items of
`traffic`. One user in ten and a few items are not known yet, some ages never are. In the second
month people are more than a month older: they have spent more, want other things, and look at
prices; some who were not known are.

Pure but for `write`: the same seed gives the same history.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stack.demo.traffic import CATEGORIES, Item, Shop, catalogue, user_id, zipf

CLICKS: Final = 20_000

_KNOWN: Final = {1: 0.9, 2: 0.96}
"""Share of users that are known, by month."""

_KNOWN_ITEMS: Final = 0.97
_AGE_KNOWN: Final = 0.95
_AGE_BANDS: Final = 7
_MOST_VIEWS: Final = 10  # more of them make nobody click more

_SCHEMAS: Final = {
    "users": pa.schema([
        ("user_id", pa.string()), ("age_band", pa.int8()), ("lifetime_spend", pa.float32()),
        ("visits", pa.int32()), ("affinity", pa.list_(pa.float32())),
    ]),
    "items": pa.schema([
        ("sku", pa.string()), ("category", pa.string()), ("price", pa.float32()),
        ("popularity", pa.float32()),
    ]),
    "clicks": pa.schema([
        ("user_id", pa.string()), ("sku", pa.string()), ("views_1m", pa.int64()),
        ("clicked", pa.int8()),
    ]),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tendency:
    """What makes people click: weights of a logistic function, by which `clicks` draws.

    Args:
        base: Of everybody.
        affinity: For the item's category.
        popularity: For things that many look at.
        views: For each of the last views.
        price: For a price e times as high as 55.
        spend: For having spent e times as much as 90.
    """

    base: float
    affinity: float
    popularity: float
    views: float
    price: float
    spend: float

    def chance(self, user: Mapping[str, Any], item: Item, views: int) -> float:
        """Give the probability of a click."""
        logit = (
            self.base
            + self.affinity * user["affinity"][CATEGORIES.index(item.category)]
            + self.popularity * item.popularity
            + self.views * min(views, _MOST_VIEWS)
            + self.price * math.log(item.price / 55)
            + self.spend * math.log(user["lifetime_spend"] / 90)
        )
        return 1 / (1 + math.exp(-logit))


TENDENCIES: Final = {
    1: Tendency(base=-3.2, affinity=4.5, popularity=0.5, views=0.1, price=0.3, spend=0.4),
    2: Tendency(base=-3.4, affinity=4.5, popularity=0.5, views=0.2, price=-0.9, spend=0.4),
}
"""By month."""


def users(seed: int, month: int, shop: Shop) -> list[dict[str, Any]]:
    """Give all users, also those that nobody knows yet, in the order of their activity.

    Args:
        seed: Of everything random.
        month: 1 or 2; the second month goes on from the first.
        shop: How many there are.

    Returns:
        Columns of ``users.parquet``, and ``known``.
    """
    return [_user(random.Random(f"{seed} user {n}"), n, month) for n in range(1, shop.users + 1)]  # noqa: S311 - a simulation


def _user(chance: random.Random, number: int, month: int) -> dict[str, Any]:
    rank = chance.random()
    row: dict[str, Any] = {
        "user_id": user_id(number),
        "age_band": chance.randrange(_AGE_BANDS) if chance.random() < _AGE_KNOWN else None,
        "lifetime_spend": round(chance.lognormvariate(math.log(90), 1.0), 2),
        "visits": 1 + int(chance.expovariate(1 / 20)),
        "affinity": _affinity(chance),
        "known": rank < _KNOWN[month],
    }
    if month > 1:
        row["lifetime_spend"] += round(chance.expovariate(1 / 60), 2)
        row["visits"] += int(chance.expovariate(1 / 4))
        wanted = _affinity(chance)
        row["affinity"] = [
            (old + new) / 2 for old, new in zip(row["affinity"], wanted, strict=True)
        ]
    return row


def _affinity(chance: random.Random) -> list[float]:
    """Draw shares of the categories, most of them small."""
    drawn = [chance.gammavariate(0.5, 1.0) for _ in CATEGORIES]
    return [each / sum(drawn) for each in drawn]


def items(shop: Shop) -> list[dict[str, Any]]:
    """Give the columns of ``items.parquet``; items that were added lately are not among them."""
    chance = random.Random("known items")  # noqa: S311 - a simulation
    return [
        {"sku": item.sku, "category": item.category, "price": item.price,
         "popularity": item.popularity}
        for item in catalogue(shop)
        if chance.random() < _KNOWN_ITEMS
    ]  # fmt: skip


def clicks(
    seed: int, month: int, shop: Shop, everybody: Sequence[Mapping[str, Any]], count: int
) -> list[dict[str, Any]]:
    """Draw offers that were made, and whether they were clicked on.

    Args:
        seed: Of everything random.
        month: 1 or 2.
        shop: What is simulated.
        everybody: All users, known or not.
        count: How many.

    Returns:
        Columns of ``clicks.parquet``: ``views_1m`` is the aggregate as it was at that time.
    """
    chance = random.Random(f"{seed} clicks {month}")  # noqa: S311 - a simulation
    shown = catalogue(shop)
    who = chance.choices(everybody, cum_weights=zipf(shop.users, shop.skew), k=count)
    what = chance.choices(shown, cum_weights=zipf(shop.items, shop.skew), k=count)
    rows = []
    for user, item in zip(who, what, strict=True):
        views = 1 + int(chance.expovariate(1 / 5))
        clicked = chance.random() < TENDENCIES[month].chance(user, item, views)
        rows.append({"user_id": user["user_id"], "sku": item.sku, "views_1m": views,
                     "clicked": int(clicked)})  # fmt: skip
    return rows


def write(folder: Path, seed: int, month: int, shop: Shop) -> dict[str, int]:
    """Write a month's history.

    Args:
        folder: Where to; made if absent.
        seed: Of everything random.
        month: 1 or 2.
        shop: What is simulated.

    Returns:
        Numbers of rows, by file.
    """
    everybody = users(seed, month, shop)
    tables: dict[str, list[dict[str, Any]]] = {
        "users": [user for user in everybody if user["known"]],
        "items": items(shop),
        "clicks": clicks(seed, month, shop, everybody, CLICKS),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        # What the schema does not name, is left out.
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMAS[name]), folder / f"{name}.parquet")
    return {name: len(rows) for name, rows in tables.items()}


def main() -> None:
    """Write a month's history."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to")
    parser.add_argument("--month", type=int, choices=sorted(TENDENCIES), default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = write(given.folder, given.seed, given.month, Shop())
    print(", ".join(f"{count:,} {name}" for name, count in rows.items()))  # noqa: T201 - it is a command


if __name__ == "__main__":
    main()
