"""From the name of a function to its operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from udfs.aggregation.operations.approx_percentile import ApproxPercentile
from udfs.aggregation.operations.approx_unique_count import ApproxUniqueCount
from udfs.aggregation.operations.count import Count
from udfs.aggregation.operations.distinct import UniqueCount, UniqueK
from udfs.aggregation.operations.ends import Ends
from udfs.aggregation.operations.extremes import Max, Min, Ranked
from udfs.aggregation.operations.histogram import Histogram
from udfs.aggregation.operations.moments import Kurtosis, Skew, StdDev, Variance
from udfs.aggregation.operations.sum import Average, Sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from udfs.aggregation.operations.operation import Operation

MAX_DISTINCT: Final = 10_000
"""Different values that ``unique_count`` and ``histogram`` tell apart."""

_PLAIN: Final[dict[str, Callable[[], Operation]]] = {
    "sum": Sum,
    "avg": Average,
    "min": Min,
    "max": Max,
    "variance": Variance,
    "stddev": StdDev,
    "skew": Skew,
    "kurtosis": Kurtosis,
    "first": lambda: Ends(1, newest=False, single=True),
    "last": lambda: Ends(1, newest=True, single=True),
    "unique_count": lambda: UniqueCount(MAX_DISTINCT),
    "approx_unique_count": ApproxUniqueCount,
}
_OF_K: Final[dict[str, Callable[[int], Operation]]] = {
    "first_k": lambda k: Ends(k, newest=False),
    "last_k": lambda k: Ends(k, newest=True),
    "sequence": lambda k: Ends(k, newest=True),
    "top_k": lambda k: Ranked(k, falling=True),
    "bottom_k": lambda k: Ranked(k, falling=False),
    "unique_k": UniqueK,
}

FUNCTIONS: Final = ("count", *_PLAIN, *_OF_K, "approx_percentile", "histogram")
"""Every function by its name."""
NEEDS_K: Final = frozenset(_OF_K)
"""Functions that cannot do without ``k``."""


def operation(function: str, k: int | None, q: Sequence[float] | None, *, value: bool) -> Operation:
    """Give the operation of a checked spec.

    Args:
        function: One of `FUNCTIONS`.
        k: Where the function takes it.
        q: Of ``approx_percentile``.
        value: Whether the spec has a value.
    """
    if function == "count":
        return Count("any" if value else "event")
    if function in _OF_K:
        assert k is not None
        return _OF_K[function](k)
    if function == "approx_percentile":
        assert q is not None
        return ApproxPercentile(q)
    if function == "histogram":
        return Histogram(k, MAX_DISTINCT)
    return _PLAIN[function]()
