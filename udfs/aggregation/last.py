"""The latest value, of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from udfs.aggregation.section import Sections

_SCALARS: Final = frozenset({bool, int, float, str})
_CONTAINERS: Final = frozenset({list, tuple, dict})


class Last:
    """The value of the latest event by ``(event_time, arrival)``.

    State: ``[time, value]``. One is enough for a sliding window as well: readings are never
    before the newest event, so once the latest has left the window, all have.
    """

    __slots__ = ("_window_ms", "key", "skipped")

    def __init__(self, key: int, window_ms: int | None) -> None:
        self.key = key
        self.skipped = 0
        self._window_ms = window_ms

    def update(self, sections: Sections, time: int, newest: int, value: Any) -> None:  # noqa: ARG002 - the seam
        """Keep the value, unless a later one is there."""
        kind = type(value)
        if kind in _CONTAINERS:
            value = _plain(value)
        elif kind not in _SCALARS:
            self.skipped += 1
            return
        latest = sections.get(self.key)
        if latest is None or time >= latest[0]:
            sections[self.key] = [time, value]

    def read(self, sections: Sections, at: int) -> Any:
        """Give the value, None if nothing lies inside the window."""
        latest = sections.get(self.key)
        if latest is None or (self._window_ms is not None and latest[0] <= at - self._window_ms):
            return None
        return latest[1]


def _plain(value: Any) -> Any:
    """Copy what an expression gave into lists and maps, as reading it back from state would."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value
