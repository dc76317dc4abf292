"""Aggregates and events of the benchmark beside Flink SQL: what both jobs are told to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from benchmarks import rule_log
from benchmarks.rule_workload import TYPES, VALUES
from benchmarks.workload import Log

USERS: Final = 10_000
SPACING_MS: Final = 10
"""Between two events of the log: an event of a user every 100 s, 36 in the hour."""

FUNCTIONS: Final = ("count", "sum", "avg", "min", "max")
_SQL: Final = {"count": "COUNT", "sum": "SUM", "avg": "AVG", "min": "MIN", "max": "MAX"}
_HOUR: Final = "1h"
_HALF: Final = VALUES // 2


class Conditional(msgspec.Struct, frozen=True):
    """One aggregate of the last hour.

    Args:
        name: Its name.
        function: One of `FUNCTIONS`.
        type: Event type.
        below: Only events whose ``n0`` is below this.
    """

    name: str
    function: str
    type: str
    below: int

    def spec(self) -> dict[str, Any]:
        """Give it as we take it."""
        made = {
            "aggregate": self.name,
            "event": self.type,
            "where": f"props.n0 < {self.below}",
            "function": self.function,
            "window": {"sliding": _HOUR},
        }
        return made if self.function == "count" else made | {"value": "props.n1"}

    def sql(self) -> str:
        """Give it as Flink SQL takes it."""
        value = "1" if self.function == "count" else "CAST(props.n1 AS BIGINT)"
        if self.function == "avg":
            value = "CAST(props.n1 AS DOUBLE)"
        case = f"CASE WHEN event_type = '{self.type}' AND props.n0 < {self.below} THEN {value} END"
        return f"{_SQL[self.function]}({case}) OVER w AS {self.name}"


def aggregates(count: int) -> list[Conditional]:
    """Make so many: five functions for each event type, under a condition that mostly holds."""
    return [
        Conditional(
            f"a{number}",
            FUNCTIONS[number % len(FUNCTIONS)],
            TYPES[number // len(FUNCTIONS) % len(TYPES)],
            VALUES - number // (len(FUNCTIONS) * len(TYPES)),
        )
        for number in range(count)
    ]


def parts(count: int, every: int) -> dict[str, Any]:
    """Give the parts of a manifest: one flow reads all values.

    Args:
        count: Number of aggregates.
        every: It does so at one of so many events.
    """
    flow = {
        "flow": "values",
        "version": 1,
        "trigger": {"event": list(TYPES), "where": condition(every)},
        "features": [one.name for one in aggregates(count)],
        "action": {"payload": {}},
    }
    return {"aggregates": [one.spec() for one in aggregates(count)], "flows": [flow]}


def condition(every: int) -> str:
    """Give what tells the events that read, in either language.

    Args:
        every: One of so many.
    """
    return f"props.n2 < {VALUES // every}"


def script(count: int, every: int, bootstrap: str, events: str, found: str, group: str) -> str:
    """Give the SQL of the other job.

    Args:
        count: Number of aggregates.
        every: Its values are written at one of so many events.
        bootstrap: Address of the broker.
        events: Topic that is read.
        found: Topic that is written.
        group: Consumer group.
    """
    made = aggregates(count)
    kinds = {"count": "BIGINT", "avg": "DOUBLE"}
    columns = ", ".join(f"{one.name} {kinds.get(one.function, 'BIGINT')}" for one in made)
    values = ",\n  ".join(one.sql() for one in made)
    names = ", ".join(one.name for one in made)
    return f"""CREATE TABLE events (
  event_id STRING, event_type STRING, user_id STRING, event_time BIGINT,
  props ROW<n0 INT, n1 INT, n2 INT>,
  ts AS TO_TIMESTAMP_LTZ(event_time, 3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka', 'topic' = '{events}', 'properties.bootstrap.servers' = '{bootstrap}',
  'properties.group.id' = '{group}', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
)
;
CREATE TABLE found (`trigger` ROW<event_ids ARRAY<STRING>>, {columns}) WITH (
  'connector' = 'kafka', 'topic' = '{found}', 'properties.bootstrap.servers' = '{bootstrap}',
  'format' = 'json'
)
;
INSERT INTO found
SELECT ROW(ARRAY[event_id]), {names} FROM (
  SELECT event_id, props,
  {values}
  FROM events
  WINDOW w AS (
    PARTITION BY user_id ORDER BY ts
    RANGE BETWEEN INTERVAL '59:59.999' MINUTE TO SECOND(3) PRECEDING AND CURRENT ROW)
) WHERE {condition(every)}
"""


class Traffic(rule_log.Traffic):
    """The events of `benchmarks.rule_log`, further apart."""

    def spread(self, events: int, first_ms: int) -> Iterator[Log]:
        """Make a log of evenly spaced events that ends where one of 1 ms spacing would.

        Args:
            events: How many.
            first_ms: Where one of 1 ms spacing would begin.
        """
        first_ms -= events * (SPACING_MS - 1)
        for number in range(events):
            yield self.event(first_ms + number * SPACING_MS)
