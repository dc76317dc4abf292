"""Rules over events as they come, without Flink: many users, one object, bytes to put away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.errors import StateIncompatible
from udfs.events.codec import from_dict
from udfs.matching.machine import Machine
from udfs.matching.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from udfs.events.event import Event
    from udfs.matching.result import Match

FORMAT: Final = 1
"""Of snapshots: a MessagePack array of this number and a map of user to clock and runs."""


class _User(msgspec.Struct):
    runs: Runs
    clock: int


class Stream:
    """The users of a rule set and their runs.

    >>> rule = {"rule": "r", "version": 1, "pattern": [
    ...     {"step": "a", "event": "view"}, {"step": "b", "event": "pay"}]}
    >>> stream = Stream([rule])
    >>> view = {"event_id": "1", "event_type": "view", "user_id": "u", "event_time": 10}
    >>> stream.advance("u", [view])
    []
    >>> later = Stream([rule])
    >>> later.restore(stream.snapshot())
    >>> pay = {"event_id": "2", "event_type": "pay", "user_id": "u", "event_time": 30}
    >>> [found["at"] for found in later.advance("u", [pay])]
    [30]

    Attributes:
        machine: The compiled rules.

    Args:
        rules: See docs/rules.md.
        previous: Rules of the set before (see `Machine.compile`).
        where: JSON path of the rules, for messages.

    Raises:
        ConfigInvalid: With all the faults of the rules.
    """

    def __init__(
        self,
        rules: Sequence[Mapping[str, Any]],
        previous: Sequence[Mapping[str, Any]] = (),
        where: str = "rules",
    ) -> None:
        self.machine = Machine.compile(rules, where=where, default_max_runs=None, previous=previous)
        self._users: dict[str, _User] = {}

    @property
    def users(self) -> int:
        """How many users it has seen."""
        return len(self._users)

    def advance(self, user: str, events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Process events of one user.

        Args:
            user: Who it is.
            events: Standard events in the order of arrival.

        Returns:
            What deadlines gave before each event, and what it completed.

        Raises:
            InvalidEvent: An event that is none.
            ValueError: The times of the user fall.
        """
        return [one for fields in events for one in self._take(user, from_dict(fields))]

    def take(self, event: Event) -> list[dict[str, Any]]:
        """Process one event that is decoded already; as `advance`.

        Args:
            event: What happened; its ``user_id`` says to whom.
        """
        return self._take(event.user_id, event)

    def _take(self, user: str, event: Event) -> list[dict[str, Any]]:
        now = event.event_time
        known = self._users.get(user)
        if known is None:
            known = self._users[user] = _User(Runs(), now)
        if now < known.clock:
            raise ValueError(
                f"event {event.event_id!r}: the times of user {user!r} fall from "
                f"{known.clock} to {now}: sort the events by time"
            )
        known.clock = now
        return [one.to_dict() for one in self.machine.advance(known.runs, user, event, now)]

    def due(self, now: int) -> list[dict[str, Any]]:
        """Move the clocks of all users on.

        Args:
            now: Rule time, ms; users whose clock is ahead are left alone.

        Returns:
            Absences and time-outs, by deadline.
        """
        found: list[Match] = []
        for user, known in self._users.items():
            if now > known.clock:
                known.clock = now
                found += self.machine.due(known.runs, user, now)
        found.sort(key=_at)
        return [one.to_dict() for one in found]

    def snapshot(self) -> bytes:
        """Give all there is to remember."""
        users = {
            user: (known.clock, self.machine.encode(known.runs))
            for user, known in self._users.items()
        }
        return msgspec.msgpack.encode((FORMAT, users))

    def restore(self, snapshot: bytes) -> None:
        """Go on where a snapshot was taken, possibly with other rules.

        Args:
            snapshot: What `snapshot` gave; what is here is forgotten.

        Raises:
            StateIncompatible: Another format, or not such bytes.
        """
        try:
            found, users = msgspec.msgpack.decode(
                snapshot, type=tuple[int, dict[str, tuple[int, bytes]]]
            )
        except msgspec.DecodeError as error:
            raise StateIncompatible(f"the snapshot is broken: {error}") from error
        if found != FORMAT:
            raise StateIncompatible(f"a snapshot of format {found}, this code reads {FORMAT}")
        self._users = {
            user: _User(self.machine.decode(blob), clock) for user, (clock, blob) in users.items()
        }


def _at(found: Match) -> int:
    return found.at
