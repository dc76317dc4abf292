"""Fixtures of the tests of aggregates."""

from __future__ import annotations

import pytest

from udfs.aggregation import log, stream


@pytest.fixture
def tiny_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal early, so that few events make tiles, and blocks of them."""
    for module in (log, stream):
        monkeypatch.setattr(module, "OPEN", 4)
    monkeypatch.setattr(log, "TILE", 2)
    monkeypatch.setattr(log, "TILES", 4)
    monkeypatch.setattr(log, "BLOCK", 2)
    monkeypatch.setattr(stream, "TRIM_FROM", 2)
