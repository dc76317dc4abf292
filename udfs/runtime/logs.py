"""Logs of the workers, for people: lines on standard error.

In process mode PyFlink puts a ``print`` of its own in place of Python's, which knows no ``flush``;
so they are written, not printed.
"""

from __future__ import annotations

import sys

import structlog


def write_logs() -> None:
    """Make all loggers of this process write to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
