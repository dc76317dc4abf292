"""The priority queue of java.util, on lists.

With a skip strategy the first of several finished matches prunes the others, and where they
began with the same event Flink leaves the choice to the order inside its `PriorityQueue`. To
give its answers, this queue keeps elements in the very same array order (OpenJDK 17).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from udfs.matching.runs import Place


def push(queue: list[Place], place: Place) -> None:
    """Add an element."""
    at = len(queue)
    queue.append(place)
    key = place.key
    while at:
        parent = (at - 1) >> 1
        above = queue[parent]
        if key >= above.key:
            break
        queue[at] = above
        at = parent
    queue[at] = place


def pop(queue: list[Place]) -> Place:
    """Remove the first element."""
    first = queue[0]
    last = queue.pop()
    if queue:
        _sift_down(queue, 0, last)
    return first


def prune(queue: list[Place], limit: int) -> None:
    """Remove the elements whose key is below a limit."""
    kept = [place for place in queue if place.key >= limit]
    if len(kept) < len(queue):
        queue[:] = kept
        for at in range((len(kept) >> 1) - 1, -1, -1):
            _sift_down(queue, at, queue[at])


def _sift_down(queue: list[Place], at: int, place: Place) -> None:
    size = len(queue)
    key = place.key
    while at < size >> 1:
        child = 2 * at + 1
        if child + 1 < size and queue[child].key > queue[child + 1].key:
            child += 1
        if key <= queue[child].key:
            break
        queue[at] = queue[child]
        at = child
    queue[at] = place
