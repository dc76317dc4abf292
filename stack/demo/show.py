"""Shows the demo while it runs, on a terminal or line by line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from stack.demo import panel
from stack.demo.tally import Tally
from stack.demo.threads import Reader, Sender
from udfs.errors import StackError

_SHOW_S: Final = 0.25
_LINE_S: Final = 5.0
_PATIENCE_S: Final = 40.0
"""Nothing has moved for so long: nothing more is to be expected."""


class Show:
    """Shows the demo while it runs; a context manager.

    Args:
        console: Where.
        tally: What was seen.
        reader: Feeds it.
        sender: Sends the events.
        seconds: How long.
    """

    def __init__(
        self, console: Console, tally: Tally, reader: Reader, sender: Sender, seconds: float
    ) -> None:
        self.start_s = time.monotonic() + 1  # the first record is due then
        self._console = console
        self._tally = tally
        self._reader = reader
        self._sender = sender
        self._seconds = seconds
        self._news = ""
        self._sent: list[tuple[float, int]] = []
        self._lined_s = self.start_s
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def news(self, text: str) -> None:
        """Tell something that has happened."""
        self._news = text
        if self._live is None:
            self._console.print(f"       {text}", markup=False)

    def over(self) -> bool:
        """Tell whether all events are sent."""
        return not self._sender.is_alive()

    def until(self, done: Callable[[], bool]) -> None:
        """Go on showing until something is so."""
        while True:
            self._alive()
            with self._reader.lock:
                if done():
                    return
                self._refresh()
            time.sleep(_SHOW_S)

    def until_settled(self, done: Callable[[], bool]) -> None:
        """Go on showing until something is so, or nothing moves any more."""
        moved_s, before = time.monotonic(), (-1, -1)

        def over() -> bool:
            nonlocal moved_s, before
            now = self._tally.total("in"), len(self._tally.decisions)
            if now != before:
                moved_s, before = time.monotonic(), now
            return done() or time.monotonic() - moved_s > _PATIENCE_S

        self.until(over)

    def _alive(self) -> None:
        for thread in (self._sender, self._reader):
            if thread.failure is not None:
                raise StackError(f"the {thread.name} has failed: {thread.failure!r}")

    def _refresh(self) -> None:
        now_s = time.monotonic()
        self._sent.append((now_s, self._sender.sent))
        while len(self._sent) > 2 and now_s - self._sent[0][0] > _LINE_S:  # noqa: PLR2004 - a first and a last
            del self._sent[0]
        (then_s, before), (_, sent) = self._sent[0], self._sent[-1]
        now = panel.moment(
            self._tally, now_s=now_s, start_s=self.start_s, seconds=self._seconds, produced=sent,
            produced_rate=(sent - before) / max(now_s - then_s, _SHOW_S), news=self._news,
        )  # fmt: skip
        if self._live is not None:
            self._live.update(panel.panel(now), refresh=True)
        elif now_s - self._lined_s >= _LINE_S:
            self._lined_s = now_s
            self._console.print(panel.line(now), markup=False)
