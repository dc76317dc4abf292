"""Late events: the marked copy that says how late an event was."""

from __future__ import annotations

from udfs.events.dead_letters import Record


def late_copy(
    raw: bytes, *, event_time: int, firing_clock: int, partition: int, offset: int
) -> Record:
    """Give the copy of a late event for the ``late`` topic.

    Args:
        raw: The record's value, kept as it is.
        event_time: The event's own time, milliseconds.
        firing_clock: F of its partition when it came, above ``event_time``.
        partition: Where the record came from.
        offset: Where the record came from.

    Returns:
        The original bytes with headers ``reason``, ``event_time``, ``firing_clock``,
        ``partition`` and ``offset``.
    """
    return Record(
        raw,
        [
            ("reason", b"late"),
            ("event_time", b"%d" % event_time),
            ("firing_clock", b"%d" % firing_clock),
            ("partition", b"%d" % partition),
            ("offset", b"%d" % offset),
        ],
    )
