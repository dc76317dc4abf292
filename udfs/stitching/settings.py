"""When a session ends, and how much of it is kept."""

from __future__ import annotations

from typing import Final

import msgspec

from udfs.errors import ConfigInvalid, Fault
from udfs.events.durations import parse_duration

UNLIMITED: Final = 2**62
"""A cap that nothing reaches."""


class Caps(msgspec.Struct, frozen=True):
    """How much of one session is kept; what goes beyond is counted and not kept.

    Args:
        pages: Pages. The events of further ones only count as events.
        behaviours: Behaviours of one page. Further ones count, and prolong the page's stay.
        events: Events whose content is kept. Further ones only count as events.
        size_bytes: The same cap in bytes of what is kept of the events.
        text: Characters of one text; a longer one is cut and marked with a hash of the whole.
    """

    pages: int = 200
    behaviours: int = 100
    events: int = 1_000
    size_bytes: int = 65_536
    text: int = 256

    @classmethod
    def none(cls) -> Caps:
        """Give no caps, for a list of events that is in memory anyway."""
        return cls(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED)


SMALLEST: Final = Caps(1, 1, 10, 1_000, 40)
"""Below these a session says nothing, and a text that is cut has no room for its hash."""


class Settings(msgspec.Struct, frozen=True):
    """What sessions depend on; `Settings.read` takes durations as texts.

    Args:
        gap_ms: Longest time between neighbours of one session.
        max_length_ms: Longest time between the first and the last event of one session.
        caps: What is kept.
        path: Pages in the feature ``session.path``.
    """

    gap_ms: int = 1_800_000
    max_length_ms: int = 86_400_000
    caps: Caps = Caps()
    path: int = 10

    @classmethod
    def read(
        cls, gap: str = "30m", max_length: str = "24h", caps: Caps | None = None, path: int = 10
    ) -> Settings:
        """Make settings of texts.

        >>> Settings.read("30m").gap_ms
        1800000

        Args:
            gap: A duration, as in ``30m``.
            max_length: A duration.
            caps: By default those of a job.
            path: Pages in ``session.path``, from 1.

        Raises:
            ConfigInvalid: With all faults.
        """
        caps = caps or Caps()
        faults: list[Fault] = []
        gap_ms = duration("gap", gap, faults)
        max_length_ms = duration("max_length", max_length, faults)
        for name in Caps.__struct_fields__:
            _at_least(f"caps.{name}", getattr(caps, name), getattr(SMALLEST, name), faults)
        _at_least("path", path, 1, faults)
        if faults:
            raise ConfigInvalid(faults)
        return cls(gap_ms, max_length_ms, caps, path)


def duration(where: str, text: object, faults: list[Fault]) -> int:
    """Read a duration; a fault is appended.

    Args:
        where: Name of the setting.
        text: The duration.
        faults: Of all settings.

    Returns:
        Milliseconds; 0 with a fault.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        problem, _, cure = str(error).partition(": ")
        faults.append(Fault(where, problem, cure))
        return 0


def _at_least(where: str, value: int, least: int, faults: list[Fault]) -> None:
    if type(value) is not int or not least <= value <= UNLIMITED:
        faults.append(Fault(where, f"{value!r} is not possible", f"an integer from {least} on"))
