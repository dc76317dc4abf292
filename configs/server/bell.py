"""Held polls, filed under the keys they wait for."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Waiter:
    """One held poll; ``rung`` gives the key and the message id, or None: the server stops."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = frozenset(keys)
        self.rung: asyncio.Future[tuple[str, int] | None] = (
            asyncio.get_running_loop().create_future()
        )

    def ring(self, message: tuple[str, int] | None) -> None:
        """End the wait; a second ring changes nothing."""
        if not self.rung.done():
            self.rung.set_result(message)


class Bell:
    """Wakes the polls that wait for a key."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._closed = False

    def register(self, keys: Iterable[str]) -> Waiter:
        """Start waiting. Register first, then compare ids: no publish falls in between."""
        waiter = Waiter(keys)
        for key in waiter.keys:
            self._waiters[key].add(waiter)
        if self._closed:
            waiter.ring(None)
        return waiter

    def unregister(self, waiter: Waiter) -> None:
        """Forget a poll that was answered or given up."""
        for key in waiter.keys:
            self._waiters[key].discard(waiter)
            if not self._waiters[key]:
                del self._waiters[key]

    def ring(self, key: str, message_id: int) -> None:
        """Wake who waits for a key."""
        for waiter in tuple(self._waiters.get(key, ())):
            waiter.ring((key, message_id))

    def close(self) -> None:
        """Wake everyone, and whoever comes later: the server stops."""
        self._closed = True
        for waiters in tuple(self._waiters.values()):
            for waiter in tuple(waiters):
                waiter.ring(None)

    def __len__(self) -> int:
        return len({waiter for waiters in self._waiters.values() for waiter in waiters})
