"""Number of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence


class Count(Algebra):
    """``count``. Partial result: the number.

    Args:
        kind: ``event`` if there is no value to look at, else ``any``.
    """

    key = "count"
    invertible = True
    nothing = 0

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def fold(self, items: Sequence[Any]) -> int:
        """Count."""
        return len(items)

    direct = fold

    def update(self, partial: int, item: Any) -> int:  # noqa: ARG002 - whatever it is
        """Count one more."""
        return partial + 1

    def merge(self, first: int, second: int) -> int:
        """Add."""
        return first + second

    def delete(self, whole: int, part: int) -> int:
        """Subtract."""
        return whole - part
