"""Where a user is in the session that goes on: which pages are open, who came from where.

Takes the events of one session in their order, one after the other, and says of each which page
it belongs to and what it did there. The features of an open session are read from it; the tree of
a closed one is built with it (`udfs.stitching.tree`), so that both know the same pages.

A page is *open* from its enter to its leave. It is *covered* while another page has been entered
over it that is not nested in it: nobody knows then whether it is still there. If it does anything
but being entered again, it is, and the pages in between were nested in it. A page of an embedded
source (`EMBEDDED`) inside a page of another source is nested from the beginning.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from udfs.stitching.rows import (
    APP_LAUNCH,
    PAGE_ENTER,
    PAGE_LEAVE,
    SCENE_ENTER,
    SESSION_END,
    More,
    Row,
)
from udfs.stitching.settings import Caps

EMBEDDED: Final = frozenset({"h5", "card"})
"""Sources whose pages lie inside pages of other sources."""

CLOSED: Final = 0
COVERED: Final = 1
OPEN: Final = 2

Action = Literal["open", "announce", "return", "again", "behave", "over", "leave", "none", "full"]
"""What an event did to a page: it opened it; entered a page that was open without an enter;
entered a page anew after it was left or covered; entered or left it once more for nothing;
happened on it; happened on it and is not kept; left it; nothing; or there is no room for its
page."""

_LEVELS: Final = frozenset({APP_LAUNCH, SCENE_ENTER, SESSION_END})
_NOWHERE: Final = -1


class Page(msgspec.Struct, array_like=True, gc=False):
    """A page of the session so far.

    Args:
        instance: Its ``page_instance``, made if there was none.
        page_id: None if nobody named it.
        embedded: Whether its source is one of `EMBEDDED`.
        implied: Nobody announced it.
        status: `OPEN`, `COVERED` or `CLOSED`.
        depth: Pages from the first one to this one, by came-from.
        came_from: What ``session.came_from`` says.
        behaviours: How many, those that are not kept included.
        away_ms: `Track.away_ms` when it was covered.
    """

    instance: str
    page_id: str | None
    embedded: bool
    implied: bool
    status: int = OPEN
    depth: int = 1
    came_from: str | None = None
    behaviours: int = 0
    away_ms: int = 0


class Memory:
    """What speeds look-ups up while a whole session is gone through; never in the state."""

    def __init__(self) -> None:
        self.pages: dict[str, int] = {}
        self.open: dict[str, list[int]] = {}
        self.owners: dict[str, int] = {}


Step: TypeAlias = tuple[Action, int]
"""What an event did, and the number of the page; -1 without one."""

_NOTHING: Final[Step] = ("none", _NOWHERE)
_FULL: Final[Step] = ("full", _NOWHERE)


class Track(msgspec.Struct, array_like=True):
    """The session so far.

    Args:
        start: Time of its first event.
        last: Latest time.
        events: How many.
        behaviours: How many on all pages.
        ended: Whether the latest event was a ``session_end``.
        dwell_ms: How long at least one page was open, up to `mark`.
        mark: Up to where `dwell_ms` is known: the latest time while a page is `OPEN`, else the
            time at which the last such page was left.
        away_ms: How long no page was `OPEN` between pages that were, up to `mark`. A covered page
            that turns out to have been there takes back what has come together since.
        pages: All, in the order in which they came.
        stack: Numbers of the pages that were not left, by enter.
        live: Numbers of those that are `OPEN`.
        path: Numbers of the pages that were entered last, returns included.
    """

    start: int = -1
    last: int = -1
    events: int = 0
    behaviours: int = 0
    ended: bool = False
    dwell_ms: int = 0
    mark: int = -1
    away_ms: int = 0
    pages: list[Page] = []
    stack: list[int] = []
    live: list[int] = []
    path: list[int] = []

    def take(self, row: Row, caps: Caps, path: int, memory: Memory | None = None) -> Step:
        """Take the next event in. HOT.

        Args:
            row: Not before the latest one.
            caps: Of pages and behaviours.
            path: Pages in `path`.
            memory: The same for all events of the session, or None.
        """
        time, kind = row[0], row[2]
        if self.live and time >= self.last:  # most events; the same as below, without the call
            self.events += 1
            self.dwell_ms += time - self.mark
            self.last = self.mark = time
        else:
            self._advance(time)
        self.ended = False
        if kind in _LEVELS:
            self.ended = kind == SESSION_END
            return _NOTHING
        if kind == PAGE_ENTER:
            return self._enter(row, caps, path, memory)
        at = self._find(row, memory)
        if at < 0:
            if row[6] is None and row[7] is None:
                return _NOTHING
            at = self._open(row, caps, path, memory, implied=True)
        if at < 0:
            return _FULL
        if self.pages[at].status == COVERED:
            self._uncover(at)
        return self._leave(at) if kind == PAGE_LEAVE else self._behave(at, row, caps, memory)

    def knows(self, row: Row) -> bool:
        """Tell whether an event is one of a page that is there already, or of none."""
        if row[2] in _LEVELS or (row[6] is None and row[7] is None):
            return True
        return row[2] != PAGE_ENTER and self._find(row, None) >= 0

    def take_more(self, more: More, memory: Memory | None = None) -> int:
        """Take a run of events in that are not kept.

        Args:
            more: It.
            memory: As in `take`.

        Returns:
            Number of the page that they belong to; -1 if that is not known.
        """
        at = _NOWHERE if more.instance is None else self._numbered(more.instance, memory)
        for time in (more.time, more.until):
            self._advance(time)
            if at >= 0 and self.pages[at].status == COVERED:
                self._uncover(at)
        self.events += more.number - 2
        self.ended = False
        if at >= 0:
            self.behaviours += more.number
            self.pages[at].behaviours += more.number
        return at

    def _advance(self, time: int) -> None:
        if not self.events:
            self.start = time
        self.events += 1
        self.last = max(self.last, time)
        if self.live:
            self.dwell_ms += self.last - self.mark
            self.mark = self.last

    def _leave(self, at: int) -> Step:
        page = self.pages[at]
        if page.status == CLOSED:
            return ("again", at)
        page.status = CLOSED
        self.live.remove(at)
        if self.stack[-1] == at:
            self.stack.pop()
        else:
            self.stack.remove(at)
        return ("leave", at)

    def _behave(self, at: int, row: Row, caps: Caps, memory: Memory | None) -> Step:
        page = self.pages[at]
        self.behaviours += 1
        page.behaviours += 1
        if memory is not None:
            memory.owners[row[1]] = at
        return ("behave" if page.behaviours <= caps.behaviours else "over", at)

    def _enter(self, row: Row, caps: Caps, path: int, memory: Memory | None) -> Step:
        time, instance = row[0], row[7]
        if instance is None:
            if row[6] is None:
                return _NOTHING
            instance = made(row[6], time)
        at = self._numbered(instance, memory)
        if at < 0:
            at = self._open(row, caps, path, memory, implied=False)
            return ("open", at) if at >= 0 else _FULL
        page = self.pages[at]
        self._name(page, row[6], memory)
        implied, page.implied = page.implied, False
        if implied and page.came_from is None:
            self._refer(page, row, memory)
        if page.status == OPEN:
            return ("announce" if implied else "again", at)
        if page.status == COVERED:
            self.stack.remove(at)
        self._show(at, page, path)
        if memory is not None and page.page_id is not None:
            memory.open.setdefault(page.page_id, []).append(at)
        return ("return", at)

    def _open(
        self, row: Row, caps: Caps, path: int, memory: Memory | None, *, implied: bool
    ) -> int:
        pages = self.pages
        if len(pages) >= caps.pages:
            return _NOWHERE
        at = len(pages)
        instance = row[7] or made(row[6], row[0])
        page = Page(instance, row[6], row[3] in EMBEDDED, implied)
        self._refer(page, row, memory)
        pages.append(page)
        if memory is not None:
            memory.pages[instance] = at
        self._show(at, page, path)
        if memory is not None and page.page_id is not None:
            memory.open.setdefault(page.page_id, []).append(at)
        return at

    def _refer(self, page: Page, row: Row, memory: Memory | None) -> None:
        source = row[8]
        at = _NOWHERE
        if source is not None:
            if source == page.instance:
                return
            page.came_from = source
            at = self._numbered(source, memory)
        elif row[9] is not None and memory is not None:
            at = memory.owners.get(row[9], _NOWHERE)
        if at >= 0 and self.pages[at] is not page:
            origin = self.pages[at]
            page.came_from = origin.page_id or origin.instance
            page.depth = origin.depth + 1

    def _show(self, at: int, page: Page, path: int) -> None:
        """Put a page on top."""
        covered = [i for i in self.live if not (page.embedded and not self.pages[i].embedded)]
        if not self.live:
            if self.stack:
                self.away_ms += self.last - self.mark
            self.mark = self.last
        for i in covered:
            self.pages[i].status = COVERED
            self.pages[i].away_ms = self.away_ms
            self.live.remove(i)
        page.status = OPEN
        self.stack.append(at)
        self.live.append(at)
        self.path.append(at)
        if len(self.path) > path:
            del self.path[0]

    def _uncover(self, at: int) -> None:
        """Learn that a page was there all the time."""
        if not self.live:
            self.dwell_ms += self.last - self.mark
            self.mark = self.last
        page = self.pages[at]
        self.dwell_ms += self.away_ms - page.away_ms
        self.away_ms = page.away_ms
        for i in self.stack:
            self.pages[i].away_ms = min(self.pages[i].away_ms, self.away_ms)
        page.status = OPEN
        self.live.append(at)

    def _find(self, row: Row, memory: Memory | None) -> int:
        """Give the page that an event belongs to: the one it names, else the open one."""
        instance = row[7]
        if instance is not None:
            stack = self.stack
            at = stack[-1] if stack else _NOWHERE
            if at < 0 or self.pages[at].instance != instance:
                at = self._numbered(instance, memory)
            if at >= 0:
                self._name(self.pages[at], row[6], memory)
            return at
        page_id = row[6]
        if page_id is None:
            return self.stack[-1] if self.stack else _NOWHERE
        at = self._topmost(page_id, memory)
        return at if at >= 0 else self._numbered(made(page_id, row[0]), memory)

    def _name(self, page: Page, page_id: str | None, memory: Memory | None) -> None:
        if page.page_id is not None or page_id is None:
            return
        page.page_id = page_id
        if memory is not None:
            memory.open[page_id] = [i for i in self.stack if self.pages[i].page_id == page_id]

    def _topmost(self, page_id: str, memory: Memory | None) -> int:
        pages = self.pages
        if memory is None:
            for at in reversed(self.stack):
                if pages[at].page_id == page_id:
                    return at
            return _NOWHERE
        known = memory.open.get(page_id, [])
        while known and pages[known[-1]].status == CLOSED:
            known.pop()
        return known[-1] if known else _NOWHERE

    def _numbered(self, instance: str, memory: Memory | None) -> int:
        if memory is not None:
            return memory.pages.get(instance, _NOWHERE)
        pages = self.pages
        for at in range(len(pages) - 1, -1, -1):
            if pages[at].instance == instance:
                return at
        return _NOWHERE


def made(page_id: str | None, time: int) -> str:
    """Give the instance of a page that has none.

    >>> made("A", 1000)
    'A@1000'

    Args:
        page_id: The page; None counts as empty.
        time: Of its first event, ms.
    """
    return f"{page_id or ''}@{time}"
