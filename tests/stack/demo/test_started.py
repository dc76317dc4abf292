from __future__ import annotations

import threading
from typing import Any, cast

from stack.demo.started import Started


class Worker(threading.Thread):
    """Runs until told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ending = threading.Event()

    def run(self) -> None:
        """Wait."""
        self.ending.wait()

    def stop(self) -> None:
        """End it."""
        self.ending.set()


def test_a_thread_that_was_not_started_yet_is_no_obstacle() -> None:
    """Ctrl-C may come between two starts; the one that runs is ended all the same."""
    runs, waits = Worker(), Worker()
    runs.start()
    Started(threads=cast("list[Any]", [runs, waits])).calm()
    assert not runs.is_alive()
    assert waits.ident is None
