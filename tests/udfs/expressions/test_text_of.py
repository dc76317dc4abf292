from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.expressions import EvaluationError, text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-3.0, "-3"),
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1 / 3, "0.3333333333333333"),
        (123456.789, "123456.789"),
        (100000.0, "100000"),
        (999999.5, "999999.5"),
        (1000000.0, "1e+06"),
        (1234567.0, "1.234567e+06"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (0.000125, "0.000125"),
        (5e-324, "5e-324"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
        (True, "true"),
        (False, "false"),
        (-5, "-5"),
        ("x", "x"),
        (b"abc", "abc"),
    ],
)
def test_text(value: Any, text: str) -> None:
    """The text is what CEL's string() gives."""
    assert text_of(value) == text


@pytest.mark.parametrize("value", [None, [], {}, (1,), b"\xff", object()])
def test_no_text(value: Any) -> None:
    """Kinds that string() does not take."""
    with pytest.raises(EvaluationError):
        text_of(value)


@given(st.floats(allow_nan=False))
def test_a_double_reads_back(value: float) -> None:
    """No digit is lost."""
    assert float(text_of(value)) == value
