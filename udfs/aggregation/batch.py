"""Aggregates over a list of events: the same code as in a job, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.aggregation.plan import Plan, State
from udfs.errors import InvalidEvent
from udfs.events.codec import from_dict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    plan = Plan.compile(specs)
    states: dict[str, State] = {}
    newest: int | None = None
    for i, fields in enumerate(events):
        event = _event(fields, i)
        state = states.get(event.user_id)
        if state is None:
            state = states[event.user_id] = plan.decode(b"")
        plan.update(state, event)
        newest = event.event_time if newest is None else max(newest, event.event_time)
    if newest is None:
        return {}
    if at is not None and at < newest:
        raise ValueError(f"at = {at} lies before the newest event ({newest}): read there or later")
    return {
        user: plan.read(state, plan.names, newest if at is None else at)
        for user, state in states.items()
    }


def _event(fields: Mapping[str, Any], i: int) -> Event:
    try:
        return from_dict(fields)
    except InvalidEvent as error:
        where = f"events[{i}]" + error.where.removeprefix("$")
        raise InvalidEvent(error.reason, where, error.detail) from None
