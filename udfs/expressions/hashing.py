"""Text to numbers that mean nothing but themselves."""

from __future__ import annotations

from typing import Any

from xxhash import xxh3_64_intdigest

from udfs.expressions.conversions import text_of
from udfs.expressions.values import EvaluationError, refuse


def hash_id(value: Any, buckets: Any) -> int:
    """``hash_id(x, n)``: XXH3-64 of the text of x in UTF-8, modulo n.

    The same as what a model's inputs with ``buckets`` do.

    >>> hash_id("red", 1000), hash_id(7, 1000) == hash_id("7", 1000)
    (101, True)
    """
    if value.__class__ not in (str, int, bool) or buckets.__class__ is not int:
        return refuse("hash_id", value, buckets)
    if buckets < 1:
        raise EvaluationError(f"hash_id(): {buckets} buckets, at least 1 is needed")
    return int(xxh3_64_intdigest(text_of(value).encode()) % buckets)
