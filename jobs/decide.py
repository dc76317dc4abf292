"""The main job: events in Kafka, decisions out.

Submit with ``millrace submit decide`` or ``flink run -py jobs/decide.py -pyfs DIR SETTINGS``;
settings in docs/settings.md.
"""

from __future__ import annotations

import os
import sys

from pyflink.common import Configuration, Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

from configs.settings import DecideSettings, load_settings
from udfs.decisions.records import Topics
from udfs.decisions.shard_settings import ShardSettings
from udfs.errors import MillraceError
from udfs.runtime.bootstrap import resolve_at_start
from udfs.runtime.decide import CONFIG_STATE, RECORD_TYPE, DecideFunction
from udfs.runtime.keyed import keyed_by_first
from udfs.runtime.shipped import DIGEST
from udfs.runtime.switching import MESSAGES
from udfs.runtime.watch import TICKS_PER_SECOND, WATCH_TYPE, WatchFunction
from udfs.sharding import shard_labels

_HEX = "'0123456789abcdef'"
_START = {"group": "group-offsets", "earliest": "earliest-offset", "latest": "latest-offset"}
_REQUEST_BYTES = 4 << 20  # a dead letter of 900 kB, or a decision with large payload
_LINGER_MS = 5  # decisions of several shards leave in one request

_BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
BATCH_TYPE = Types.ROW_NAMED(
    ["label", "k", "v", "p", "o"],
    [
        Types.INT(),
        Types.OBJECT_ARRAY(_BYTES),
        Types.OBJECT_ARRAY(_BYTES),
        # Primitive arrays cross into Python in one piece, object arrays one element at a time.
        Types.PRIMITIVE_ARRAY(Types.INT()),
        Types.PRIMITIVE_ARRAY(Types.LONG()),
    ],
)


def main(arguments: list[str]) -> None:
    """Build the topology and submit it."""
    settings = load_settings(arguments, os.environ)
    manifest = resolve_at_start(settings)
    env = StreamExecutionEnvironment.get_execution_environment(configuration(settings))
    env.set_parallelism(settings.parallelism)
    env.set_max_parallelism(settings.max_parallelism)
    tables = StreamTableEnvironment.create(env)
    tables.get_config().set("table.exec.uid.generation", "ALWAYS")

    watch = watcher(tables, settings, manifest)
    decide = DecideFunction(
        shard_settings(settings),
        shard_labels(settings.shards, settings.max_parallelism),
        list(settings.action_topics),
        settings.job_name,
        manifest,
        DIGEST,
        settings.local_dir,
        settings.model_engine,
        settings.max_parallelism,
    )
    records = (
        keyed_by_first(batches(tables, settings), Types.INT(), BATCH_TYPE)
        .connect(watch.broadcast(CONFIG_STATE))
        .process(decide, RECORD_TYPE)
        .uid("decide")
        .name("decide")
    )
    write(tables, settings, records, watch)
    env.execute(settings.job_name)


def configuration(settings: DecideSettings) -> Configuration:
    """Give Flink's configuration of the job."""
    given = {
        "python.execution-mode": settings.execution_mode,
        "pipeline.object-reuse": "true",
        # Flink's own 100 ms, at each of two exchanges, would be most of the latency.
        "execution.buffer-timeout.interval": "5 ms",
        "state.backend.type": {"heap": "hashmap", "rocksdb": "rocksdb"}[settings.state_backend],
        "execution.checkpointing.interval": f"{settings.checkpoint_interval} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    }
    if settings.checkpoint_dir:
        given["execution.checkpointing.dir"] = settings.checkpoint_dir
    configuration = Configuration()
    for key, value in given.items():
        configuration.set_string(key, value)
    return configuration


def shard_settings(settings: DecideSettings) -> ShardSettings:
    """Give the settings of the core."""
    return ShardSettings(
        subject=settings.subject,
        reorder=settings.ordering == "event_time",
        out_of_orderness_ms=settings.out_of_orderness,
        idle_advance_ms=settings.idle_advance,
        max_future_ms=settings.max_future,
        dedupe_window_ms=settings.dedupe_window,
        sessions=settings.sessions == "on",
        session_gap_ms=settings.session_gap,
        session_max_length_ms=settings.session_max_length,
        subject_ttl_ms=settings.subject_ttl,
        max_event_bytes=settings.max_event_bytes,
        counts_interval_ms=settings.counts_interval,
        resident_subjects=settings.resident_subjects,
        topics=Topics(**settings.topics()),
    )


def watcher(
    tables: StreamTableEnvironment, settings: DecideSettings, manifest: bytes
) -> DataStream:
    """Give Row(topic, line) of the one watcher of the job; see `udfs.runtime.watch`.

    No Python operator may be chained to it: pemja gives each of them a thread state of its own,
    and a library in C++ that is imported under any but the thread's first one waits for the
    interpreter lock that its own thread holds.
    """
    tables.execute_sql(
        f"""
        CREATE TEMPORARY TABLE ticks (tick INT) WITH (
          'connector' = 'datagen',
          'rows-per-second' = '{TICKS_PER_SECOND}',
          'scan.parallelism' = '1'
        )"""
    )
    function = WatchFunction(
        settings.pack(), manifest, settings.parallelism, settings.acks_topic, DIGEST
    )
    return (
        tables.to_data_stream(tables.from_path("ticks"))
        .key_by(lambda _tick: 0, Types.INT())
        .process(function, WATCH_TYPE)
        .set_parallelism(1)
        .set_max_parallelism(1)
        .uid("watch")
        .name("watch")
    )


def batches(tables: StreamTableEnvironment, settings: DecideSettings) -> DataStream:
    """Give Row(label, Row(label, keys, values, partitions, offsets)) per shard and batch time."""
    tables.execute_sql(
        f"""
        CREATE TEMPORARY TABLE events (
          k BYTES,
          v BYTES,
          p INT METADATA FROM 'partition' VIRTUAL,
          o BIGINT METADATA FROM 'offset' VIRTUAL,
          proctime AS PROCTIME()
        ) WITH (
          'connector' = 'kafka',
          'topic' = '{settings.events_topic}',
          'properties.bootstrap.servers' = '{settings.bootstrap_servers}',
          'properties.group.id' = '{settings.group_id}',
          'scan.startup.mode' = '{_START[settings.start_from]}',
          'properties.auto.offset.reset' = 'earliest',
          'key.format' = 'raw', 'key.fields' = 'k',
          'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
        )"""
    )
    # The first byte of MD5 from its two hex digits, as documented in docs/architecture.md; a
    # record without a key goes to shard 0 and from there to the dead letters.
    tables.execute_sql(
        f"""
        CREATE TEMPORARY VIEW sharded AS
        SELECT ((POSITION(SUBSTR(h, 1, 1) IN {_HEX}) - 1) * 16
                + POSITION(SUBSTR(h, 2, 1) IN {_HEX}) - 1) / {256 // settings.shards} AS shard,
               k, v, p, o, proctime
        FROM (SELECT COALESCE(MD5(CAST(k AS STRING)), '00') AS h, k, v, p, o, proctime
              FROM events)"""
    )
    labels = shard_labels(settings.shards, settings.max_parallelism)
    table = tables.sql_query(
        f"""
        SELECT label,
               CAST(ROW(label, ks, vs, ps, os)
                    AS ROW<label INT, k ARRAY<BYTES>, v ARRAY<BYTES>,
                           p ARRAY<INT NOT NULL>, o ARRAY<BIGINT NOT NULL>>) AS batch
        FROM (
          SELECT CAST(ARRAY[{", ".join(map(str, labels))}][shard + 1] AS INT) AS label,
                 ks, vs, ps, os
          FROM (
            SELECT shard, ARRAY_AGG(k) AS ks, ARRAY_AGG(v) AS vs, ARRAY_AGG(p) AS ps,
                   ARRAY_AGG(o) AS os
            FROM TABLE(TUMBLE(TABLE sharded, DESCRIPTOR(proctime),
                              INTERVAL '{settings.batch_time / 1000:.3f}' SECOND))
            GROUP BY shard, window_start, window_end))"""
    )
    # The old way into a DataStream is the one that gives the row type PyFlink's operators want.
    return tables.to_append_stream(
        table, Types.ROW_NAMED(["label", "batch"], [Types.INT(), BATCH_TYPE])
    )


def write(
    tables: StreamTableEnvironment, settings: DecideSettings, records: DataStream, watch: DataStream
) -> None:
    """Send records to Kafka through two sinks: what must be exact, and what is urgent."""
    schema = (
        Schema.new_builder()
        .column("topic", DataTypes.STRING())
        .column("key", DataTypes.BYTES())
        .column("value", DataTypes.BYTES())
        .column("headers", DataTypes.MAP(DataTypes.STRING(), DataTypes.BYTES()))
        .build()
    )
    line = (
        Schema.new_builder()
        .column("topic", DataTypes.STRING())
        .column("line", DataTypes.STRING())
        .build()
    )
    tables.create_temporary_view("records", tables.from_data_stream(records, schema))
    tables.create_temporary_view("lines", tables.from_data_stream(watch, line))
    names = settings.topics()
    quick = [names.pop("acks"), names.pop("alerts")]
    exact = sorted({*names.values(), *settings.action_topics})
    sink(tables, settings, "exact_sink", exact, settings.delivery)
    sink(tables, settings, "quick_sink", quick, "at-least-once")
    listed = ", ".join(f"'{topic}'" for topic in quick)
    statements = tables.create_statement_set()
    statements.add_insert_sql(
        f"INSERT INTO exact_sink SELECT * FROM records WHERE topic NOT IN ({listed})"
    )
    statements.add_insert_sql(
        f"INSERT INTO quick_sink SELECT * FROM records WHERE topic IN ({listed}) "
        f"UNION ALL SELECT topic, ENCODE('{settings.job_name}', 'UTF-8'), ENCODE(line, 'UTF-8'), "
        f"CAST(NULL AS MAP<STRING, BYTES>) FROM lines WHERE topic <> '{MESSAGES}'"
    )
    statements.attach_as_datastream()


def sink(
    tables: StreamTableEnvironment,
    settings: DecideSettings,
    name: str,
    topics: list[str],
    delivery: str,
) -> None:
    """Declare one Kafka table that writes several topics."""
    transactions = ""
    if delivery == "exactly-once":
        transactions = f"""
          'sink.transactional-id-prefix' = '{settings.job_name}-{name}',
          'properties.transaction.timeout.ms' = '{settings.transaction_timeout}',"""
    tables.execute_sql(
        f"""
        CREATE TEMPORARY TABLE {name} (
          topic STRING METADATA,
          key BYTES,
          `value` BYTES,
          headers MAP<STRING, BYTES> METADATA
        ) WITH (
          'connector' = 'kafka',
          'topic' = '{";".join(topics)}',
          'properties.bootstrap.servers' = '{settings.bootstrap_servers}',
          'properties.max.request.size' = '{_REQUEST_BYTES}',
          'properties.linger.ms' = '{_LINGER_MS}',
          'sink.delivery-guarantee' = '{delivery}',{transactions}
          'key.format' = 'raw', 'key.fields' = 'key',
          'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
        )"""
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MillraceError as error:
        sys.exit(f"millrace: {error}")
