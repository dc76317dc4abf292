"""Simulated visitors of a shop, as Kafka records in order of arrival.

Pure: the same seed and start give the same records, and the caller decides when to send them.
Sessions go from looking at things to the cart and, sometimes, to paying. Ten seconds of a real
visitor are one second here, so that a demo of half a minute sees whole sessions. Some events
come late, some twice, some broken, as in any real topic.

The shop is always the same: its items do not depend on the seed, so that what `history` makes fits
all traffic.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

Kind = Literal["good", "late", "doubled", "broken"]

EVENTS_PER_SESSION: Final = 4.65
"""On average, before doubling; what the rate of sessions is computed from."""

_BEFORE_MS: Final = 40_000  # the shop was open before the first record is sent
_MORE_VIEWS: Final = 2.5  # mean of the exponential distribution whose floor is added to one view
_TO_CART: Final = 0.4
_TO_PAY: Final = 0.55
_LOOK_MS: Final = 700.0  # median time between two pages
_PAY_MS: Final = 1_800.0  # median time from cart to payment
_SPREAD: Final = 0.7  # sigma of the logarithm of both
_DELAY_MS: Final = 80.0  # mean time from the device to Kafka
_MOST_DELAY_MS: Final = 1_000
_REPEAT_MS: Final = 1_500  # a repeat comes within
CATEGORIES: Final = ("books", "garden", "kitchen", "music", "shoes", "toys")
_CATALOGUE: Final = "catalogue 8"
"""Seed of the items, chosen so that dear and cheap ones are among those that many look at."""

_SYSTEMS: Final = ("android", "ios", "web")
_DAY_MS: Final = 86_400_000

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shop:
    """What is simulated.

    Args:
        rate: Events a second, on average.
        users: How many; drawn by Zipf's law.
        items: How many; drawn by Zipf's law.
        skew: Exponent of Zipf's law.
        late: Share of events that come 4 to 30 s after they happened.
        doubled: Share that is sent twice.
        broken: Share that is no event.
    """

    rate: float = 2_000.0
    users: int = 5_000
    items: int = 400
    skew: float = 0.8
    late: float = 0.01
    doubled: float = 0.005
    broken: float = 0.003


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka record.

    Args:
        due_ms: When it reaches Kafka, ms since the epoch.
        key: Kafka key.
        value: Kafka value; None is a tombstone.
        kind: What it is meant to be.
        event_id: Of the event; empty if broken.
    """

    due_ms: int
    key: bytes
    value: bytes | None
    kind: Kind
    event_id: str


@dataclass(frozen=True, slots=True)
class Item:
    """Something that the shop sells.

    Args:
        sku: Its name.
        category: One of `CATEGORIES`.
        price: In whole and hundredths.
        popularity: Views of it for each view of the most popular one.
    """

    sku: str
    category: str
    price: float
    popularity: float


def user_id(number: int) -> str:
    """Give the name of a user, numbered from 1 on in the order of their activity."""
    return f"user-{number:05}"


def catalogue(shop: Shop) -> list[Item]:
    """Give the shop's items, the most popular first."""
    chance = random.Random(_CATALOGUE)  # noqa: S311 - a simulation
    return [
        Item(
            f"sku-{rank:04}",
            chance.choice(CATEGORIES),
            round(chance.lognormvariate(4.0, 0.9), 2),  # median 55
            rank**-shop.skew,
        )
        for rank in range(1, shop.items + 1)
    ]


def traffic(seed: int, start_ms: int, shop: Shop | None = None) -> Iterator[Message]:
    """Give records in order of arrival, without end.

    Args:
        seed: Of everything random.
        start_ms: Arrival of the first record, ms since the epoch.
        shop: What is simulated.
    """
    shop = shop or Shop()
    chance = random.Random(seed)  # noqa: S311 - a simulation
    visitors = _Visitors(chance, shop, f"{seed:x}-{start_ms:x}")
    gap_ms = 1_000.0 * EVENTS_PER_SESSION / shop.rate
    begin_ms = float(start_ms - _BEFORE_MS)
    waiting: list[tuple[int, int, Message]] = []
    order = itertools.count()
    while True:
        begin_ms += chance.expovariate(1.0) * gap_ms
        for message in visitors.session(begin_ms, start_ms):
            heapq.heappush(waiting, (message.due_ms, next(order), message))
        # Later sessions send nothing before they begin.
        while waiting and waiting[0][0] <= begin_ms:
            yield heapq.heappop(waiting)[2]


class _Visitors:
    """Draws sessions.

    Args:
        chance: Source of everything random.
        shop: What is simulated.
        name: Leads every event id, so that two runs do not share one.
    """

    def __init__(self, chance: random.Random, shop: Shop, name: str) -> None:
        self._chance = chance
        self._shop = shop
        self._name = name
        self._numbers = itertools.count(1)
        self._users = zipf(shop.users, shop.skew)
        self._item_weights = zipf(shop.items, shop.skew)
        self._items = catalogue(shop)

    def session(self, begin_ms: float, start_ms: int) -> Iterator[Message]:
        """Give one visitor's records; those that arrived before `start_ms` are left out."""
        chance = self._chance
        user = user_id(self._pick(self._users) + 1)
        session = f"{self._name}-{next(self._numbers):x}"
        system = chance.choice(_SYSTEMS)
        for number, (at_ms, event_type, props) in enumerate(self._steps(begin_ms)):
            event = {
                "event_id": f"{session}-{number}",
                "event_type": event_type,
                "user_id": user,
                "event_time": int(at_ms),
                "source": "h5" if system == "web" else "native",
                "os": system,
                "props": props,
            }
            yield from self._sent(event, start_ms)

    def _steps(self, begin_ms: float) -> Iterator[tuple[float, str, dict[str, Any]]]:
        """Give what one visitor does: (time, event type, props)."""
        chance = self._chance
        at_ms = begin_ms
        yield at_ms, "page_enter", {"page": "home"}
        item = self._items[0]
        for _ in range(1 + int(chance.expovariate(1 / _MORE_VIEWS))):
            at_ms += self._gap(_LOOK_MS)
            item = self._items[self._pick(self._item_weights)]
            yield at_ms, "item_view", _described(item)
        if chance.random() < _TO_CART:
            at_ms += self._gap(_LOOK_MS)
            count = 1 + int(chance.expovariate(2.0))
            yield at_ms, "add_to_cart", {**_described(item), "count": count}
            if chance.random() < _TO_PAY:
                at_ms += self._gap(_PAY_MS)
                amount = round(item.price * count, 2)
                yield at_ms, "pay", {"sku": item.sku, "amount": amount}

    def _sent(self, event: dict[str, Any], start_ms: int) -> Iterator[Message]:
        """Give an event as it arrives: in time, late, twice or broken; before the start not."""
        chance, shop = self._chance, self._shop
        key = event["user_id"].encode()
        at_ms = event["event_time"]
        delay_ms = min(chance.expovariate(1 / _DELAY_MS), _MOST_DELAY_MS)
        fate = chance.random()
        late = shop.broken <= fate < shop.broken + shop.late
        if late:
            delay_ms = chance.uniform(4_000, 30_000)
        due_ms = at_ms + int(delay_ms)
        if due_ms < start_ms:
            return
        if fate < shop.broken:
            yield Message(due_ms, key, chance.choice(_BREAKAGES)(event, due_ms), "broken", "")
            return
        event_id = event["event_id"]
        value = _encode(event)
        yield Message(due_ms, key, value, "late" if late else "good", event_id)
        if chance.random() < shop.doubled:
            due_ms += chance.randrange(_REPEAT_MS)
            yield Message(due_ms, key, value, "doubled", event_id)

    def _gap(self, median_ms: float) -> float:
        return median_ms * self._chance.lognormvariate(0.0, _SPREAD)

    def _pick(self, weights: list[float]) -> int:
        return self._chance.choices(range(len(weights)), cum_weights=weights)[0]


def _described(item: Item) -> dict[str, Any]:
    return {"sku": item.sku, "category": item.category, "price": item.price}


def zipf(count: int, skew: float) -> list[float]:
    """Give cumulated weights of ranks 1 to `count`."""
    return list(itertools.accumulate(rank**-skew for rank in range(1, count + 1)))


def _cut(event: dict[str, Any], _due_ms: int) -> bytes | None:
    whole = _encode(event)
    return whole[: len(whole) // 2]


def _emptied(_event: dict[str, Any], _due_ms: int) -> bytes | None:
    return None


def _time_as_text(event: dict[str, Any], _due_ms: int) -> bytes | None:
    return _encode({**event, "event_time": str(event["event_time"])})


def _without_type(event: dict[str, Any], _due_ms: int) -> bytes | None:
    return _encode({name: value for name, value in event.items() if name != "event_type"})


def _with_more(event: dict[str, Any], _due_ms: int) -> bytes | None:
    return _encode({**event, "colour": "blue"})


def _from_tomorrow(event: dict[str, Any], due_ms: int) -> bytes | None:
    return _encode({**event, "event_time": due_ms + _DAY_MS})


def _of_somebody_else(event: dict[str, Any], _due_ms: int) -> bytes | None:
    return _encode({**event, "user_id": "nobody"})


_BREAKAGES: Final[tuple[Callable[[dict[str, Any], int], bytes | None], ...]] = (
    _cut, _emptied, _time_as_text, _without_type, _with_more, _from_tomorrow, _of_somebody_else,
)  # fmt: skip
