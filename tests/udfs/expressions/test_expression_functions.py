from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.errors import ExpressionInvalid
from udfs.expressions import EvaluationError, Names, compile_expression
from udfs.scoring.packing import bucket_of

ERROR = object()
NAMES = Names(event=False, values=("a", "b", "nan"))
URL = "https://shop.example/p?sku=s%201&empty=&sku=second&utm%5Fsource=mail+shot&flag#top?sku=no"

TABLE: list[tuple[str, Any]] = [
    # url_param
    ("url_param(a, 'sku')", "s 1"),
    ("url_param(a, 'utm_source')", "mail shot"),
    ("url_param(a, 'empty')", ""),
    ("url_param(a, 'flag')", ""),
    ("url_param(a, 'missing')", ""),
    ("url_param('sku=1', 'sku')", ""),
    ("url_param('?sku=1', 'sku')", "1"),
    ("url_param('?sku=%ff', 'sku')", "\ufffd"),
    ("url_param('', '')", ""),
    ("url_param(dyn(1), 'sku')", ERROR),
    ("url_param(a, dyn(null))", ERROR),
    # regex_extract
    ("regex_extract('order-1234', '[0-9]+')", "1234"),
    ("regex_extract('order-1234', 'order-([0-9])')", "1"),
    ("regex_extract('order-1234', 'order-(x)?')", ""),
    ("regex_extract('order-1234', 'x')", ""),
    ("regex_extract('über 5 €', '5 (.)')", "€"),
    ("regex_extract('order', b)", ERROR),
    ("regex_extract(dyn(1), 'x')", ERROR),
    # bucket
    ("bucket(5, [1, 10, 100])", 1),
    ("bucket(0.5, [1, 10, 100])", 0),
    ("bucket(1, [1, 10, 100])", 1),
    ("bucket(1000, [1, 10, 100])", 3),
    ("bucket(5, [])", 0),
    ("bucket(5, [1, 2.5, 7u])", 2),
    ("bucket(5, [10, 1])", ERROR),
    ("bucket(5, [1, 1])", ERROR),
    ("bucket(5, ['a'])", ERROR),
    ("bucket(5, [0.0 / 0.0])", 0),
    ("bucket(nan, [1])", ERROR),
    ("bucket(dyn('a'), [1])", ERROR),
    # log1p
    ("log1p(0)", 0.0),
    ("log1p(1.5)", math.log1p(1.5)),
    ("log1p(-1)", ERROR),
    ("log1p(-2.0)", ERROR),
    ("log1p(1.0 / 0.0)", math.inf),
    ("log1p(dyn('a'))", ERROR),
    # hash_id
    ("hash_id('red', 1000)", 101),
    ("hash_id(7, 1000) == hash_id('7', 1000)", True),
    ("hash_id(true, 1000) == hash_id('true', 1000)", True),
    ("hash_id('red', 1)", 0),
    ("hash_id('red', 0)", ERROR),
    ("hash_id('red', -5)", ERROR),
    ("hash_id(dyn(1.5), 10)", ERROR),
    ("hash_id(dyn(null), 10)", ERROR),
    # first, last
    ("first([1, 2])", 1),
    ("last([1, 2])", 2),
    ("first(b)", ERROR),
    ("last(dyn([]))", ERROR),
    # what leaves an expression
    ("7u", 7),
    ("[1u, uint(2)]", [1, 2]),
    ("timestamp(1)", "1970-01-01T00:00:01Z"),
    ("duration('90m')", "5400s"),
    ("type(1.5)", "double"),
    ("{1: timestamp(0), true: [duration('0')]}", {"1": "1970-01-01T00:00:00Z", "true": ["0s"]}),
    ("{1: 'a', 2: 'b'}[dyn(2)]", "b"),
    # times
    ("timestamp(1234567890123 / 1000).getHours('Asia/Shanghai')", 7),
    ("string(timestamp(0) + duration('36h'))", "1970-01-02T12:00:00Z"),
    ("timestamp(0).getHours(b)", ERROR),
    ("timestamp('2016-12-31T23:59:60Z') == timestamp('2017-01-01T00:00:00Z')", True),
    ("timestamp(dyn('2016-12-31T23:59:61Z'))", ERROR),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text for text, _ in TABLE])
def test_value(text: str, expected: Any) -> None:
    """Each has its value, from both variants, or is an error."""
    values = {"a": URL, "b": "(", "nan": math.nan}
    expression = compile_expression(text, NAMES)
    if expected is ERROR:
        with pytest.raises(EvaluationError):
            expression.value(None, None, values)
        assert not expression.test(None, None, values)
        return
    assert repr(expression.value(None, None, values)) == repr(expected)
    assert expression.test(None, None, values) is (expected is True)


@given(st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**62))
def test_hash_id_agrees_with_the_inputs_of_models(value: Any, buckets: int) -> None:
    """A feature that is hashed here and one that is hashed there share their ids."""
    expression = compile_expression("hash_id(a, b)", NAMES)
    try:
        value if not isinstance(value, str) else value.encode()
    except UnicodeEncodeError:
        with pytest.raises(EvaluationError):
            expression.value(None, None, {"a": value, "b": buckets})
        return
    assert expression.value(None, None, {"a": value, "b": buckets}) == bucket_of(value, buckets)


@given(
    st.integers(-1000, 1000) | st.floats(-1000, 1000), st.lists(st.integers(-1000, 1000)).map(set)
)
def test_bucket_counts_the_bounds_below(value: float, bounds: set[int]) -> None:
    """As many as are at most the value."""
    expression = compile_expression("bucket(a, b)", NAMES)
    found = expression.value(None, None, {"a": value, "b": sorted(bounds)})
    assert found == sum(bound <= value for bound in bounds)


@pytest.mark.parametrize(
    "text",
    [
        "url_param(1, 'a')",
        "regex_extract('a', 1)",
        "bucket('a', [1])",
        "bucket(1, 2)",
        "log1p('a')",
        "hash_id(1.5, 10)",
        "hash_id('a', '10')",
        "first(1)",
        "regex_extract('a', '(')",
        "timestamp(0).getHours('Nowhere')",
    ],
)
def test_wrong_kinds_are_found_when_loaded(text: str) -> None:
    """What cannot work is no expression."""
    with pytest.raises(ExpressionInvalid):
        compile_expression(text, NAMES)
