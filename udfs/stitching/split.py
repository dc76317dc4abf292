"""Where the sessions of a user begin and end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from udfs.stitching.rows import SESSION_END, Item, More
from udfs.stitching.settings import Settings

GAP: Final = "gap"
MAX_LENGTH: Final = "max_length"
EXPLICIT: Final = "explicit"
EOF: Final = "eof"


class Segment(NamedTuple):
    """The events of one session.

    Args:
        items: By time.
        start: Time of the first.
        last: Time of the last.
        reason: Why it ended; None if it is only the last one so far.
        final_at: From this firing clock on no event can change it: all that is older is late.
    """

    items: list[Item]
    start: int
    last: int
    reason: str | None
    final_at: int


def split(items: Iterable[Item], settings: Settings) -> list[Segment]:
    """Give the sessions of one user.

    Args:
        items: By time; those of one time in order of arrival.
        settings: Gap and length.
    """
    found: list[Segment] = []
    own: list[Item] = []
    start = last = 0
    ended = False
    for item in items:
        time = item[0]
        if own:
            reason = _boundary(time, start, last, settings, ended=ended)
            if reason:
                found.append(_segment(own, start, last, reason, settings))
                own = []
        if not own:
            start = last = time
        own.append(item)
        if type(item) is More:
            last = max(last, item.until)
            ended = False
        else:
            last = max(last, time)
            ended = item[2] == SESSION_END
    if own:
        found.append(_segment(own, start, last, EXPLICIT if ended else None, settings))
    return found


def _boundary(time: int, start: int, last: int, settings: Settings, *, ended: bool) -> str:
    if ended:
        return EXPLICIT
    if time - last > settings.gap_ms:
        return GAP
    return MAX_LENGTH if time - start > settings.max_length_ms else ""


def _segment(
    items: list[Item], start: int, last: int, reason: str | None, settings: Settings
) -> Segment:
    if reason == EXPLICIT:
        final_at = last + 1
    elif reason == MAX_LENGTH:
        final_at = start + settings.max_length_ms + 1
    else:
        final_at = last + settings.gap_ms + 1
    return Segment(items, start, last, reason, final_at)
