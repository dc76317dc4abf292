"""A config server in a thread of the test's process, reached over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from configs.server.app import build_app, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class LiveServer:
    """The server's app behind uvicorn on a free port; ``settings`` go to ``build_app``."""

    def __init__(self, directory: Path, port: int = 0, **settings: Any) -> None:
        self.app = build_app(directory, **settings)
        self._listener = listen("127.0.0.1", port)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(self.app, http="h11", lifespan="off", log_level="error")
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run_until_complete(self._server.serve([self._listener]))

    def call(self, function: Callable[[], Any]) -> Any:
        """Run something inside the server's event loop."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def until_held(self, polls: int = 1) -> None:
        """Wait until so many polls are held."""
        pause = threading.Event()
        for _ in range(10_000):
            if self.call(lambda: len(self.app.state.bell)) >= polls:
                return
            pause.wait(0.001)
        raise AssertionError("no poll is held")

    def stop(self) -> None:
        """End it and release its directory."""
        self.call(self.app.state.bell.close)
        self._server.should_exit = True
        self._thread.join(10)
        self.app.state.journal.close()


@pytest.fixture(scope="session")
def live_server() -> type[LiveServer]:
    """The class, for fixtures of a wider scope."""
    return LiveServer


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """Start servers that the end of the test stops."""
    started: list[LiveServer] = []

    def start(directory: Path | None = None, **settings: Any) -> LiveServer:
        server = LiveServer(directory or tmp_path / "releases", **{"hold_s": 5.0, **settings})
        started.append(server)
        return server

    yield start
    for server in started:
        if server._thread.is_alive():
            server.stop()
