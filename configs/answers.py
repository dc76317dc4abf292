"""Workers' answers as the watcher hears them: nothing is sent that could not be answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from udfs.errors import ConfigUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from configs.rollout import Ack

ACKS_RETRY_MS: Final = 2_000
ANSWER_S: Final = 0.1  # between ticks while answers are awaited


class AckSource(Protocol):
    """Workers' answers."""

    def skip_to_end(self) -> None:
        """Give from here on only what comes from now on. Raises ConfigUnavailable."""

    def poll(self, timeout_s: float) -> list[Ack]:
        """What came since. Raises ConfigUnavailable."""

    def close(self) -> None:
        """Give up connections."""


class Answers:
    """A source that may be out of reach for a while.

    Args:
        source: Where they come from.
        now_ms: Wall-clock time.
        log: For people.
    """

    def __init__(self, source: AckSource, now_ms: Callable[[], int], log: Any) -> None:
        self._source = source
        self._now_ms = now_ms
        self._log = log
        self._due_ms = 0
        self.deaf = False
        """They could not be read last time."""

    def start(self) -> bool:
        """Go to the end of the answers, before something is sent that will be answered.

        Returns:
            Whether that was possible; if not, it is tried again after a while.
        """
        if self._now_ms() < self._due_ms:
            return False
        try:
            self._source.skip_to_end()
        except ConfigUnavailable as error:
            self._due_ms = self._now_ms() + ACKS_RETRY_MS
            self._log.warning("answers cannot be read; nothing is sent yet", problem=str(error))
            return False
        return True

    def take(self) -> list[Ack]:
        """What came since, none if they cannot be read; waits a moment for the first."""
        self.deaf = False
        try:
            return self._source.poll(ANSWER_S)
        except ConfigUnavailable as error:
            self.deaf = True
            self._log.warning("answers cannot be read", problem=str(error))
            return []

    def close(self) -> None:
        """Give up connections."""
        self._source.close()
