from __future__ import annotations

from pathlib import Path

import pytest

from stack.settings import DEFAULT_PORTS, StackSettings, variable
from udfs.errors import SettingsInvalid


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("taskmanagers", *DEFAULT_PORTS):
        monkeypatch.delenv(variable(name), raising=False)


def test_an_option_wins_over_the_environment_and_that_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three sources, in this order."""
    monkeypatch.setenv("MILLRACE_KAFKA_PORT", "1111")
    monkeypatch.setenv("MILLRACE_CONFIG_PORT", "2222")
    settings = StackSettings.resolve(tmp_path, {"kafka_port": 3333, "config_port": None})
    assert settings.kafka_port == 3333
    assert settings.config_port == 2222
    assert settings.flink_rest_port == DEFAULT_PORTS["flink_rest_port"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"taskmanagers": 0}, "taskmanagers is 0.*--taskmanagers"),
        ({"kafka_port": 0}, "kafka_port is 0.*--kafka-port or MILLRACE_KAFKA_PORT"),
        ({"config_port": 65536}, "config_port is 65536"),
        ({"kafka_port": 28080}, "kafka_port and config_port are both 28080"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, values: dict[str, int], message: str
) -> None:
    """The message names the setting, the value and how to change it."""
    with pytest.raises(SettingsInvalid, match=message):
        StackSettings.resolve(tmp_path, values)


def test_a_variable_that_is_no_number_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text in the environment is checked, too."""
    monkeypatch.setenv("MILLRACE_FLINK_REST_PORT", "http")
    with pytest.raises(SettingsInvalid, match="MILLRACE_FLINK_REST_PORT is 'http'"):
        StackSettings.resolve(tmp_path, {})


def test_saved_settings_are_loaded_again(tmp_path: Path) -> None:
    """What 'up' was told is known to 'stop'."""
    settings = StackSettings(run_dir=tmp_path, taskmanagers=3, kafka_port=4444)
    settings.save()
    assert StackSettings.load(tmp_path) == settings


@pytest.mark.parametrize("text", ["", "[]", '{"kafka_port": 1}', "{"])
def test_a_broken_record_is_no_record(tmp_path: Path, text: str) -> None:
    """It must not keep 'stop' from stopping."""
    (tmp_path / "stack.json").write_text(text)
    assert StackSettings.load(tmp_path) is None
