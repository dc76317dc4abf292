"""Settings: file, command line, and messages that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.settings import SUBJECTS, DecideSettings, load_settings
from udfs.errors import SettingsInvalid
from udfs.events import codec


def test_defaults_are_valid() -> None:
    """No argument at all gives a job for one slot."""
    settings = load_settings([])
    assert (settings.parallelism, settings.shards, settings.batch_time) == (1, 32, 50)


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    """And the file over the environment."""
    file = tmp_path / "decide.toml"
    file.write_text('parallelism = 2\nconfig_app = "shop"\naction_topics = ["a", "b"]\n')
    settings = load_settings(
        ["--settings", str(file), "--parallelism", "4", "--idle-advance", "off"],
        {"APP_ID": "other", "APOLLO_META": "http://meta:1"},
    )
    assert (settings.parallelism, settings.config_app) == (4, "shop")
    assert settings.config_url == "http://meta:1"
    assert settings.action_topics == ("a", "b")
    assert settings.idle_advance is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parallelism", "0"], "parallelism: .*greater than or equal to 1"),
        (["--shards", "48"], "48 is no power of two"),
        (["--shards", "256"], "raise max_parallelism or use fewer shards"),
        (["--parallelism", "33", "--shards", "32"], "use at most 32"),
        (["--max-parallelism", "100"], "does not divide max_parallelism"),
        (["--batch-time", "5"], "write an integer and ms, s, m, h or d"),
        (["--subject", "props"], "subject"),
        (["--events-topic", "a b"], "no topic name"),
        (["--late-topic", "events"], "'events' is events_topic already"),
        (["--delivery", "maybe"], "delivery"),
        (["--nonsense", "1"], "docs/settings.md"),
        (["--settings", "/nowhere.toml"], "name a readable TOML file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work(arguments: list[str], message: str) -> None:
    """Is refused with the setting's name and the cure."""
    with pytest.raises(SettingsInvalid, match=message):
        load_settings(arguments)


def test_all_faults_at_once(tmp_path: Path) -> None:
    """Not the first one alone; numbers are no durations."""
    file = tmp_path / "decide.toml"
    file.write_text('parallelism = "many"\nbatch_time = 50\nspeed = 9\n')
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(["--settings", str(file)])
    for expected in ("parallelism:", "batch_time:", "speed: there is no such setting"):
        assert expected in str(caught.value)


def test_settings_travel() -> None:
    """What a child process unpacks is what was packed."""
    settings = load_settings(["--idle-advance", "off", "--action-topics", "a,b"])
    assert DecideSettings.unpack(settings.pack()) == settings


def test_subjects_are_those_of_the_codec() -> None:
    """Settings may not import the codec; both lists name the same fields."""
    assert set(SUBJECTS) == codec.SUBJECTS
