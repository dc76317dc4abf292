"""Both services as one ASGI app, and the process that serves it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from configs.server import wire
from configs.server.admin import AdminService
from configs.server.bell import Bell
from configs.server.journal import Journal
from configs.server.reading import ConfigService
from configs.server.store import Store
from udfs.errors import StateIncompatible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

HOLD_S: Final = 60.0  # Apollo's long.polling.timeout
VALUE_LIMIT: Final = 20_000  # Apollo's item.value.length.limit
_HEADER_BYTES: Final = 10_240  # Apollo's server.max-http-header-size
_STOP_S: Final = 5  # for answers under way when the server is told to stop


def build_app(
    directory: Path,
    hold_s: float = HOLD_S,
    value_limit: int = VALUE_LIMIT,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    first_sequence: int | None = None,
) -> Starlette:
    """The server as an ASGI app; ``app.state`` holds ``store``, ``bell`` and ``journal``.

    Args:
        directory: Where releases are kept.
        hold_s: How long a poll is held, in seconds.
        value_limit: Characters of an item's value.
        now_ms: Wall-clock time.
        first_sequence: Id before the first in an empty directory. None: seconds since the
            epoch, so that ids go on rising for clients although the directory was deleted.

    Raises:
        StateIncompatible, OSError: The directory cannot be used.
    """
    first = now_ms() // 1000 if first_sequence is None else first_sequence
    journal = Journal(directory, first)
    bell = Bell()
    store = Store(journal, now_ms, bell.ring)
    app = Starlette(
        routes=[
            Route("/healthz", _health),
            *ConfigService(store, bell, hold_s).routes(),
            *AdminService(store, value_limit).routes(),
        ],
        middleware=[Middleware(_NoBrowser)],
        exception_handlers={
            wire.ApolloError: wire.error_response,
            HTTPException: _http_error,
            OSError: _disk_error,
        },
    )
    app.state.store, app.state.bell, app.state.journal = store, bell, journal
    return app


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        arguments: Command line without the program's name.

    Returns:
        Exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        app = build_app(options.dir, options.hold_s, options.value_limit)
    except (StateIncompatible, OSError) as error:
        return _refuse(f"config server cannot start: {error}")
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        return _refuse(
            f"config server cannot listen on {options.host}:{options.port}: {error}; "
            "free the port or choose another with --port"
        )
    url = "http://{}:{}".format(*listener.getsockname()[:2])
    config = uvicorn.Config(
        app,
        http="h11",
        h11_max_incomplete_event_size=_HEADER_BYTES,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    ready = f"config server ready on {url}, releases in {options.dir}"
    asyncio.run(_Server(config, app.state.bell, ready).serve([listener]))
    app.state.journal.close()
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once.

    asyncio sets this only for sockets that name their protocol, which accepted ones do not; an
    answer's body would then wait 40 ms for the client's acknowledgement of its head.

    Args:
        host: Address.
        port: 0 for a free one.

    Raises:
        OSError: The port is in use, for example.
    """
    listener = socket.create_server((host, port), backlog=512)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Server(uvicorn.Server):
    """Says when it is ready, and lets held polls go when it stops."""

    def __init__(self, config: uvicorn.Config, bell: Bell, ready: str) -> None:
        super().__init__(config)
        self._bell = bell
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._ready, flush=True)  # noqa: T201 - the line a starter waits for

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, a signal ends the process with status 0, not by the signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self._bell.close()
        self.should_exit = True


class _NoBrowser:
    """Refuses requests that a web page makes: anyone's page may reach a loopback port."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if any(name == b"origin" for name, _ in scope.get("headers", ())):
            response = wire.answer({"message": "requests of web pages are refused"}, 400)
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _health(_request: Request) -> Response:
    return wire.answer({"status": "UP"})


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown path (404) or wrong method, which Apollo answers with 400."""
    assert isinstance(error, HTTPException)
    status = 400 if error.status_code == 405 else error.status_code  # noqa: PLR2004 - said above
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    return await wire.error_response(request, wire.ApolloError(status, message))


async def _disk_error(request: Request, error: Exception) -> Response:
    message = f"not kept, nothing has changed: {error}"
    return await wire.error_response(request, wire.ApolloError(500, message))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m configs.server",
        description="Config server for development: Apollo's protocol, releases in one directory.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: loopback only)")
    parser.add_argument("--port", type=int, required=True, help="0: any free one")
    parser.add_argument("--dir", type=Path, required=True, help="where releases are kept")
    parser.add_argument(
        "--hold-s", type=float, default=HOLD_S, help="seconds a poll is held (default: 60)"
    )
    parser.add_argument(
        "--value-limit",
        type=int,
        default=VALUE_LIMIT,
        help="characters of a value (default: 20000, as Apollo)",
    )
    return parser


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201 - why it does not start
    return 1
