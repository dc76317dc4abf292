"""The watcher sends with a manifest what has to be finished of the one in force."""

from __future__ import annotations

import base64
from typing import Any

from configs.manifest import Resolved
from configs.rollout import Ack
from tests.configs.test_watch import Bench, text_of, types


def finishing(prepare: dict[str, Any]) -> list[tuple[str, int | None]]:
    """Give name and time of the rules that a prepare has to finish."""
    resolved = Resolved.load(base64.b64decode(prepare["payload"]))
    return [(one.rule["name"], one.replaced_ms) for one in resolved.finishing]


def test_a_push_has_to_finish_what_it_replaces() -> None:
    """What is in force when it is prepared; that it must finish changes no digest."""
    bench = Bench(shipped=Resolved.of(1, rules=[{"name": "one"}]))
    (prepare,) = bench.push(text_of(2, rules=[{"name": "two"}]))
    assert finishing(prepare) == [("one", 1_000_000)]
    assert prepare["digest"] == Resolved.of(2, rules=[{"name": "two"}]).digest
    bench.answer(prepare)
    bench.now_ms += 1
    (third,) = bench.push(text_of(3))
    assert finishing(third) == [("two", 1_000_001)]
    # One that is overtaken never was in force.
    lines = bench.push(text_of(4))
    assert types(lines) == ["abort", "SUPERSEDED", "prepare"]
    assert finishing(lines[2]) == [("two", 1_000_001)]


def test_a_push_that_waits_while_another_is_committed() -> None:
    """It is examined once more: it replaces the other one now."""
    bench = Bench(shipped=Resolved.of(1, rules=[{"name": "one"}]))
    (second,) = bench.push(text_of(2, rules=[{"name": "two"}]))
    bench.acks.skip_to_end = bench.unreachable  # type: ignore[method-assign]
    for subtask in range(2):
        bench.acks.queue.append(Ack(2, second["prepare_id"], subtask, "READY"))
    assert types(bench.push(text_of(3))) == ["commit", "COMMITTED"]
    del bench.acks.skip_to_end
    bench.now_ms += 10_000
    lines = bench.turn()
    while not lines:
        lines = bench.turn()
    (third,) = lines
    assert (third["revision"], finishing(third)) == (3, [("two", bench.now_ms)])
