"""The dictionary store keeps the contract of stores."""

from __future__ import annotations

import pytest

from tests.udfs.decisions.store_contract import CHECKS
from udfs.decisions.memory import MemoryStore


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: str) -> None:
    """Each clause."""
    CHECKS[check](MemoryStore())
