"""How long pages were open, and how long each was in the foreground.

A visit of a page lasts from an enter to the leave. Without a leave it lasts to the next enter of a
page that is not nested in it: the first one after the last thing that happened on the page, pages
of embedded sources passed over. Without such an enter it lasts to the last thing that happened.

In the foreground is the open page that was entered last. So no two pages are there at one time,
and their dwell times never add up to more than the session is long.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

How = Literal["leave", "next", "last"]

_WEAKER: Final[tuple[How, ...]] = ("leave", "next", "last")


class Visit(msgspec.Struct, gc=False):
    """One stay on a page.

    Args:
        page: Number of the page.
        enter: Time at which it began, ms.
        leave: Time at which it ended; before `Openings.bound` only where it was left.
        how: Where `leave` is from.
        heard: Number of the latest event on it.
        latest: Time of that event.
    """

    page: int
    enter: int
    leave: int
    how: How
    heard: int
    latest: int


class Openings:
    """When pages of a session were entered, returns included."""

    def __init__(self) -> None:
        self._all: tuple[list[int], list[int]] = ([], [])
        self._own: tuple[list[int], list[int]] = ([], [])

    def add(self, number: int, time: int, *, embedded: bool) -> None:
        """Note one.

        Args:
            number: Of the event.
            time: Its time, ms.
            embedded: Whether the page is of an embedded source.
        """
        for numbers, times in (self._all,) if embedded else (self._all, self._own):
            numbers.append(number)
            times.append(time)

    def bound(self, visit: Visit, *, embedded: bool) -> None:
        """End a visit that was not left.

        Args:
            visit: Changed in place.
            embedded: Whether its page is of an embedded source.
        """
        numbers, times = self._all if embedded else self._own
        at = bisect_right(numbers, visit.heard)
        if at < len(numbers):
            visit.leave, visit.how = times[at], "next"
        else:
            visit.leave, visit.how = visit.latest, "last"


def weakest(visits: Iterable[Visit]) -> How:
    """Tell where the end of a page is from that is known worst."""
    return max((visit.how for visit in visits), key=_WEAKER.index)


def foreground(visits: Iterable[Visit], pages: int) -> list[int]:
    """Give the time in the foreground by page, ms.

    Args:
        visits: Bound, in the order in which they began.
        pages: How many pages there are.
    """
    dwell = [0] * pages
    stack: list[Visit] = []
    now = 0
    for visit in visits:
        _spend(stack, dwell, now, visit.enter)
        now = visit.enter
        stack.append(visit)
    _spend(stack, dwell, now, None)
    return dwell


def _spend(stack: list[Visit], dwell: list[int], now: int, until: int | None) -> None:
    """Give the time up to a moment to who is on top."""
    while stack:
        top = stack[-1]
        if top.leave <= now:
            stack.pop()
            continue
        stop = top.leave if until is None else min(top.leave, until)
        dwell[top.page] += stop - now
        now = stop
        if now == until:
            return
