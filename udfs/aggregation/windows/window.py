"""What a window has to be able to do, over any operation."""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeAlias

Kept: TypeAlias = Any
"""What a window keeps of a user, as MessagePack holds it."""

ALWAYS: Final = 2**62
"""Later than every time."""


class Window(Protocol):
    """One window over the cells of one operation. Holds no user's data."""

    @property
    def retention_ms(self) -> int | None:
        """How long after an event it may still matter, ms; None: for ever."""

    def update(self, kept: Kept | None, time: int, newest: int, item: Any) -> Kept | None:
        """Take one item in. HOT.

        Args:
            kept: What was kept so far, None at first; may be changed.
            time: The event's own time, ms.
            newest: Largest event time of the user so far, this event included.
            item: What the operation keeps of the value.

        Returns:
            What is to be kept; None if nothing is.
        """

    def complete_since(self, since: int) -> int | None:
        """Give the time from which a reading misses nothing, ms.

        Args:
            since: Event time from which all events were taken in, ms.

        Returns:
            None if there is no such time.
        """

    def read(self, kept: Kept, at: int) -> tuple[Any, int] | None:
        """Give the cell of the window, and until when it stays if no event comes (exclusive, ms).

        Args:
            kept: Not changed.
            at: Not before any event that was taken in, ms.

        Returns:
            None if nothing lies in the window.
        """
