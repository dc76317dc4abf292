"""The conditions and times of a machine in words of the DSL, and texts as a terminal has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from udfs.events.durations import format_duration

if TYPE_CHECKING:
    from udfs.matching.predicates import Predicate

ANYTHING: Final = "any event"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def words(predicate: Predicate) -> str:
    """Write a condition down.

    >>> from udfs.matching.predicates import Predicate
    >>> words(Predicate(0, frozenset(["pay", "buy"]), None, (), text="props.n > 1"))
    'buy or pay where props.n > 1'

    Args:
        predicate: The condition.
    """
    parts = []
    if predicate.types is not None:
        parts.append(" or ".join(sorted(predicate.types)))
    if predicate.text is not None:
        parts.append(f"where {predicate.text}")
    if predicate.gap is not None:
        parts.append(f"at least {format_duration(predicate.gap[1])} after the step before")
    return " ".join(parts) or ANYTHING


def clock(time_ms: int) -> str:
    """Write a time down, in UTC.

    >>> clock(1_700_000_000_123)
    '2023-11-14 22:13:20.123'
    >>> clock(2**62)
    '4611686018427387904 ms'

    Args:
        time_ms: Since the epoch.
    """
    try:
        moment = _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return f"{time_ms} ms"
    return moment.isoformat(" ", "milliseconds").removesuffix("+00:00")


def printable(text: str) -> str:
    r"""Give a text that cannot steer a terminal: control characters and broken ones escaped.

    >>> printable("a\x1b[31m")
    'a\\x1b[31m'

    Args:
        text: Anything.
    """
    if text.isprintable():
        return text
    shown = text.encode(errors="backslashreplace").decode()
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in shown
    )
