"""Rules over a list of events, without Flink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from udfs.events.codec import from_dict
from udfs.matching.machine import Machine
from udfs.matching.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from udfs.events.event import Event
    from udfs.matching.result import Match


class _User(msgspec.Struct):
    """What the replay knows of one user.

    Args:
        runs: Partial matches.
        clock: Rule time, ms.
        given: Events by identity, with the dictionaries they came as.
    """

    runs: Runs
    clock: int
    given: dict[int, tuple[Event, Mapping[str, Any]]]


def match(
    rules: Sequence[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    end_time: int | None = None,
) -> list[dict[str, Any]]:
    """Run rules over events.

    Every user is alone. Before an event the user's clock moves to its time, so that absences
    and time-outs fire; then the event is processed. Runs have no cap but what a rule says.

    >>> rule = {"rule": "r", "version": 1, "pattern": [
    ...     {"step": "a", "event": "view"}, {"step": "b", "event": "pay"}]}
    >>> view = {"event_id": "1", "event_type": "view", "user_id": "u", "event_time": 10}
    >>> pay = {"event_id": "2", "event_type": "pay", "user_id": "u", "event_time": 30}
    >>> [(found["rule"], found["at"]) for found in match([rule], [view, pay])]
    [('r', 30)]

    Args:
        rules: See docs/rules.md.
        events: Standard events in the order of arrival.
        end_time: Moves all clocks on at the end, ms since the epoch.

    Returns:
        Matches by time; at one time deadlines before events, then in rule order, then by
        start of the run. They hold the events as they were given.

    Raises:
        ConfigInvalid: With all the faults of the rules.
        InvalidEvent: An event that is none.
        ValueError: The times of a user fall.
    """
    machine = Machine.compile(rules, default_max_runs=None)
    machine.watch = None  # nobody acts on what this gives, so nothing need be kept back
    positions = {rule.name: rule.index for rule in machine.rules}
    users: dict[str, _User] = {}
    found: list[tuple[tuple[int, int, int, int], dict[str, Any]]] = []

    def note(user: _User, matches: list[Match], phase: int) -> None:
        for one in matches:
            key = (one.at, phase, positions[one.rule], one.start)
            found.append((key, _to_dict(one, user.given)))

    for index, fields in enumerate(events):
        event = from_dict(fields)
        now = event.event_time
        user = users.get(event.user_id)
        if user is None:
            user = users[event.user_id] = _User(Runs(), now, {})
        if now < user.clock:
            raise ValueError(
                f"events[{index}] ({event.event_id!r}): the times of user {event.user_id!r} "
                f"fall from {user.clock} to {now}: sort the events by time"
            )
        user.clock = now
        note(user, machine.due(user.runs, event.user_id, now), 0)
        user.given[id(event)] = (event, fields)
        note(user, machine.advance(user.runs, event.user_id, event, now), 1)
        if not user.runs:
            user.given.clear()
    if end_time is not None:
        for user_id, user in users.items():
            note(user, machine.due(user.runs, user_id, max(end_time, user.clock)), 0)
    found.sort(key=lambda one: one[0])
    return [one for _, one in found]


def _to_dict(one: Match, given: dict[int, tuple[Event, Mapping[str, Any]]]) -> dict[str, Any]:
    fields = one.to_dict()
    fields["steps"] = {
        name: [dict(given[id(event)][1]) for event in taken] for name, taken in one.steps.items()
    }
    return fields
