"""Settings of a running job: from a TOML file and the command line, checked as a whole.

`DecideSettings` is the one table of names, defaults and meanings; docs/settings.md is
generated from it and a test keeps the two alike.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from udfs.errors import SettingsInvalid

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SUBJECTS: Final = (
    "user_id", "device_id", "source", "app_id", "app_version", "device_model", "os", "launch_id",
    "scene_id", "page_id", "page_instance", "from_page_instance", "from_event_id", "element_id",
)  # fmt: skip
"""Event fields that can name a subject; a test keeps them like the codec's."""

_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_MOST_MS: Final = 36_500 * _UNITS_MS["d"]


def _milliseconds(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("write a duration in quotes, as in '30s'")  # noqa: TRY004 - pydantic wants it
    found = re.fullmatch(r"([0-9]{1,15})(ms|s|m|h|d)", value)
    if found is None:
        raise ValueError(f"{value!r} is no duration: write an integer and ms, s, m, h or d")
    duration_ms = int(found[1]) * _UNITS_MS[found[2]]
    if duration_ms > _MOST_MS:
        raise ValueError(f"{value!r} is more than 36500d")
    return duration_ms


def _milliseconds_or_off(value: object) -> object:
    return None if value == "off" else _milliseconds(value)


def _topic(value: str) -> str:
    if _TOPIC.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no topic name: letters, digits, '.', '_' and '-'")
    return value


Duration = Annotated[int, pydantic.BeforeValidator(_milliseconds)]
"""Milliseconds, written as text such as ``30s``."""

DurationOrOff = Annotated[int | None, pydantic.BeforeValidator(_milliseconds_or_off)]
Topic = Annotated[str, pydantic.AfterValidator(_topic)]


class DecideSettings(BaseModel):
    """Settings of ``jobs/decide.py``. The descriptions are the documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    # Where from, where to
    bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka brokers, `host:port,…`.")
    events_topic: Topic = Field("events", description="Standard events, keyed by the subject.")
    group_id: str = Field(
        "millrace", min_length=1, description="Consumer group: where a job without state goes on."
    )
    start_from: Literal["group", "earliest", "latest"] = Field(
        "group",
        description="Where a job without state begins; `group`: at the group's offsets, else at "
        "the earliest.",
    )
    decisions_topic: Topic = Field("decisions", description="Decisions.")
    late_topic: Topic = Field("late", description="Copies of late events.")
    dead_letters_topic: Topic = Field("dead_letters", description="Records that are no events.")
    sessions_topic: Topic = Field("sessions", description="Sessions that have ended.")
    control_topic: Topic = Field("control", description="What is not in the log, and counts.")
    acks_topic: Topic = Field("acks", description="What became of pushed configs.")
    alerts_topic: Topic = Field("alerts", description="What somebody should look at.")
    action_topics: tuple[Topic, ...] = Field(
        (), description="Further topics that a flow's action may name; fixed while the job runs."
    )
    delivery: Literal["at-least-once", "exactly-once"] = Field(
        "at-least-once",
        description="Of decisions, late, dead letters and control. `exactly-once`: in Kafka "
        "transactions, visible after the next checkpoint.",
    )
    transaction_timeout: Duration = Field(
        "10m",  # type: ignore[assignment]  # validated like a given value
        description="Of those transactions; more than the longest outage to survive, at most the "
        "broker's `transaction.max.timeout.ms`.",
    )

    # Shape
    job_name: str = Field(
        "decide", pattern=r"^[a-zA-Z0-9_-]{1,64}$", description="Name in Flink, on `acks`, and of "
        "transactions: unlike for any two jobs on one broker.",
    )  # fmt: skip
    parallelism: int = Field(1, ge=1, le=1024, description="Subtasks; one slot each.")
    max_parallelism: int = Field(
        128, ge=1, le=32768, description="Key groups; fixed when the job is first started."
    )
    shards: int = Field(
        32, ge=1, le=256, description="Parts of the key space, a power of two; fixed when the job "
        "is first started. At least the parallelism.",
    )  # fmt: skip
    batch_time: Duration = Field(
        "50ms",  # type: ignore[assignment]
        description="Length of a micro-batch, wall clock. Longer: more throughput, more latency.",
    )
    execution_mode: Literal["thread", "process"] = Field(
        "thread", description="Python inside the TaskManager, or in a process beside it."
    )
    resident_subjects: int = Field(
        2_000, ge=0, le=1_000_000,
        description="Subjects per shard whose state stays decoded in memory.",
    )  # fmt: skip

    # Tables and models
    local_dir: str = Field(
        "/var/tmp/millrace",  # noqa: S108 - each job and subtask has a folder of its own in it
        min_length=1,
        description="Directory on each worker's machine for feature tables and models; each "
        "subtask of each job has a folder of its own in it.",
    )
    model_engine: Literal["litert", "savedmodel"] = Field(
        "litert", description="What scores: LiteRT, or TensorFlow for models that LiteRT cannot "
        "run (slower, and 500 MB of memory more).",
    )  # fmt: skip

    # State
    state_backend: Literal["heap", "rocksdb"] = Field("heap", description="Flink's state backend.")
    checkpoint_interval: Duration = Field(
        "10s",  # type: ignore[assignment]
        description="Between checkpoints; with `exactly-once` also the delay of the output.",
    )
    checkpoint_dir: str = Field(
        "", description="Where checkpoints go, a URI; empty: as Flink is configured."
    )

    # Time
    subject: str = Field(
        "user_id",
        pattern=f"^({'|'.join(SUBJECTS)})$",
        description="Event field that the Kafka key repeats: whom state belongs to.",
    )
    ordering: Literal["arrival", "event_time"] = Field(
        "arrival", description="Apply events as they arrive, or hold them until the clock has "
        "reached them and sort.",
    )  # fmt: skip
    out_of_orderness: Duration = Field(
        "5s",  # type: ignore[assignment]
        description="How far the clock of a partition stays behind its newest event; an event "
        "older than the clock is late.",
    )
    idle_advance: DurationOrOff = Field(
        "5s",  # type: ignore[assignment]
        description="A partition silent for so long has deadlines fired by the wall clock; `off`: "
        "never.",
    )
    max_future: Duration = Field(
        "5m",  # type: ignore[assignment]
        description="An event further ahead of the wall clock is a dead letter.",
    )
    sessions: Literal["off", "on"] = Field(
        "off",
        description="Write each session that has ended to `sessions_topic`. Features of the open "
        "one are there for flows that read them, either way.",
    )
    session_gap: Duration = Field(
        "30m",  # type: ignore[assignment]
        description="A session ends so long after its last event.",
    )
    session_max_length: Duration = Field(
        "24h",  # type: ignore[assignment]
        description="No session is longer.",
    )
    dedupe_window: Duration = Field(
        "10m",  # type: ignore[assignment]
        description="An event id seen again within it is dropped; at most the last 256 of a "
        "subject.",
    )
    subject_ttl: Duration = Field(
        "30d",  # type: ignore[assignment]
        description="State without a window of its own is kept so long after the last event.",
    )
    max_event_bytes: int = Field(
        1 << 20, ge=1024, le=64 << 20, description="A larger record is a dead letter."
    )
    counts_interval: Duration = Field(
        "10s",  # type: ignore[assignment]
        description="Each shard tells its counts on `control` at most so often.",
    )

    # Config
    config_url: str = Field(
        "http://127.0.0.1:8070", description="Apollo meta server or config service, `http(s)://…`."
    )
    config_app: str = Field("millrace", description="Apollo appId.")
    config_cluster: str = Field("default", description="Apollo cluster.")
    config_wait: Duration = Field(
        "30s",  # type: ignore[assignment]
        description="How long the start waits for the config server before it takes the last good "
        "manifest of `config_cache`.",
    )
    config_cache: str = Field(
        ".local/config-cache", description="Directory of the last good manifest, on the machine "
        "that submits.",
    )  # fmt: skip
    prepare_timeout: Duration = Field(
        "60s",  # type: ignore[assignment]
        description="How long all subtasks together may take to prepare a revision.",
    )

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shards & (self.shards - 1):
            raise ValueError(f"shards: {self.shards} is no power of two; use 16, 32, 64 …")
        if self.shards > self.max_parallelism:
            raise ValueError(
                f"shards: {self.shards} is more than max_parallelism ({self.max_parallelism}); "
                "raise max_parallelism or use fewer shards"
            )
        if self.parallelism > self.shards:
            raise ValueError(
                f"parallelism: {self.parallelism} subtasks share {self.shards} shards, so some "
                f"would idle; use at most {self.shards}, or start anew with more shards"
            )
        if self.max_parallelism % self.shards:
            raise ValueError(
                f"shards: {self.shards} does not divide max_parallelism ({self.max_parallelism})"
            )
        if self.batch_time < 1 or self.checkpoint_interval < 10:  # noqa: PLR2004 - Flink's own
            raise ValueError("batch_time is at least 1ms, checkpoint_interval at least 10ms")
        taken: dict[str, str] = {}
        for name in _TOPICS:
            topic = getattr(self, name)
            if topic in taken:
                raise ValueError(f"{name}: the topic {topic!r} is {taken[topic]} already")
            taken[topic] = name
        return self

    def pack(self) -> str:
        """Give the settings as JSON, for `unpack` in another process."""
        return self.model_dump_json()

    @classmethod
    def unpack(cls, text: str) -> Self:
        """Read what `pack` gave: checked already, durations in milliseconds."""
        values = json.loads(text)
        return cls.model_construct(**{**values, "action_topics": tuple(values["action_topics"])})

    def topics(self) -> dict[str, str]:
        """Give the names of the output topics by their role."""
        return {name.removesuffix("_topic"): getattr(self, name) for name in _TOPICS[1:]}


_TOPICS: Final = (
    "events_topic", "decisions_topic", "late_topic", "dead_letters_topic", "sessions_topic",
    "control_topic", "acks_topic", "alerts_topic",
)  # fmt: skip


def load_settings(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> DecideSettings:
    """Read settings from the command line and the file that ``--settings`` names.

    Args:
        arguments: For example ``["--settings", "decide.toml", "--parallelism", "2"]``; the
            command line wins over the file.
        environment: ``APOLLO_META`` and ``APP_ID``, where neither file nor command line says.

    Raises:
        SettingsInvalid: With all faults, each naming the setting and what to do.
    """
    given = _parse(arguments)
    values: dict[str, Any] = {}
    environment = environment or {}
    for name, variable in (("config_url", "APOLLO_META"), ("config_app", "APP_ID")):
        if environment.get(variable):
            values[name] = environment[variable]
    path = given.pop("settings", None)
    if path is not None:
        values.update(_read(Path(path)))
    values.update(given)
    if isinstance(values.get("action_topics"), str):
        values["action_topics"] = [part for part in values["action_topics"].split(",") if part]
    try:
        return DecideSettings.model_validate(values)
    except pydantic.ValidationError as error:
        raise SettingsInvalid("the settings cannot work:\n" + "\n".join(_lines(error))) from error


def _lines(error: pydantic.ValidationError) -> list[str]:
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "there is no such setting; see docs/settings.md"
        lines.append(f"  {name}: {message}" if name else f"  {message}")
    return lines


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise SettingsInvalid(f"{message}; see docs/settings.md or --help")


def _parse(arguments: Sequence[str]) -> dict[str, Any]:
    parser = _Parser(prog="decide", allow_abbrev=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("--settings", metavar="FILE", help="TOML file with any of these settings")
    for name, field in DecideSettings.model_fields.items():
        text = f"{field.description} [{field.default}]".replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="X", help=text)
    return vars(parser.parse_args(list(arguments)))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{path}: {error.strerror}; name a readable TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path}: not TOML: {error}") from error
