"""Times and texts as a terminal has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
