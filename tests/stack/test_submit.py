"""The command line of a submitted job, and reading topics, without servers."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from kafka.structs import TopicPartition
from typer.testing import CliRunner

from cli import build
from configs.settings import load_settings
from stack import Stack, StackSettings
from stack.read import newest, shown
from stack.submit import completed
from udfs.errors import SettingsInvalid, StackError


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that does not run."""
    for name in ("APOLLO_META", "APP_ID"):
        monkeypatch.delenv(name, raising=False)
    return Stack(StackSettings(run_dir=tmp_path, kafka_port=20001, config_port=20002))


def test_the_stacks_addresses_are_used(stack: Stack) -> None:
    """Nobody has to type them."""
    settings = load_settings(completed(stack, ["--parallelism", "2"]))
    assert settings.bootstrap_servers == "127.0.0.1:20001"
    assert settings.config_url == "http://127.0.0.1:20002"
    assert settings.config_cache == str(stack.settings.run_dir / "config-cache")
    assert settings.parallelism == 2


@pytest.mark.parametrize(
    "words", [["--bootstrap-servers", "kafka:9092"], ["--bootstrap-servers=kafka:9092"]]
)
def test_an_address_that_was_typed_stays(stack: Stack, words: list[str]) -> None:
    """In both ways of writing it."""
    assert load_settings(completed(stack, words)).bootstrap_servers == "kafka:9092"


def test_an_address_of_the_settings_file_stays(stack: Stack, tmp_path: Path) -> None:
    """The stack's would win over the file if it were on the command line."""
    file = tmp_path / "decide.toml"
    file.write_text('bootstrap_servers = "kafka:9092"\n')
    settings = load_settings(completed(stack, ["--settings", str(file)]))
    assert settings.bootstrap_servers == "kafka:9092"
    assert settings.config_url == "http://127.0.0.1:20002"


def test_an_address_of_the_environment_stays(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver reads it, too."""
    monkeypatch.setenv("APOLLO_META", "http://apollo:8080")
    assert "--config-url" not in completed(stack, [])


def test_settings_that_cannot_work_are_refused_before_submission(stack: Stack) -> None:
    """With the reason, not with a stack trace of the driver."""
    with pytest.raises(SettingsInvalid, match="parallelism"):
        completed(stack, ["--parallelism", "0"])


def test_an_unknown_job_is_named(tmp_path: Path) -> None:
    """With those that there are."""
    result = CliRunner().invoke(build("submit"), ["submit", "nosuch", "--dir", str(tmp_path)])
    assert isinstance(result.exception, StackError)
    assert "known are" in str(result.exception)
    assert "decide" in str(result.exception)


def test_without_a_cluster_nothing_is_submitted(tmp_path: Path) -> None:
    """The message says how to get one."""
    words = ["submit", "decide", "--parallelism", "2", "--dir", str(tmp_path)]
    result = CliRunner().invoke(build("submit"), words)
    assert "millrace up" in str(result.exception)


def test_settings_are_printed_as_in_the_page() -> None:
    """The page can be made from the command."""
    result = CliRunner().invoke(build("settings"), ["settings"])
    page = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
    assert result.output == page.read_text(encoding="utf-8")


Record = namedtuple("Record", "partition offset timestamp value")  # noqa: PYI024 - a stand-in


class Consumer:
    """A consumer of two partitions; those of the list are all there is."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records
        self._positions: dict[TopicPartition, int] = {}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Of one topic only."""
        return {0, 1} if topic == "t" else None

    def topics(self) -> set[str]:
        """That one."""
        return {"t"}

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Nothing to do."""

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Nothing was deleted."""
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """One beyond the last."""
        return {
            p: max((r.offset + 1 for r in self._records if r.partition == p.partition), default=0)
            for p in partitions
        }

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Where to go on."""
        self._positions[partition] = offset

    def position(self, partition: TopicPartition) -> int:
        """Where it is."""
        return self._positions[partition]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        """All that is left."""
        del timeout_ms
        found = {
            p: [r for r in self._records if r.partition == p.partition and r.offset >= at]
            for p, at in self._positions.items()
        }
        self._positions = self.end_offsets(list(self._positions))
        return {p: records for p, records in found.items() if records}


def test_the_newest_records_come_from_all_partitions() -> None:
    """By their time, oldest first."""
    records = [Record(p, i, 10 * i + p, b"") for p in (0, 1) for i in range(20)]
    found: list[Any] = newest(Consumer(records), "t", 3)
    assert [record.timestamp for record in found] == [181, 190, 191]


def test_an_empty_topic_gives_nothing() -> None:
    """And does not wait."""
    assert newest(Consumer([]), "t", 3) == []


def test_an_unknown_topic_is_named() -> None:
    """With those that there are."""
    with pytest.raises(StackError, match="no topic 'x'; known are t"):
        newest(Consumer([]), "x", 3)


@pytest.mark.parametrize(
    ("value", "headers", "text"),
    [
        (b'{"a":1}', (), '{"a":1}'),
        (None, (), "null"),
        (b"\xff", (), "\\xff"),
        (b"x", [("error", b"tombstone")], '{"error": "tombstone"} x'),
    ],
)
def test_a_record_is_one_line(value: bytes | None, headers: Any, text: str) -> None:
    """Whatever its bytes."""
    assert shown(value, headers) == text


def test_the_demo_takes_no_arguments_that_it_does_not_know() -> None:
    """A typing error does not start a stack."""
    result = CliRunner().invoke(build("demo"), ["demo", "--sed", "3"])
    assert result.exit_code == 2
