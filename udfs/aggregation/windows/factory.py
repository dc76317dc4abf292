"""From a checked window to its implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from udfs.aggregation.windows.hopping import Hopping
from udfs.aggregation.windows.last_n import LastN
from udfs.aggregation.windows.lifetime import Lifetime
from udfs.aggregation.windows.session import Session
from udfs.aggregation.windows.tumbling import DAY_MS, Calendar, Tumbling

if TYPE_CHECKING:
    from udfs.aggregation.cells import Cells
    from udfs.aggregation.specs import Window as Shape
    from udfs.aggregation.windows.window import Window

_NAMED_DAYS: Final = {"week": 7, "month": 31}


def window_of(shape: Shape, cells: Cells) -> Window:
    """Give a window.

    Args:
        shape: Any but ``sliding``, which reads raw entries.
        cells: Of the operation.
    """
    length = shape.length
    if shape.kind == "tumbling":
        days = _NAMED_DAYS.get(str(length))
        longest_ms = (days + 1) * DAY_MS if days else int(length) + DAY_MS
        return Tumbling(cells, Calendar(length, shape.zone), longest_ms)
    assert isinstance(length, int)
    if shape.kind == "hopping":
        return Hopping(cells, length, shape.hop_ms)
    if shape.kind == "session":
        return Session(cells, length)
    if shape.kind == "last":
        return LastN(length)
    return Lifetime(cells)
