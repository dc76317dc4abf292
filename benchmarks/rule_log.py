"""Rules and events of the benchmarks of rules in the job: one marker rule, all others rare.

The types of `benchmarks.rule_workload`, three of them more frequent than the others. The marker
rule is made of those three and completes with about 1 % of the events, like the rule of
`benchmarks.workload`: by it a job's progress is seen. A step of any other rule holds for about
1 % of its type's events, so that decisions hardly grow with the number of rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.rule_workload import FIELDS, TYPES, VALUES, Comparison, Rules
from benchmarks.workload import PARTITIONS, SPACING_MS, Log, partition_of

USERS: Final = 1_000
"""With more of them the marker rule needs longer to complete for the first time: three steps of one
user. Flink with 100 operators would be stopped before."""

SHARE: Final = 0.01
"""Of its type's events, those for which a step of a rare rule holds."""

MARKER: Final = (
    Comparison(0, 0, "<", VALUES // 2),  # 10 % of all events
    Comparison(1, 1, "<", VALUES * 87 // 100),  # 13 %
    Comparison(2, 2, "<", VALUES * 32 // 100),  # 1.6 %
)

_FREQUENT: Final = (0.20, 0.15, 0.05)
_RARE: Final = (1 - sum(_FREQUENT)) / (len(TYPES) - len(_FREQUENT))
_BOUNDS: Final = np.cumsum([*_FREQUENT, *[_RARE] * (len(TYPES) - len(_FREQUENT))])
_AT_ONCE: Final = 5_000
_SEED: Final = 20_28


def rule_set(count: int) -> Rules:
    """Give so many rules, the marker rule first; a smaller set is the beginning of a larger one."""
    rules = Rules(count - 1, SHARE)
    rules.steps.insert(0, MARKER)
    return rules


def parts(rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the parts of a manifest: every rule has a flow that acts on it."""
    flows = [
        {
            "flow": f"on_{rule['rule']}",
            "version": 1,
            "trigger": {"rule": rule["rule"]},
            "action": {"payload": {"last": "third[0].event_type"}},
        }
        for rule in rules
    ]
    return {"rules": list(rules), "flows": flows}


class Traffic:
    """Makes events; the same seed gives the same ones.

    Args:
        users: How many there are, all equally busy.
        seed: Of the random numbers.
    """

    def __init__(self, users: int = USERS, seed: int = _SEED) -> None:
        names = [f"u{number:06d}" for number in range(users)]
        self._users = [(name, name.encode(), partition_of(name)) for name in names]
        self._sequences = [0] * PARTITIONS
        self._rows = self._draw(np.random.default_rng(seed))

    def _draw(self, draw: np.random.Generator) -> Iterator[tuple[int, int, list[int]]]:
        while True:
            users = draw.integers(0, len(self._users), _AT_ONCE).tolist()
            types = np.searchsorted(_BOUNDS, draw.random(_AT_ONCE), side="right")
            values = draw.integers(0, VALUES, (_AT_ONCE, len(FIELDS))).tolist()
            # The sum of shares may be a little less than 1.
            yield from zip(users, np.minimum(types, len(TYPES) - 1).tolist(), values, strict=True)

    def event(self, at_ms: int) -> Log:
        """Make the next event.

        Args:
            at_ms: Its time, not before that of the one before.
        """
        user, kind, values = next(self._rows)
        name, key, partition = self._users[user]
        sequence = self._sequences[partition]
        self._sequences[partition] = sequence + 1
        props = ",".join([f'"n{field}":{value}' for field, value in enumerate(values)])
        value = (
            f'{{"event_id":"{partition}-{sequence}","event_type":"{TYPES[kind]}",'
            f'"user_id":"{name}","event_time":{at_ms},"source":"native","props":{{{props}}}}}'
        )
        return Log(partition, key, value.encode())

    def log(self, events: int, first_ms: int) -> Iterator[Log]:
        """Make a log of evenly spaced events.

        Args:
            events: How many.
            first_ms: Time of the first.
        """
        for number in range(events):
            yield self.event(first_ms + number * SPACING_MS)
