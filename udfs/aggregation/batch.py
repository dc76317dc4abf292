"""Aggregates over a list of events: the same code as in a job, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.aggregation.plan import Plan
from udfs.errors import InvalidEvent
from udfs.events.codec import from_dict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from udfs.events.event import Event


def aggregate(
    specs: Sequence[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    at: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Aggregate events of any users.

    >>> aggregate(
    ...     [{"aggregate": "n", "function": "count"}],
    ...     [{"event_id": "1", "event_type": "click", "user_id": "u", "event_time": 5}],
    ... )
    {'u': {'n': 1}}

    Args:
        specs: Aggregates, as in ``aggregate.schema.json``.
        events: Dictionaries of the standard event, in order of arrival.
        at: Time of reading, milliseconds; by default the largest event time.

    Returns:
        User -> aggregate -> value, for every user of `events`.

    Raises:
        ConfigInvalid: With all faults of `specs`.
        InvalidEvent: One of the events is none; ``where`` begins with its place in the list.
        ValueError: `at` lies before an event.
    """
    totals = Totals(Plan.compile(specs))
    for i, fields in enumerate(events):
        totals.add(_event(fields, i))
    return totals.read(at)


class Totals:
    """Gathers events and aggregates them by user.

    Every user's events are taken in order of time, so that none is too late for any window.

    Args:
        plan: What is aggregated.
        users: Whose values are wanted, None for all. The others' events still tell the time.
    """

    def __init__(self, plan: Plan, users: Collection[str] | None = None) -> None:
        self._plan = plan
        self._users = users
        self._events: dict[str, list[Event]] = {}
        self._newest: int | None = None

    def add(self, event: Event) -> None:
        """Take one event, in order of arrival."""
        if self._newest is None or event.event_time > self._newest:
            self._newest = event.event_time
        if self._users is None or event.user_id in self._users:
            self._events.setdefault(event.user_id, []).append(event)

    def read(self, at: int | None = None) -> dict[str, dict[str, Any]]:
        """Give the values of all users.

        Args:
            at: Time of reading, milliseconds; by default the largest event time.

        Raises:
            ValueError: `at` lies before an event.
        """
        newest = self._newest
        if newest is None:
            return {}
        if at is not None and at < newest:
            raise ValueError(
                f"at = {at} lies before the newest event ({newest}): read there or later"
            )
        return {
            user: self._values(events, newest if at is None else at)
            for user, events in self._events.items()
        }

    def _values(self, events: list[Event], at: int) -> dict[str, Any]:
        plan = self._plan
        state = plan.decode(b"")
        for event in sorted(events, key=_time):  # stable: equal times keep their order
            plan.update(state, event)
        return plan.read(state, plan.names, at)


def _time(event: Event) -> int:
    return event.event_time


def _event(fields: Mapping[str, Any], i: int) -> Event:
    try:
        return from_dict(fields)
    except InvalidEvent as error:
        where = f"events[{i}]" + error.where.removeprefix("$")
        raise InvalidEvent(error.reason, where, error.detail) from None
