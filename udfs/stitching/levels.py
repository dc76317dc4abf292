"""Launches and scenes of a session: found by their ids, implied where nobody announced them.

An id names one launch of the session, or one scene of its launch. What comes without an id belongs
to the level that was announced or used last; a level without an id takes the first that it is
given. A page that names neither launch nor scene joins the page that it came from, unless a launch
or a scene was announced since that page was last heard of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, TypeVar

from udfs.stitching.rows import Row

_FIRST: Final = -1


class Level:
    """A launch or a scene.

    Args:
        name: Its id, or None.
        announced: Whether there was an event for it.
        start: Time of its first event, ms.
    """

    def __init__(self, name: str | None, start: int, *, announced: bool) -> None:
        self.name = name
        self.announced = announced
        self.start = start
        self.end = start
        self.heard = _FIRST

    def cover(self, start: int, end: int) -> None:
        """Make room for a child."""
        self.start = min(self.start, start)
        self.end = max(self.end, end)


class Scene(Level):
    """A scene, with the numbers of its pages."""

    def __init__(self, app: App, name: str | None, start: int, *, announced: bool) -> None:
        super().__init__(name, start, announced=announced)
        self.app = app
        self.pages: list[int] = []

    def hear(self, number: int) -> None:
        """Note that something happened in it.

        Args:
            number: Of the event.
        """
        self.heard = self.app.heard = number


class App(Level):
    """A launch."""

    def __init__(self, name: str | None, start: int, *, announced: bool) -> None:
        super().__init__(name, start, announced=announced)
        self.scenes: Siblings[Scene] = Siblings()


_Kind = TypeVar("_Kind", bound=Level)


class Siblings(list[_Kind]):
    """Levels of one kind below the same parent."""

    def __init__(self) -> None:
        super().__init__()
        self.current: _Kind | None = None
        self._named: dict[str, _Kind] = {}
        self._announced: list[tuple[int, int]] = []

    def known(self, name: str | None) -> _Kind | None:
        """Give the one of a name, without a name the current one; a nameless one takes it."""
        if name is None:
            return self.current
        found = self._named.get(name)
        if found is None and self.current is not None and self.current.name is None:
            found = self.current
            found.name = name
            self._named[name] = found
        return found

    def named(self, name: str | None) -> _Kind | None:
        """Give the one that has a name already."""
        return None if name is None else self._named.get(name)

    def add(self, level: _Kind) -> _Kind:
        """Take one in."""
        self.append(level)
        if level.name is not None:
            self._named[level.name] = level
        return level

    def announce(self, number: int, time: int) -> None:
        """Note that an event announced one of them."""
        self._announced.append((number, time))

    def next_after(self, number: int, otherwise: int) -> int:
        """Give the time at which one was announced after an event."""
        at = bisect_right(self._announced, number, key=_number)
        return self._announced[at][1] if at < len(self._announced) else otherwise


class Levels:
    """The launches and scenes of one session."""

    def __init__(self) -> None:
        self.apps: Siblings[App] = Siblings()
        self._announced_at = _FIRST

    def launch(self, row: Row, number: int) -> None:
        """Take an ``app_launch`` in.

        Args:
            row: It.
            number: Of the event in the session.
        """
        app = self.apps.named(row[4]) or self.apps.add(App(row[4], row[0], announced=True))
        app.announced = True
        app.heard = number
        self.apps.current = app
        self.apps.announce(number, row[0])
        self._announced_at = number

    def enter(self, row: Row, number: int) -> None:
        """Take a ``scene_enter`` in; arguments as in `launch`."""
        app = self._app(row)
        scene = app.scenes.named(row[5]) or app.scenes.add(
            Scene(app, row[5], row[0], announced=True)
        )
        scene.announced = True
        scene.hear(number)
        app.scenes.current = scene
        app.scenes.announce(number, row[0])
        self._announced_at = number

    def place(self, row: Row, origin: Scene | None, heard: int) -> Scene:
        """Give the scene of a new page.

        Args:
            row: Its first event.
            origin: The scene of the page that it came from, if that is known.
            heard: Number of the latest event of that page.
        """
        if row[4] is None and row[5] is None and origin is not None and heard > self._announced_at:
            return origin
        app = self._app(row)
        scene = app.scenes.known(row[5]) or app.scenes.add(
            Scene(app, row[5], row[0], announced=False)
        )
        app.scenes.current = scene
        return scene

    def close(self, end: int, pages: list[tuple[int, int]]) -> None:
        """Give each level its end.

        Args:
            end: Time of the session's last event.
            pages: Start and end of each page.
        """
        for app in self.apps:
            until = self.apps.next_after(app.heard, end)
            for scene in app.scenes:
                _span(scene, (pages[at] for at in scene.pages))
                if scene.announced:
                    scene.end = max(scene.end, app.scenes.next_after(scene.heard, until))
            _span(app, ((scene.start, scene.end) for scene in app.scenes))
            if app.announced:
                app.end = max(app.end, until)

    def _app(self, row: Row) -> App:
        app = self.apps.known(row[4]) or self.apps.add(App(row[4], row[0], announced=False))
        self.apps.current = app
        return app


def _span(level: Level, children: Iterable[tuple[int, int]]) -> None:
    for start, end in children:
        level.cover(start, end)


def _number(announced: tuple[int, int]) -> int:
    return announced[0]
