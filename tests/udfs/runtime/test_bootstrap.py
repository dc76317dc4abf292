"""The manifest a job starts with: published, last good, none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.client import Loaded
from configs.manifest import Resolved
from configs.settings import DecideSettings, load_settings
from tests.udfs.decisions.logs import PARTS
from udfs.errors import ConfigUnavailable, MillraceError
from udfs.runtime import bootstrap


@pytest.fixture
def settings(tmp_path: Path) -> DecideSettings:
    """Settings with a cache of their own, and little patience."""
    return load_settings(["--config-cache", str(tmp_path / "cache"), "--config-wait", "1ms"])


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Set what the config server answers: a manifest, None for 404, or an error."""

    def set_answer(what: Any) -> None:
        class Client:
            def __init__(self, _settings: Any) -> None: ...

            def close(self) -> None: ...

            def load(self, namespace: str) -> Loaded:
                if isinstance(what, Exception):
                    raise what
                if what is None:
                    return Loaded(namespace=namespace, status="absent")
                text = what if isinstance(what, str) else json.dumps(what)
                return Loaded(namespace=namespace, status="ok", text=text, release_key="k")

        monkeypatch.setattr(bootstrap, "ApolloClient", Client)

    return set_answer


def revision(settings: DecideSettings) -> int:
    """Revision that a job would start with."""
    return Resolved.load(bootstrap.resolve_at_start(settings)).revision


def manifest(number: int) -> dict[str, Any]:
    """A valid manifest."""
    return {"schema": 1, "revision": number, **PARTS}


def test_the_published_one(settings: DecideSettings, answer: Callable[[Any], None]) -> None:
    """The server's answer wins."""
    answer(manifest(4))
    assert revision(settings) == 4


def test_nothing_published(settings: DecideSettings, answer: Callable[[Any], None]) -> None:
    """The job starts empty and follows pushes."""
    answer(None)
    assert revision(settings) == 0


def test_server_down_takes_the_last_good_one(
    settings: DecideSettings, answer: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so."""
    answer(manifest(4))
    revision(settings)
    answer(ConfigUnavailable("connection refused"))
    assert revision(settings) == 4
    assert "last good manifest" in capsys.readouterr().err


def test_server_down_and_no_earlier_start(
    settings: DecideSettings, answer: Callable[[Any], None]
) -> None:
    """One message that says what to do."""
    answer(ConfigUnavailable("connection refused"))
    with pytest.raises(MillraceError, match=r"connection refused.*Start the config server"):
        bootstrap.resolve_at_start(settings)


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        {"schema": 1, "revision": 5, "surprise": []},
        {"schema": 1, "revision": 5, "rules": [{"rule": "r"}]},
        {"schema": 1, "revision": 5, "rules": {
            "uri": "file:///nowhere/at/all", "sha256": "0" * 64, "bytes": 3}},
    ],
    ids=["not JSON", "unknown field", "bad rule", "absent blob"],
)  # fmt: skip
def test_a_bad_one_is_refused(
    bad: Any, settings: DecideSettings, answer: Callable[[Any], None],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The last good one starts in its place."""
    answer(manifest(4))
    revision(settings)
    answer(bad)
    assert revision(settings) == 4
    assert "refused" in capsys.readouterr().err


def test_a_damaged_cache_is_not_used(
    settings: DecideSettings, answer: Callable[[Any], None]
) -> None:
    """One flipped bit and it is as if there were none."""
    answer(manifest(4))
    revision(settings)
    (file,) = Path(settings.config_cache).iterdir()
    blob = bytearray(file.read_bytes())
    blob[-1] ^= 1
    file.write_bytes(bytes(blob))
    answer(ConfigUnavailable("down"))
    with pytest.raises(MillraceError, match="down"):
        bootstrap.resolve_at_start(settings)
