"""A seeded log of shop traffic with everything that can go wrong in it, by construction.

Sessions of Zipf-distributed users; most events come a little out of order, some far too late,
some twice; some records are no events at all. The same arguments give the same bytes.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

START_MS = 1_750_000_000_000
SPAN_MS = 20_000_000  # five and a half hours
FAR_FUTURE_MS = 4_102_444_800_000  # the year 2100, for every run that this test will see
LARGE_BYTES = 5_000  # more than max_event_bytes of the jobs that read such a log

_KINDS = ("view", "view", "view", "click", "click", "cart", "cart", "pay", "page")
_ODD_AMOUNTS = (None, "12.5", True, -3, 0)


class Logged(NamedTuple):
    """One Kafka record."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int


class Traffic(NamedTuple):
    """A log, and what was put into it.

    Args:
        log: Records in an order in which a reader may see them.
        made: How many of each kind: ``late``, ``doubled``, ``dead:REASON`` …
    """

    log: list[Logged]
    made: dict[str, int]


def make_traffic(
    seed: int,
    events: int,
    *,
    partitions: int = 4,
    start_ms: int = START_MS,
    span_ms: int = SPAN_MS,
    late: float = 0.02,
    doubled: float = 0.02,
    dead: float = 0.01,
) -> Traffic:
    """Make a log.

    Args:
        seed: Of everything random.
        events: How many records at least; it ends with the session that reaches it.
        partitions: Of the topic.
        start_ms: Event time of the beginning.
        span_ms: Event time that it covers.
        late: Share of events that arrive 30 s to 15 min after their time.
        doubled: Share of events that are sent again.
        dead: Records that are no events, as a share of the events.
    """
    rng = random.Random(seed)
    made: dict[str, int] = {}
    arrivals: list[tuple[float, int, bytes | None, bytes | None]] = []
    number = itertools.count()
    spoil = itertools.cycle(_SPOILERS)

    def arrive(at_ms: float, key: bytes | None, value: bytes | None, kind: str) -> None:
        arrivals.append((at_ms, next(number), key, value))
        made[kind] = made.get(kind, 0) + 1

    for event in itertools.islice(_events(rng, events, start_ms, span_ms), events):
        key = event["user_id"].encode()
        value = json.dumps(event, ensure_ascii=rng.random() < 0.5).encode()
        due_ms: float = event["event_time"]
        chance = rng.random()
        if chance < late:
            due_ms += rng.uniform(30_000, 900_000)
            kind = "late"
        else:
            due_ms += rng.uniform(0, 200) if chance < 0.7 else rng.uniform(0, 4_500)
            kind = "in time"
        arrive(due_ms, key, value, kind)
        if rng.random() < doubled:
            again_ms = due_ms + rng.choice((1, 2_000, 60_000, 1_800_000)) * rng.random()
            arrive(again_ms, key, value, "doubled")
        if rng.random() < dead:
            reason, change = next(spoil)
            bad_key, bad_value = change(rng, dict(event))
            arrive(due_ms, bad_key, bad_value, f"dead:{reason}")
    arrivals.sort()
    offsets = [0] * partitions
    log = []
    for _, _, key, value in arrivals:
        partition = zlib.crc32(key or b"") % partitions
        log.append(Logged(key, value, partition, offsets[partition]))
        offsets[partition] += 1
    return Traffic(log, made)


def _events(
    rng: random.Random, events: int, start_ms: int, span_ms: int
) -> Iterator[dict[str, Any]]:
    """Give events in order of their time, for ever: sessions that overlap."""
    users = max(events // 20, 10)
    weights = list(itertools.accumulate(1 / rank**0.9 for rank in range(1, users + 1)))
    apart_ms = span_ms / events * 12  # a session has twelve events
    open_sessions: list[tuple[float, int, str, list[str], int]] = []
    opened_ms = float(start_ms)
    number = itertools.count()
    while True:
        while not open_sessions or opened_ms <= open_sessions[0][0]:
            rank = rng.choices(range(users), cum_weights=weights)[0]
            user = f"u{rank}" if rank % 10 else f"käufer-{rank}-😀"
            skus = [f"s{rng.randrange(40)}" for _ in range(rng.randint(1, 3))]
            heapq.heappush(open_sessions, (opened_ms, next(number), user, skus, rng.randint(2, 22)))
            opened_ms += rng.expovariate(1 / apart_ms)
        at_ms, session, user, skus, left = heapq.heappop(open_sessions)
        yield _event(rng, next(number), user, int(at_ms), rng.choice(skus))
        if left > 1:
            next_ms = at_ms + rng.expovariate(1 / 9_000)
            heapq.heappush(open_sessions, (next_ms, session, user, skus, left - 1))


def _event(rng: random.Random, number: int, user: str, at_ms: int, sku: str) -> dict[str, Any]:
    kind = rng.choice(_KINDS)
    props: dict[str, Any] = {}
    if kind in ("view", "cart"):
        props = {"sku": sku, "price": round(rng.uniform(1, 120), 2), "tags": ["neu", sku]}
        if rng.random() < 0.1:
            props["price"] = rng.randint(1, 120)
        if rng.random() < 0.02:
            del props["price"]
    elif kind == "click":
        props = {"sku": sku, "at": {"x": rng.randrange(400), "y": rng.random()}}
    elif kind == "pay":
        props = {"amount": round(rng.uniform(1, 200), 2)}
        if rng.random() < 0.2:
            props["amount"] = rng.randint(1, 200)
        if rng.random() < 0.05:
            props["amount"] = rng.choice(_ODD_AMOUNTS)
    event = {"event_id": f"e{number}", "event_type": kind, "user_id": user, "event_time": at_ms}
    if rng.random() < 0.3:
        event |= {"source": "h5", "page_id": f"p{rng.randrange(9)}"}
    if props or rng.random() < 0.5:
        event["props"] = props
    return event


# -- records that are no events -----------------------------------------------------------------

Spoiled = tuple[bytes | None, bytes | None]


def _key(event: dict[str, Any]) -> bytes:
    return str(event["user_id"]).encode()


def _packed(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def _tombstone(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), None


def _empty(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), b""


def _cut(rng: random.Random, event: dict[str, Any]) -> Spoiled:
    packed = _packed(event)
    return _key(event), packed[: rng.randrange(1, len(packed))]


def _no_utf8(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed(event).replace(b'"event_id": "', b'"event_id": "\xff')


def _no_object(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), b"[1, 2]"


def _text_for_time(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "event_time": "soon"})


def _list_for_props(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "props": [1]})


def _no_user(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({k: v for k, v in event.items() if k != "user_id"})


def _no_id(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "event_id": ""})


def _colour(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "colour": "red"})


def _negative_time(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "event_time": -5})


def _huge_integer(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "props": {"deep": [{"amount": 2**70}]}})


def _surrogate(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "props": {"text": "\ud800"}})


def _deep(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    nested: Any = 1
    for _ in range(80):
        nested = [nested]
    return _key(event), _packed({**event, "props": {"x": nested}})


def _future(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "event_time": FAR_FUTURE_MS})


def _large(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event), _packed({**event, "props": {"text": "x" * LARGE_BYTES}})


def _no_key(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return None, _packed(event)


def _broken_key(_rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return _key(event) + b"\xff\xfe", _packed(event)


def _foreign_key(rng: random.Random, event: dict[str, Any]) -> Spoiled:
    return f"stranger-{rng.randrange(9)}".encode(), _packed(event)


_SPOILERS = (
    ("tombstone", _tombstone), ("broken_json", _empty), ("broken_json", _cut),
    ("broken_json", _no_utf8), ("wrong_type", _no_object), ("wrong_type", _text_for_time),
    ("wrong_type", _list_for_props), ("missing_field", _no_user), ("missing_field", _no_id),
    ("unknown_field", _colour), ("out_of_range", _negative_time), ("out_of_range", _huge_integer),
    ("bad_text", _surrogate), ("too_deep", _deep), ("future", _future), ("too_large", _large),
    ("null_key", _no_key), ("bad_key", _broken_key), ("foreign_key", _foreign_key),
)  # fmt: skip
