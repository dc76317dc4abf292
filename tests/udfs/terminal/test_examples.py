"""The examples in the docstrings of what the commands have in common."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from udfs.terminal import console, json_files, wording


@pytest.mark.parametrize("unit", [console, json_files, wording], ids=lambda unit: unit.__name__)
def test_examples(unit: ModuleType) -> None:
    """Those in the docstrings."""
    found = doctest.testmod(unit)
    assert found.attempted
    assert not found.failed
