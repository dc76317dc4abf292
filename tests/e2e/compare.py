"""Two runs side by side: multisets of decisions, late copies and dead letters, and their order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pytest

from udfs.decisions.records import Record

SHOWN = 3


class Output(NamedTuple):
    """What came of a log, in plain values.

    Args:
        decisions: Whole records.
        late: (key, value, event time, firing clock, partition, offset).
        dead: (key, value, reason, partition, offset).
    """

    decisions: list[dict[str, Any]]
    late: list[tuple[Any, ...]]
    dead: list[tuple[Any, ...]]


def as_independent(
    records: Iterable[Record],
    decisions: str = "decisions",
    late: str = "late",
    dead: str = "dead_letters",
) -> Output:
    """Give records as `independent.run` does.

    Args:
        records: Of the cores, or read from Kafka.
        decisions: Name of that topic.
        late: Name of that topic.
        dead: Name of that topic.
    """
    output = Output([], [], [])
    for record in records:
        headers = {name: value.decode() for name, value in record.headers.items()}
        where = [int(headers.get(name, -1)) for name in ("partition", "offset")]
        if record.topic == decisions:
            decision = json.loads(record.value)
            assert record.key == decision["user_id"].encode()
            assert headers == {"flow": decision["flow"], "revision": str(decision["revision"])}
            output.decisions.append(decision)
        elif record.topic == late:
            times = [int(headers[name]) for name in ("event_time", "firing_clock")]
            assert headers["reason"] == "late"
            output.late.append((record.key, record.value, *times, *where))
        elif record.topic == dead:
            output.dead.append((record.key, record.value, headers["error"], *where))
    return output


def same(got: Output, wanted: Sequence[Sequence[Any]]) -> None:
    """Assert that nothing is missing, nothing is there twice, and each user's order is kept."""
    decisions, late, dead = wanted
    _same("decisions", map(canonical, got.decisions), map(canonical, decisions))
    _same("late", got.late, late)
    _same("dead letters", got.dead, dead)
    assert by_user(got.decisions) == by_user(decisions), "the order of a user's decisions differs"


def canonical(decision: dict[str, Any]) -> str:
    """Give a text that is equal for equal decisions."""
    return json.dumps(decision, sort_keys=True)


def by_user(decisions: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Give the ids of each user's decisions in order; flows of one moment by name."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for decision in decisions:
        found.setdefault(decision["user_id"], []).append(
            (decision["at"], decision["flow"], decision["decision_id"])
        )
    return {
        user: [number for _, _, number in _sorted_inside_a_moment(rows)]
        for user, rows in found.items()
    }


def _sorted_inside_a_moment(rows: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    # Stable by time alone would hide a step back in time, so only neighbours are sorted.
    ordered: list[tuple[int, str, str]] = []
    moment: list[tuple[int, str, str]] = []
    for row in rows:
        if moment and row[0] != moment[0][0]:
            ordered += sorted(moment)
            moment = []
        moment.append(row)
    return ordered + sorted(moment)


def _same(what: str, got: Iterable[Any], wanted: Iterable[Any]) -> None:
    found, expected = Counter(got), Counter(wanted)
    lost, extra = expected - found, found - expected
    if not lost and not extra:
        return
    pytest.fail(
        f"{what}: {lost.total()} lost, {extra.total()} too many or different\n"
        f"lost, e.g. {list(lost)[:SHOWN]}\nextra, e.g. {list(extra)[:SHOWN]}"
    )
