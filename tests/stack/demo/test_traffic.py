"""The simulated shop: repeatable, in order, with the flaws that were asked for."""

from __future__ import annotations

import functools
import itertools
import json
from collections import Counter

import pytest

from stack.demo.traffic import EVENTS_PER_SESSION, Message, Shop, traffic
from udfs.errors import InvalidEvent
from udfs.events.codec import decode

START_MS = 1_800_000_000_000
CLEAN = Shop(late=0, doubled=0, broken=0)


@functools.cache
def take(count: int, seed: int = 7, shop: Shop | None = None) -> list[Message]:
    """The first records."""
    return list(itertools.islice(traffic(seed, START_MS, shop), count))


def test_the_same_seed_gives_the_same_records() -> None:
    """A demo can be repeated."""
    assert take(500) == take(500)
    assert take(500) != take(500, seed=8)


def test_records_come_in_order_of_arrival_from_the_start_on() -> None:
    """No record is due before the start or before the record ahead of it."""
    due = [message.due_ms for message in take(5_000)]
    assert due == sorted(due)
    assert due[0] >= START_MS


def test_the_rate_is_what_was_asked_for() -> None:
    """Within 5 %, from the first second on."""
    messages = take(40_000, shop=CLEAN)
    seconds = (messages[-1].due_ms - START_MS) / 1_000
    assert len(messages) / seconds == pytest.approx(CLEAN.rate, rel=0.05)
    first = sum(message.due_ms < START_MS + 1_000 for message in messages)
    assert first == pytest.approx(CLEAN.rate, rel=0.15)


def test_a_session_has_as_many_events_as_the_rate_assumes() -> None:
    """The constant is the mean of what is drawn."""
    sessions = Counter(message.event_id.rpartition("-")[0] for message in take(40_000, shop=CLEAN))
    whole = list(sessions.values())[2_000:6_000]  # neither cut by the start nor by the end
    assert sum(whole) / len(whole) == pytest.approx(EVENTS_PER_SESSION, rel=0.05)


def test_sessions_go_from_view_to_cart_to_pay() -> None:
    """Within a session only what was looked at last is bought, and in that order."""
    sessions: dict[str, list[dict[str, object]]] = {}
    for message in take(5_000, shop=CLEAN):
        assert message.value is not None
        name = message.event_id.rpartition("-")[0]
        sessions.setdefault(name, []).append(json.loads(message.value))
    kinds = ["page_enter", "item_view", "add_to_cart", "pay"]
    paid = 0
    for events in sessions.values():
        events.sort(key=lambda event: str(event["event_id"]).zfill(40))
        ranks = [kinds.index(str(event["event_type"])) for event in events]
        assert ranks == sorted(ranks)
        assert len({event["user_id"] for event in events}) == 1
        paid += ranks[-1] == 3
    assert paid > 50


def test_flaws_come_as_often_as_they_were_asked_for() -> None:
    """Shares of late, doubled and broken records."""
    shop = Shop(late=0.1, doubled=0.05, broken=0.02)
    kinds = Counter(message.kind for message in take(20_000, shop=shop))
    assert kinds["late"] / 20_000 == pytest.approx(0.1, rel=0.15)
    assert kinds["doubled"] / 20_000 == pytest.approx(
        0.05, rel=0.25
    )  # repeats of the last are to come
    assert kinds["broken"] / 20_000 == pytest.approx(0.02, rel=0.2)


def test_a_repeat_follows_its_original_byte_for_byte() -> None:
    """A doubled event is the same record again, after the first one."""
    seen: dict[str, bytes | None] = {}
    repeats = 0
    for message in take(30_000):
        if message.kind == "doubled":
            repeats += 1
            assert seen[message.event_id] == message.value
        elif message.kind != "broken":
            assert message.event_id not in seen
            seen[message.event_id] = message.value
    assert repeats > 50


def test_only_the_broken_ones_are_no_events() -> None:
    """What is meant to be an event is one; what is broken is refused, in many ways."""
    reasons: Counter[str] = Counter()
    for message in take(30_000):
        if message.kind != "broken":
            event = decode(message.value)
            assert event.user_id.encode() == message.key
            assert event.event_time <= message.due_ms
            continue
        try:
            event = decode(message.value)
        except InvalidEvent as fault:
            reasons[fault.reason] += 1
        else:
            far = event.event_time > message.due_ms + 3_600_000
            assert far or event.user_id.encode() != message.key
            reasons["future" if far else "foreign_key"] += 1
    assert set(reasons) == {
        "broken_json", "tombstone", "wrong_type", "missing_field", "unknown_field", "future",
        "foreign_key",
    }  # fmt: skip


def test_users_follow_zipf() -> None:
    """A few users send much, most send little."""
    users = Counter(message.key for message in take(30_000))
    shares = [count / 30_000 for _, count in users.most_common()]
    assert 0.02 < shares[0] < 0.08
    assert len(users) > 2_000
