"""The operator without a JVM: contexts, timers and state are made of dictionaries."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pyflink.common import Row

from configs.manifest import Resolved
from tests.udfs.decisions.logs import PARTS, START_MS, record
from udfs.decisions.shard_settings import ShardSettings
from udfs.errors import StaleCode
from udfs.runtime import shipped
from udfs.runtime.decide import CONFIG_STATE, DecideFunction
from udfs.runtime.switching import MESSAGES
from udfs.sharding import shard_labels

LABELS = shard_labels(32, 128)


class Keyed:
    """Keyed state, one dictionary a key, with the calls that PyFlink has."""

    def __init__(self) -> None:
        self.key: Any = None
        self.values: dict[tuple[str, Any], Any] = {}

    def get_state(self, descriptor: Any) -> Any:
        """A value state."""
        return _Value(self, descriptor.get_name())

    def get_map_state(self, descriptor: Any) -> Any:
        """A map state."""
        return _Map(self, descriptor.get_name())

    def get_index_of_this_subtask(self) -> int:
        """As in process mode."""
        return 1

    def get_number_of_parallel_subtasks(self) -> int:
        """As in process mode."""
        return 2


class _Value:
    def __init__(self, keyed: Keyed, name: str) -> None:
        self._keyed, self._name = keyed, name

    def value(self) -> Any:
        return self._keyed.values.get((self._name, self._keyed.key))

    def update(self, value: Any) -> None:
        self._keyed.values[self._name, self._keyed.key] = value


class _Map:
    def __init__(self, keyed: Keyed, name: str) -> None:
        self._keyed, self._name = keyed, name

    def _of(self) -> dict[str, Any]:
        return self._keyed.values.setdefault((self._name, self._keyed.key), {})

    def get(self, key: str) -> Any:
        return self._of().get(key)

    def put(self, key: str, value: Any) -> None:
        self._of()[key] = value

    def remove(self, key: str) -> None:
        self._of().pop(key, None)

    def keys(self) -> Any:
        return self._of().keys()

    def items(self) -> Any:
        return self._of().items()

    def clear(self) -> None:
        self._of().clear()


class Harness:
    """Drives a `DecideFunction` as Flink would."""

    def __init__(self, keyed: Keyed | None = None, broadcast: dict[str, bytes] | None = None,
                 digest: str = shipped.DIGEST, revision: int = 1) -> None:  # fmt: skip
        self.now = START_MS + 10**6
        self.keyed = keyed or Keyed()
        self.broadcast: dict[str, bytes] = {} if broadcast is None else broadcast
        self.timers: list[tuple[int, Any]] = []
        settings = ShardSettings(out_of_orderness_ms=2_000, idle_advance_ms=1_000)
        self.function = DecideFunction(
            settings, LABELS, [], "job", Resolved.of(revision, **PARTS).dump(), digest,
            "/nowhere", clock_ms=lambda: self.now,
        )  # fmt: skip
        self.function.open(self.keyed)

    # What the function sees as its context.
    def get_broadcast_state(self, descriptor: Any) -> Any:
        """The one broadcast state."""
        assert descriptor is CONFIG_STATE
        harness = self

        class State:
            get = staticmethod(harness.broadcast.get)
            put = staticmethod(harness.broadcast.__setitem__)

        return State

    def timer_service(self) -> Harness:
        """This."""
        return self

    def register_processing_time_timer(self, at_ms: int) -> None:
        """Note a timer of the current key."""
        self.timers.append((at_ms, self.keyed.key))

    def get_current_key(self) -> Any:
        """The current key."""
        return self.keyed.key

    def batch(self, shard: int, *records: Any) -> list[Any]:
        """Give a batch of a shard."""
        self.keyed.key = LABELS[shard]
        row = (
            LABELS[shard], [r.key for r in records], [r.value for r in records],
            [r.partition for r in records], [r.offset for r in records],
        )  # fmt: skip
        return list(self.function.process_element(row, self))

    def ring(self) -> list[Any]:
        """Let the next timer ring."""
        self.timers.sort()
        self.now, self.keyed.key = self.timers.pop(0)
        return list(self.function.on_timer(self.now, self))

    def tell(self, **message: Any) -> list[Any]:
        """Give a message of the watcher."""
        row = Row(MESSAGES, json.dumps(message))
        return list(self.function.process_broadcast_element(row, self))


def topics(rows: list[Any]) -> list[str]:
    """Topics of rows."""
    return [row[0] for row in rows]


def test_a_batch_gives_rows_for_kafka() -> None:
    """Topic, key, value and headers, in the sink's order."""
    harness = Harness()
    rows = harness.batch(
        5,
        record(1, "u", "view", 0, price=15.0, sku="x"),
        record(2, "u", "pay", 1, price=15.0, sku="x"),
    )
    (decision,) = [row for row in rows if row[0] == "decisions"]
    assert decision[1] == b"u"
    assert json.loads(decision[2])["flow"] == "thanks"
    assert decision[3]["revision"] == b"1"


def test_shards_are_apart() -> None:
    """State and clocks of one key are not seen by another."""
    harness = Harness()
    harness.batch(5, record(1, "u", "view", 0, price=15.0, sku="x"))
    assert "decisions" not in topics(
        harness.batch(6, record(2, "u", "pay", 1, price=15.0, sku="x"))
    )
    assert "decisions" in topics(harness.batch(5, record(2, "u", "pay", 1, price=15.0, sku="x")))


def test_a_timer_fires_an_absence_without_a_further_event() -> None:
    """One pending timer a shard; after the deadline the flow decides."""
    harness = Harness()
    harness.batch(5, record(1, "u", "cart", 0))
    assert len(harness.timers) == 1
    rows: list[Any] = []
    for _ in range(20):
        rows += harness.ring()
        assert len(harness.timers) <= 1
        if "decisions" in topics(rows):
            break
    assert "decisions" in topics(rows)


def test_a_restored_worker_takes_the_committed_manifest() -> None:
    """It comes from broadcast state with the first element, not from the driver."""
    harness = Harness()
    payload = base64.b64encode(Resolved.of(9, **PARTS).dump()).decode()
    (ack,) = harness.tell(type="prepare", revision=9, prepare_id="p", payload=payload)
    assert json.loads(ack[2])["subtask"] == 1
    harness.tell(type="commit", revision=9, prepare_id="p")
    harness.batch(5, record(1, "u", "view", 0, price=15.0, sku="x"))
    again = Harness(harness.keyed, harness.broadcast)
    rows = again.batch(5, record(2, "u", "pay", 1, price=15.0, sku="x"))
    (decision,) = [json.loads(row[2]) for row in rows if row[0] == "decisions"]
    assert decision["revision"] == 9
    assert decision["trigger"]["event_ids"] == ["e1", "e2"]


def test_a_commit_applies_between_batches() -> None:
    """And is announced on control by every shard at its next batch."""
    harness = Harness()
    harness.batch(5, record(1, "u", "view", 0, price=15.0, sku="x"))
    payload = base64.b64encode(Resolved.of(2, **PARTS).dump()).decode()
    harness.tell(type="prepare", revision=2, prepare_id="p", payload=payload)
    harness.tell(type="commit", revision=2, prepare_id="p")
    rows = harness.batch(5, record(2, "u", "other", 1))
    told = [json.loads(row[2]) for row in rows if row[0] == "control"]
    assert {"kind": "revision", "shard": 5, "offsets": {"0": 1}, "revision": 2} in told


def test_rules_are_sampled() -> None:
    """What they cost stands in the counts."""
    harness = Harness()
    harness.batch(5, record(1, "u", "view", 0, price=15.0, sku="x"))
    sampler = harness.function._switching.program.machine.sampler
    assert sampler is not None
    assert set(sampler.costs) == {"bought", "abandoned"}


def test_stale_code_is_refused() -> None:
    """With the cure in the message."""
    with pytest.raises(StaleCode, match="Start fresh TaskManagers"):
        Harness(digest="0" * 16)
