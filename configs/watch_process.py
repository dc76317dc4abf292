"""Runs a watcher: a thread for the long poll, a loop for all the rest, a place to start from."""

from __future__ import annotations

import queue
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from configs.client import Failed, Idle, Loaded
from configs.rollout import Candidate, Rollout
from configs.rollout import load as load_rollout
from configs.watch import KILL, MANIFEST, Watcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from configs.manifest import Resolved

IDLE_S: Final = 0.5  # between ticks while nothing is being prepared

News = Loaded | Failed | Idle


class Polls(Protocol):
    """Where news come from: ``ApolloClient``."""

    def poll(self, namespaces: Iterable[str]) -> Iterator[News]:
        """News without end."""


def run(watcher: Watcher, client: Polls, stop: threading.Event) -> None:
    """Work until told to stop, or until nobody reads the lines any more.

    Args:
        watcher: All the rest.
        client: Polled in a thread of its own.
        stop: Set to end.
    """
    news: queue.Queue[News | Exception] = queue.Queue()
    threading.Thread(target=_pump, args=(client, news, stop), daemon=True).start()
    try:
        while not stop.is_set():
            watcher.turn(_take(news, 0 if watcher.listening else IDLE_S))
    except BrokenPipeError:
        watcher.log.info("nobody reads the watcher any more; it ends")
    finally:
        watcher.close()


def first_rollout(
    incarnation: str,
    parallelism: int,
    prepare_timeout_ms: int,
    state: bytes | None = None,
    shipped: Resolved | None = None,
) -> Rollout:
    """Where a watcher starts.

    Args:
        incarnation: The new one; a watcher given the same resumes nothing.
        parallelism: Subtasks that must be READY.
        prepare_timeout_ms: How long they may take.
        state: From the last ``state`` line, after a restart. It comes before ``shipped``.
        shipped: The manifest the job was started with, already running.

    Raises:
        StateIncompatible: State of another version.
    """
    if state is not None:
        rollout = load_rollout(state)
        return Rollout(
            parallelism,
            prepare_timeout_ms,
            rollout.incarnation,
            rollout.attempts,
            rollout.committed,
            rollout.preparing,
        )
    committed = (
        Candidate(shipped.revision, shipped.digest, shipped.dump()) if shipped is not None else None
    )
    return Rollout(parallelism, prepare_timeout_ms, incarnation, committed=committed)


def stderr_log() -> Any:
    """Lines of key and value on standard error, without stack traces but for our own faults."""
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )


def _pump(client: Polls, news: queue.Queue[News | Exception], stop: threading.Event) -> None:
    try:
        for item in client.poll((KILL, MANIFEST)):
            news.put(item)
            if stop.is_set():
                return
    except Exception as error:  # noqa: BLE001 - raised again in the main thread
        news.put(error)


def _take(news: queue.Queue[News | Exception], timeout_s: float) -> list[News]:
    """All that has come; waits for the first."""
    taken: list[News] = []
    try:
        item = news.get(timeout=timeout_s) if timeout_s else news.get_nowait()
        while True:
            if isinstance(item, Exception):
                raise item
            taken.append(item)
            item = news.get_nowait()
    except queue.Empty:
        return taken
