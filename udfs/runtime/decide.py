"""The operator of ``jobs/decide``: a shard's batches and the watcher's messages in, records out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pyflink.common import Row, Types
from pyflink.datastream import KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapStateDescriptor

import udfs.runtime.watch  # noqa: F401 - see shipped.py
from configs.manifest import Resolved
from udfs.decisions.records import Record
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.runtime.context import subtask_of
from udfs.runtime.garbage import Keeper
from udfs.runtime.loader import ProcessLoader
from udfs.runtime.logs import write_logs
from udfs.runtime.shelf import Owned, Shelf
from udfs.runtime.shipped import refuse_stale_code
from udfs.runtime.store import FlinkStore
from udfs.runtime.switching import MESSAGES, Switching
from udfs.runtime.warehouse import Warehouse
from udfs.scoring.engine import LITERT
from udfs.scoring.quiet import import_tensorflow
from udfs.sharding import shards_of_subtask

CONFIG_STATE: Final = MapStateDescriptor("config", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
"""Broadcast state: what is committed and what is killed."""

RECORD_TYPE: Final = Types.ROW_NAMED(
    ["topic", "key", "value", "headers"],
    [
        Types.STRING(),
        Types.PRIMITIVE_ARRAY(Types.BYTE()),
        Types.PRIMITIVE_ARRAY(Types.BYTE()),
        Types.MAP(Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())),
    ],
)

_SWITCH_INTERVAL_S: Final = 1e-4
"""Python's default of 5 ms is what a state access waits for when another thread is busy."""

_SAMPLED: Final = 1_024
"""One event in so many is measured rule by rule; all runs of its user are looked at then."""


class DecideFunction(KeyedBroadcastProcessFunction):
    """Keyed by the label of a shard; all that it decides is decided by `Shard`.

    Args:
        settings: Of the core.
        labels: Label of each shard, in order.
        action_topics: Topics that flows may name.
        job: Name of the job.
        manifest: `Resolved.dump()` of what the driver resolved.
        shipped: Digest of the driver's code.
        local_dir: Folder for tables and models on this machine.
        model_engine: What scores.
        max_parallelism: Key groups of the job.
        clock_ms: Wall clock.
    """

    def __init__(
        self,
        settings: ShardSettings,
        labels: list[int],
        action_topics: list[str],
        job: str,
        manifest: bytes,
        shipped: str,
        local_dir: str,
        model_engine: str = LITERT,
        max_parallelism: int = 128,
        clock_ms: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings
        self._numbers = {label: number for number, label in enumerate(labels)}
        self._action_topics = action_topics
        self._job = job
        self._manifest = manifest
        self._shipped = shipped
        self._local_dir = local_dir
        self._model_engine = model_engine
        self._max_parallelism = max_parallelism
        self._clock_ms = clock_ms or wall_clock_ms
        self._release: Callable[[], None] | None = None

    def open(self, runtime_context: Any) -> None:
        """Compile what the driver shipped; nothing is asked of any server."""
        refuse_stale_code(self._shipped)
        write_logs()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        _import_engine(self._model_engine)
        subtask, parallelism = subtask_of(runtime_context)
        topics = {"decisions", *self._action_topics}
        shards = len(self._numbers)
        mine = shards_of_subtask(subtask, parallelism, shards, self._max_parallelism)
        owned = Owned(mine[0], mine[-1] + 1, shards) if mine else Owned(0, 0, shards)
        keeper = Keeper()
        folder = Path(self._local_dir) / self._job / str(subtask)
        self._switching = Switching(
            Resolved.load(self._manifest), self._job, subtask, topics, self._settings.topics.acks,
            Warehouse(Shelf(folder, owned), self._model_engine, self._shipped), ProcessLoader(),
            keeper=keeper,
        )  # fmt: skip
        self._release = self._switching.close
        self._restored = False
        self._store = FlinkStore(runtime_context)
        self._shards: dict[int, Shard] = {}
        self._started_ms = self._clock_ms()
        keeper.begin()

    def close(self) -> None:
        """End what is being loaded, and give tables and models back.

        Flink closes also what it could not open; an exception here would end the TaskManager.
        """
        if self._release is not None:
            self._release()

    def _shard(self, label: int, ctx: Any) -> Shard:
        """Give the shard at work, with the program in force."""
        if not self._restored:
            # Broadcast state cannot be read in open(); after a restore it knows more than
            # the driver did.
            self._restored = True
            self._switching.restore(ctx.get_broadcast_state(CONFIG_STATE).get)
        self._switching.look_after()
        program = self._switching.program
        if program.machine.sampler is None:
            program.machine.sample(time.perf_counter, _SAMPLED)
        shard = self._shards.get(label)
        if shard is None:
            number = self._numbers[label]
            shard = Shard(
                number, self._store, self._settings, program, self._started_ms,
                self._switching.recompile,
            )  # fmt: skip
            self._shards[label] = shard
        else:
            shard.switch(program)
        shard.killed = self._switching.kill
        return shard

    def process_element(self, value: Any, ctx: Any) -> Iterator[Row]:
        """Work off a batch: Row(label, keys, values, partitions, offsets)."""
        shard = self._shard(value[0], ctx)
        now_ms = self._clock_ms()
        records = shard.process(value[1], value[2], value[3], value[4], now_ms)
        self._set_timer(shard, ctx, now_ms)
        for record in records:
            yield to_row(record)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Row]:
        """Move the clocks of idle partitions."""
        shard = self._shard(ctx.get_current_key(), ctx)
        now_ms = max(self._clock_ms(), timestamp)
        records = shard.ring(timestamp, now_ms)
        self._set_timer(shard, ctx, now_ms)
        for record in records:
            yield to_row(record)

    def process_broadcast_element(self, value: Any, ctx: Any) -> Iterator[Row]:
        """Take a line of the watcher, Row(topic, line), if it is a message and no record."""
        if value[0] != MESSAGES:
            return
        state = ctx.get_broadcast_state(CONFIG_STATE)
        if not self._restored:
            self._restored = True
            self._switching.restore(state.get)
        for record in self._switching.take(value[1], state.put, self._clock_ms()):
            yield to_row(record)

    def _set_timer(self, shard: Shard, ctx: Any, now_ms: int) -> None:
        timer_ms = shard.next_timer(now_ms)
        if timer_ms is not None:
            ctx.timer_service().register_processing_time_timer(timer_ms)


def _import_engine(name: str) -> None:
    """Import what scores now: TensorFlow takes seconds, with the GIL in its hand."""
    if name == LITERT:
        import ai_edge_litert.interpreter  # noqa: F401, PLC0415 - see above
    else:
        import_tensorflow()


def to_row(record: Record) -> Row:
    """Give a record as the sink's row."""
    return Row(record.topic, record.key, record.value, record.headers)


def wall_clock_ms() -> int:
    """Give the wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000
