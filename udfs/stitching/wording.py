"""Times and texts of a session as people read them."""

from __future__ import annotations

from typing import Any, Final

from udfs.terminal.wording import printable

LONGEST: Final = 80
"""Characters of an id that are shown."""

_SECOND: Final = 1_000
_MINUTE: Final = 60_000
_HOUR: Final = 3_600_000

ENDINGS: Final = {
    "gap": "nothing came for longer than the gap",
    "max_length": "it became too long",
    "explicit": "session_end",
    "eof": "still open",
}
"""What an ``end_reason`` means."""

DWELLS: Final = {
    "leave": "until left",
    "next": "until the next page",
    "last": "until the last event on it",
}
"""What a ``dwell_from`` means."""


def lasting(duration_ms: int) -> str:
    """Write a length of time down.

    >>> lasting(400), lasting(12_000), lasting(61_500), lasting(7_260_000)
    ('0.4 s', '12 s', '1 min 1.5 s', '2 h 1 min')

    Args:
        duration_ms: Milliseconds, not negative.
    """
    hours, rest = divmod(duration_ms, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    parts = []
    if hours:
        parts.append(f"{hours} h")
    if minutes:
        parts.append(f"{minutes} min")
    if rest or not parts:
        parts.append(f"{rest / _SECOND:g} s")
    return " ".join(parts)


def shown(text: Any) -> str:
    """Give a text that fits a line and cannot steer a terminal; a dash for None.

    >>> shown(None), shown("A#1")
    ('\u2013', 'A#1')
    """
    if text is None:
        return "\u2013"
    found = printable(str(text))
    return found if len(found) <= LONGEST else f"{found[: LONGEST - 1]}\u2026"


def page_name(page: dict[str, Any]) -> str:
    """Give id and instance of a page.

    >>> page_name({"page_id": "A", "page_instance": "A#1"})
    'A (A#1)'
    """
    return f"{shown(page['page_id'])} ({shown(page['page_instance'])})"


def arrow(reference: dict[str, Any]) -> str:
    """Give the other end of a reference and the event that caused it.

    >>> arrow({"page_instance": "A#1", "event_id": "e4"})
    'A#1 by e4'
    >>> arrow({"page_instance": "A#1", "event_id": None, "outside": True})
    'A#1, not in this session'
    """
    text = shown(reference["page_instance"])
    if reference["event_id"] is not None:
        text += f" by {shown(reference['event_id'])}"
    return f"{text}, not in this session" if reference.get("outside") else text
