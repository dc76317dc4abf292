"""One small job, events of now: absence without a next event, pauses, and bad input."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator

import pytest

from stack import Stack
from tests.e2e.running import PARTITIONS, Running, await_until
from tests.e2e.traffic import FAR_FUTURE_MS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PARTS = {
    "rules": [
        {
            "rule": "unpaid", "version": 1, "within": "2s",
            "pattern": [
                {"step": "cart", "event": "cart"},
                {"step": "pay", "then": "not_followed_by", "event": "pay"},
            ],
        },
    ],
    "flows": [
        {"flow": "remind", "version": 1, "trigger": {"rule": "unpaid"},
         "action": {"payload": {"sku": "cart[0].props.sku"}}},
        {"flow": "echo", "version": 1,
         "trigger": {"event": "ping", "where": "props.n > 1"},
         "action": {"payload": {"twice": "props.n * 2"}}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def job(stack: Stack) -> Iterator[Running]:
    """At-least-once: decisions can be read at once."""
    with Running(
        stack, "live", idle_advance="1s", out_of_orderness="500ms", dedupe_window="10m"
    ) as job:
        job.publish(json.dumps({"schema": 1, "revision": 1, **PARTS}))
        yield job.start()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _event(kind: str, user: str, number: int, time_ms: int, **props: object) -> dict[str, object]:
    return {
        "event_id": f"{kind}-{user}-{number}", "event_type": kind, "user_id": user,
        "event_time": time_ms, "props": props,
    }  # fmt: skip


def _balanced(counts: dict[str, int]) -> bool:
    return counts["in"] == sum(counts[name] for name in ("applied", "late", "dead", "doubled"))


def test_absence_fires_with_no_further_event_of_anybody(job: Running) -> None:
    """A cart, then silence: the wall clock moves time on; a cart that was paid stays quiet."""
    cart_ms = _now_ms()
    job.send(
        _event("cart", "ann", 1, cart_ms, sku="s1"),
        _event("cart", "bob", 1, cart_ms, sku="s2"),
        _event("pay", "bob", 1, cart_ms + 10),
    )
    decision = await_until(lambda: job.decisions(flow="remind"), "the reminder")[0]
    assert (decision["user_id"], decision["at"]) == ("ann", cart_ms + 2_000)
    assert decision["payload"] == {"sku": "s1"}
    assert not job.decisions(user_id="bob")
    told = job.control("idle_advance")
    assert told, "what is not in the log is told on control"
    assert told[-1]["clock"] >= cart_ms + 2_000
    assert told[-1]["offsets"] == {"0": 0}


def test_backlog_after_a_pause_is_not_late(job: Running) -> None:
    """While the producer is silent deadlines fire; what it then sends of that time is in time."""
    before = job.await_in(3)
    started_ms = _now_ms()
    sent = 0

    def send(from_ms: int, to_ms: int) -> None:
        nonlocal sent
        for partition in range(PARTITIONS):
            events = []
            for at_ms in range(from_ms, to_ms, 100):
                sent += 1
                user = f"p{partition}-{sent % 5}"
                events.append(_event("cart" if sent % 3 else "pay", user, sent, at_ms, sku="s"))
            job.send(*events, partition=partition)

    send(started_ms - 2_000, started_ms)
    time.sleep(5)
    fired = job.decisions(flow="remind")
    assert any(started_ms < d["at"] <= started_ms + 2_000 for d in fired), "during the pause"
    send(started_ms, started_ms + 5_000)
    counts = job.await_in(before["in"] + sent)
    assert counts["late"] == before["late"]
    assert not job.read("late")
    assert _balanced(counts)


def test_bad_input_is_told_and_the_batch_goes_on(job: Running) -> None:
    """Each bad record becomes a dead letter or a late copy with its reason; the good go on."""
    now_ms = _now_ms()
    key = b"eve"

    def packed(**changed: object) -> bytes:
        return json.dumps({**_event("ping", "eve", 9, now_ms, n=9), **changed}).encode()

    huge = packed(event_id="huge", props={"text": "x" * (10 << 20)})
    bad: list[tuple[str, bytes | None, bytes | None]] = [
        ("too_large", key, huge),
        ("tombstone", key, None),
        ("broken_json", key, b'{"event_id": '),
        ("wrong_type", key, packed(event_time="now")),
        ("missing_field", key, packed(user_id="")),
        ("unknown_field", key, packed(colour="red")),
        ("future", key, packed(event_time=FAR_FUTURE_MS)),
        ("foreign_key", b"mallory", packed()),
        ("null_key", None, packed()),
        ("bad_key", b"\xff", packed()),
    ]
    before = job.counts()
    first = job._offsets[1]
    job.send_raw(*((key, value) for _, key, value in bad), partition=1)
    start = job._offsets[1]
    job.send(
        _event("ping", "eve", 1, now_ms, n=21),
        _event("ping", "eve", 1, now_ms, n=21),  # twice
        {**_event("ping", "eve", 2, now_ms), "props": {}},  # the flow's condition fails on it
        _event("ping", "eve", 3, now_ms - 3_600_000, n=22),  # late
        _event("ping", "eve", 4, now_ms + 1, n=23),
        partition=1,
    )
    counts = job.await_in(before["in"] + len(bad) + 5)
    assert _balanced(counts)
    assert counts["dead"] - before["dead"] == len(bad)
    assert counts["doubled"] - before["doubled"] == 1
    assert counts["late"] - before["late"] == 1
    assert counts["expression_errors"] - before["expression_errors"] == 1
    decisions = await_until(
        lambda: len(found := job.decisions(user_id="eve")) >= 2 and found, "both decisions"
    )
    assert [d["payload"] for d in decisions] == [{"twice": 42}, {"twice": 46}]
    letters = {letter.headers["error"].decode(): letter for letter in job.read("dead_letters")}
    for number, (reason, letter_key, value) in enumerate(bad):
        letter = letters[reason]
        assert letter.headers["offset"] == str(first + number).encode()
        assert letter.key == letter_key
        if reason != "too_large":
            assert letter.value == (value or b"")
    cut = json.loads(letters["too_large"].value)
    assert letters["too_large"].headers["cut"] == b"true"
    assert base64.b64decode(cut["head"]) == huge[: len(base64.b64decode(cut["head"]))]
    assert len(cut["head"]) > 1_000
    digest = hashlib.sha256(huge).hexdigest()
    assert (cut["length"], cut["sha256"]) == (len(huge), digest)
    assert (cut["partition"], cut["offset"]) == (1, first)
    (late,) = job.read("late")
    assert late.headers["reason"] == b"late"
    assert late.headers["offset"] == str(start + 3).encode()


def test_python_operators_have_threads_of_their_own(job: Running) -> None:
    """Two in one chain could hang at the start: see the watcher in jobs/decide.py."""
    names = [vertex["name"] for vertex in job.rest()["vertices"]]
    python = ("watch", "decide", "_stream_key_by_map_operator", "Map", "Filter", "Process")
    for name in names:
        parts = [part.strip(" ,()") for part in name.split("->")]
        assert sum(part in python for part in parts) <= 1, name
    assert sum("watch" in name for name in names) == 1
