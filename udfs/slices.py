"""Long work in slices, beside a stream that must not wait: generators that yield now and then.

What is long is written once, as a generator that yields wherever it may be interrupted and
returns its result; `finish` is for whoever has the time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

Work: TypeAlias = Generator[None, None, T]


def finish(work: Work[T]) -> T:
    """Do all of it.

    Args:
        work: Not begun, or interrupted.

    Returns:
        Its result.
    """
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


class Sliced(Generic[T]):
    """Work that is done a slice at a time.

    Args:
        work: The work.
        clock: Gives seconds.

    Attributes:
        slices: How many slices it took so far.
    """

    def __init__(self, work: Work[T], clock: Callable[[], float]) -> None:
        self._work = work
        self._clock = clock
        self._result: list[T] = []
        self._error: Exception | None = None
        self.slices = 0

    def go_on(self, budget_s: float) -> bool:
        """Work until the time is over; a step that was begun is brought to its end.

        Args:
            budget_s: How long.

        Returns:
            Whether it is done.
        """
        if self._result or self._error is not None:
            return True
        self.slices += 1
        until = self._clock() + budget_s
        try:
            next(self._work)
            while self._clock() < until:
                next(self._work)
        except StopIteration as done:
            self._result.append(done.value)
            return True
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._error = error
            return True
        return False

    def result(self) -> T:
        """Give the result, or raise what the work has raised; it must be done."""
        if self._error is not None:
            raise self._error
        return self._result[0]
