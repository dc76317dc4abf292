"""Sessions of a list of events: the same code as in a job, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.errors import InvalidEvent
from udfs.events.codec import from_dict
from udfs.stitching.counts import Counts
from udfs.stitching.rows import Row, in_time, row_of
from udfs.stitching.settings import Caps, Settings
from udfs.stitching.split import EOF, split
from udfs.stitching.tree import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from udfs.events.event import Event


def stitch(
    events: Iterable[Mapping[str, Any]], gap: str = "30m", max_length: str = "24h"
) -> list[dict[str, Any]]:
    """Make sessions of events of any users.

    The events of each user are put in order of their times first, those of one time stay in order
    of arrival; so nothing is too late here. Nothing is cut or left out either (`Caps.none`).

    >>> [session] = stitch([
    ...     {"event_id": "1", "event_type": "page_enter", "user_id": "u", "event_time": 5,
    ...      "page_id": "home"}])
    >>> session["pages"], session["bounce"], session["end_reason"]
    (1, True, 'eof')

    Args:
        events: Dictionaries of the standard event, in order of arrival.
        gap: Longest time between neighbours of a session, a duration.
        max_length: Longest time between its first and its last event, a duration.

    Returns:
        Records as in ``session.schema.json``, by start time; at one time by user.

    Raises:
        ConfigInvalid: With all faults of `gap` and `max_length`.
        InvalidEvent: One of the events is none; ``where`` begins with its place in the list.
    """
    whole = Whole(Settings.read(gap, max_length, Caps.none()))
    for i, fields in enumerate(events):
        whole.take(_event(fields, i))
    return whole.sessions()


class Whole:
    """All events of all users, in memory.

    Args:
        settings: Gap and length.

    Attributes:
        counts: What happened.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.counts = Counts()
        self._users: dict[str, dict[str, Row]] = {}
        self._newest: dict[str, int] = {}

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self._users)

    def take(self, event: Event) -> None:
        """Take an event in; a repeat of an id is dropped and counted."""
        rows = self._users.setdefault(event.user_id, {})
        if event.event_id in rows:
            self.counts.duplicates += 1
            return
        self.counts.events += 1
        rows[event.event_id] = row_of(event)
        newest = self._newest.get(event.user_id, -1)
        if event.event_time < newest:
            self.counts.disordered += 1
        else:
            self._newest[event.user_id] = event.event_time

    def sessions(self) -> list[dict[str, Any]]:
        """Give the records, by start time; the last one of a user is open, unless it has ended."""
        found = []
        for user, rows in self._users.items():
            for segment in split(sorted(rows.values(), key=in_time), self.settings):
                reason = segment.reason or EOF
                found.append(
                    build(segment._replace(reason=reason), user, self.settings, self.counts)
                )
        self.counts.sessions += len(found)
        found.sort(key=_place)
        return found


def _place(record: Mapping[str, Any]) -> tuple[int, str]:
    return record["start"], record["user_id"]


def _event(fields: Mapping[str, Any], i: int) -> Event:
    try:
        return from_dict(fields)
    except InvalidEvent as error:
        where = f"events[{i}]" + error.where.removeprefix("$")
        raise InvalidEvent(error.reason, where, error.detail) from None
