"""What a function over a window has to be able to do."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

Sections: TypeAlias = dict[int, Any]
"""State of one user: structure key -> what the section of that key keeps."""


class Section(Protocol):
    """One function over one window: the operations on its part of a user's state.

    The object itself is shared by all users and holds only counters.
    """

    key: int
    """Hash of the structure: equal keys mean equal values."""

    skipped: int
    """Values of a kind that the function cannot take."""

    def update(self, sections: Sections, time: int, newest: int, value: Any) -> None:
        """Take one event in. HOT.

        Args:
            sections: The user's state, changed in place.
            time: The event's own time.
            newest: Largest event time of the user so far, this event included.
            value: Neither null nor NaN nor infinite.
        """

    def read(self, sections: Sections, at: int) -> Any:
        """Give the value at a time not before ``newest``; changes nothing."""
