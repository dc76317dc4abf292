"""Logs where ``print`` is not Python's."""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from udfs.runtime.logs import write_logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Other tests log as they did."""
    yield
    structlog.reset_defaults()


def test_logs_need_no_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyFlink's in process mode takes no ``flush``."""

    def refuse(*_: object, **__: object) -> None:
        raise TypeError("got an unexpected keyword argument 'flush'")

    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(builtins, "print", refuse)
    write_logs()
    structlog.get_logger("x").error("something", revision=3)
    assert "event='something' revision=3" in told.getvalue()
