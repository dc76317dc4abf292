"""The tree of a session that is over: Session → App → Scene → Page → Behaviour."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from udfs.stitching.counts import Counts
from udfs.stitching.levels import Levels, Scene
from udfs.stitching.rows import APP_LAUNCH, PAGE_ENTER, SCENE_ENTER, More, Row
from udfs.stitching.settings import Settings
from udfs.stitching.split import EOF, Segment
from udfs.stitching.track import Action, Memory, Track
from udfs.stitching.visits import Openings, Visit, foreground, weakest


class _Node(msgspec.Struct):
    """What is known of a page besides `track.Page`."""

    scene: Scene
    source: str | None
    from_page: str | None
    from_event: str | None
    announced: bool
    visits: list[Visit]
    latest: int
    behaviours: list[dict[str, Any]]


def build(segment: Segment, user_id: str, settings: Settings, counts: Counts) -> dict[str, Any]:
    """Make the record of a session.

    Args:
        segment: Its events.
        user_id: Whose.
        settings: Those it was split by.
        counts: Gets what is odd about it.

    Returns:
        As in ``session.schema.json``.
    """
    tree = _Tree(settings, counts)
    for number, item in enumerate(segment.items):
        if type(item) is More:
            tree.take_more(item, number)
        else:
            tree.take(item, number)  # type: ignore[arg-type]
    return tree.record(segment, user_id)


def session_id(user_id: str, event_id: str) -> str:
    """Give the id of a session: 128 bits of SHA-256 over both texts in UTF-8, in a row.

    >>> session_id("u", "e1")
    'ff325f04f87c29f45a90569fb0e23b62'

    Args:
        user_id: Whose.
        event_id: Of its first event.
    """
    return hashlib.sha256((user_id + event_id).encode()).hexdigest()[:32]


class _Tree:
    """Takes the events of one session."""

    def __init__(self, settings: Settings, counts: Counts) -> None:
        self._settings = settings
        self._counts = counts
        self._track = Track()
        self._memory = Memory()
        self._levels = Levels()
        self._openings = Openings()
        self._visits: list[Visit] = []
        self._nodes: list[_Node] = []

    def take(self, row: Row, number: int) -> None:
        """Take the next event in."""
        action, at = self._track.take(row, self._settings.caps, 1, self._memory)
        kind = row[2]
        if kind == APP_LAUNCH:
            self._levels.launch(row, number)
        elif kind == SCENE_ENTER:
            self._levels.enter(row, number)
        elif at >= 0:
            self._on_page(row, number, action, at)
        elif action == "full":
            self._counts.beyond_pages += 1

    def take_more(self, more: More, number: int) -> None:
        """Take a run of events in that are not kept."""
        at = self._track.take_more(more, self._memory)
        if at >= 0:
            self._hear(at, number, more.until)

    def _on_page(self, row: Row, number: int, action: Action, at: int) -> None:
        time = row[0]
        if at == len(self._nodes):
            self._open(row, at, number)
        node = self._nodes[at]
        if action == "return":
            self._visit(at, number, time)
        elif action == "announce":
            self._counts.late_enters += 1
        elif action == "again":
            self._counts.repeated += 1
        if row[2] == PAGE_ENTER and not node.announced:
            node.announced = True
            if node.from_page is node.from_event is None:
                self._refer(node, at, row)
        self._hear(at, number, time)
        if action == "leave":
            visit = node.visits[-1]
            visit.leave, visit.how = time, "leave"
        elif action == "behave":
            event = {"event_id": row[1], "event_type": row[2], "event_time": time}
            node.behaviours.append(event | {"element_id": row[10]})
        elif action == "over":
            self._counts.beyond_behaviours += 1

    def _open(self, row: Row, at: int, number: int) -> None:
        origin = self._origin(row, at)
        heard = -1 if origin is None else origin.visits[-1].heard
        scene = self._levels.place(row, None if origin is None else origin.scene, heard)
        scene.pages.append(at)
        node = _Node(scene, row[3], None, None, row[2] == PAGE_ENTER, [], row[0], [])
        self._refer(node, at, row)
        self._nodes.append(node)
        self._visit(at, number, row[0])

    def _visit(self, at: int, number: int, time: int) -> None:
        visit = Visit(at, time, time, "last", number, time)
        self._nodes[at].visits.append(visit)
        self._visits.append(visit)
        self._openings.add(number, time, embedded=self._track.pages[at].embedded)

    def _hear(self, at: int, number: int, time: int) -> None:
        node = self._nodes[at]
        node.latest = max(node.latest, time)
        node.scene.hear(number)
        visit = node.visits[-1]
        if visit.how == "last":
            visit.heard, visit.latest = number, max(visit.latest, time)

    def _refer(self, node: _Node, at: int, row: Row) -> None:
        if row[8] is not None and row[8] == self._track.pages[at].instance:
            self._counts.self_references += 1
            return
        node.from_page, node.from_event = row[8], row[9]

    def _origin(self, row: Row, at: int) -> _Node | None:
        """Give the page that a new one came from, as far as it is known by now."""
        origin = -1
        if row[8] is not None:
            origin = self._memory.pages.get(row[8], -1)
        elif row[9] is not None:
            origin = self._memory.owners.get(row[9], -1)
        return self._nodes[origin] if 0 <= origin < at else None

    def record(self, segment: Segment, user_id: str) -> dict[str, Any]:
        """Give the record; nothing is taken afterwards."""
        track = self._track
        for visit in self._visits:
            if visit.how == "last":
                self._openings.bound(visit, embedded=track.pages[visit.page].embedded)
        dwell = foreground(self._visits, len(self._nodes))
        spans = [
            (node.visits[0].enter, max(node.latest, node.visits[-1].leave)) for node in self._nodes
        ]
        self._levels.close(track.last, spans)
        pages = [self._page(at, dwell[at]) for at in range(len(self._nodes))]
        self._mirror(pages)
        # The first event is kept, unless one out of order has divided a session that was too full.
        first = next((item[1] for item in segment.items if type(item) is not More), "")
        return {
            "session_id": session_id(user_id, str(first)),
            "user_id": user_id,
            "start": track.start,
            "end": track.last,
            "end_reason": segment.reason or EOF,
            "events": track.events,
            "pages": len(pages),
            "bounce": len(pages) == 1 and track.behaviours == 0,
            "apps": [
                {
                    "launch_id": app.name,
                    "start": app.start,
                    "end": app.end,
                    "implied": not app.announced,
                    "scenes": [
                        {
                            "scene_id": scene.name,
                            "start": scene.start,
                            "end": scene.end,
                            "implied": not scene.announced,
                            "pages": [pages[at] for at in scene.pages],
                        }
                        for scene in app.scenes
                    ],
                }
                for app in self._levels.apps
            ],
        }

    def _page(self, at: int, dwell_ms: int) -> dict[str, Any]:
        page, node = self._track.pages[at], self._nodes[at]
        return {
            "page_id": page.page_id,
            "page_instance": page.instance,
            "source": node.source,
            "enter": node.visits[0].enter,
            "leave": node.visits[-1].leave,
            "dwell_ms": dwell_ms,
            "dwell_from": weakest(node.visits),
            "implied": not node.announced,
            "came_from": None,
            "went_to": [],
            "behaviours": node.behaviours,
        }

    def _mirror(self, pages: list[dict[str, Any]]) -> None:
        """Write where each page came from, and on the other page that it went there."""
        for at, node in enumerate(self._nodes):
            if node.from_page is node.from_event is None:
                continue
            if node.from_page is not None:
                origin = self._memory.pages.get(node.from_page, -1)
            else:
                origin = self._memory.owners.get(str(node.from_event), -1)
            if origin == at:
                self._counts.self_references += 1
                continue
            came_from = {"page_instance": node.from_page, "event_id": node.from_event}
            if origin < 0:
                came_from["outside"] = True  # type: ignore[assignment]
                self._counts.outside += 1
            else:
                came_from["page_instance"] = pages[origin]["page_instance"]
                arrow = {"page_instance": pages[at]["page_instance"], "event_id": node.from_event}
                pages[origin]["went_to"].append(arrow)
            pages[at]["came_from"] = came_from
