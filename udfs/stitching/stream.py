"""Sessions of many users as a job makes them, without one: bounded memory, clocks from events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.stitching.state import State
from udfs.stitching.stitcher import Stitcher

if TYPE_CHECKING:
    from udfs.events.event import Event
    from udfs.stitching.settings import Settings


class Stream:
    """Users and their open sessions. Each user's clock is his newest event.

    Args:
        settings: Gap, length and caps.
        out_of_orderness_ms: How much older than the newest one of its user an event may be.
    """

    def __init__(self, settings: Settings, out_of_orderness_ms: int) -> None:
        self.stitcher = Stitcher(settings)
        self._tolerance_ms = out_of_orderness_ms
        self._users: dict[str, tuple[State, int]] = {}

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self._users)

    def take(self, event: Event) -> list[dict[str, Any]]:
        """Take an event in.

        Args:
            event: In order of arrival.

        Returns:
            Records of the sessions that are over by now.
        """
        user, time = event.user_id, event.event_time
        state, newest = self._users.get(user) or (self.stitcher.decode(b""), time)
        newest = max(newest, time)
        self._users[user] = state, newest
        clock = newest - self._tolerance_ms
        self.stitcher.update(state, event, clock)
        return self.stitcher.close(state, user, clock)

    def finish(self) -> list[dict[str, Any]]:
        """Close what is open.

        Returns:
            Records by start time; at one time by user.
        """
        found = [
            record
            for user, (state, _) in self._users.items()
            for record in self.stitcher.finish(state, user)
        ]
        found.sort(key=_place)
        return found


def _place(record: dict[str, Any]) -> tuple[int, str]:
    return record["start"], record["user_id"]
