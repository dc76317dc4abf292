"""The errors of millrace, one tree.

Exceptions::

    MillraceError
    ├── InvalidEvent         a record that cannot become an event; goes to the dead letters
    ├── ConfigInvalid        a pushed config with faults, all of them listed
    │   └── ExpressionInvalid  an expression that does not parse, check or compile
    ├── ConfigUnavailable    a config source or a blob that cannot be read now
    ├── SettingsInvalid      a process setting that cannot work
    ├── TableInvalid         a feature table, or a value of one, that is not what it says
    ├── TableUnavailable     a feature table that cannot be read or written now
    ├── ModelInvalid         a model, or a file of one, that is not what it says
    ├── ModelUnavailable     a model that cannot be read or written now
    ├── LoadFailed           tables or models of the manifest in force that cannot be had
    ├── StateIncompatible    a state blob of a version that this code cannot read
    ├── StaleCode            a worker that runs other code than the driver shipped
    └── StackError           a part of the local stack that did not come up or down
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a config.

    Args:
        where: JSON path, e.g. ``rules[2].pattern[1].where``; for an expression followed
            by ``:line:column``.
        problem: What is wrong, naming the value.
        cure: What to do about it.
    """

    where: str
    problem: str
    cure: str = ""

    def __str__(self) -> str:
        """``where: problem (cure)``."""
        text = f"{self.where}: {self.problem}"
        return f"{text} ({self.cure})" if self.cure else text


class MillraceError(Exception):
    """The root of all errors that millrace raises on purpose."""


class InvalidEvent(MillraceError):
    """A record that cannot become an event.

    Args:
        reason: Machine-readable kind, e.g. ``broken_json``, ``wrong_type``.
        where: Field path inside the record, ``$`` for the whole.
        detail: The value's fault in words.
    """

    def __init__(self, reason: str, where: str, detail: str) -> None:
        super().__init__(f"{reason} at {where}: {detail}")
        self.reason = reason
        self.where = where
        self.detail = detail


class ConfigInvalid(MillraceError):
    """A pushed config with faults; carries all of them, not the first."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: Sequence[Fault] = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


class ExpressionInvalid(ConfigInvalid):
    """An expression that does not parse, check or compile."""


class ConfigUnavailable(MillraceError):
    """A config source or a blob that cannot be read now; trying again may help."""


class SettingsInvalid(MillraceError):
    """A process setting that cannot work; the message says what to set instead."""


class TableInvalid(MillraceError):
    """A feature table, a file or a value of one, that is not what it says."""


class TableUnavailable(MillraceError):
    """A feature table that cannot be read or written now; trying again may help."""


class ModelInvalid(MillraceError):
    """A model, a file or an answer of one, that is not what it says."""


class ModelUnavailable(MillraceError):
    """A model that cannot be read or written now; trying again may help."""


class LoadFailed(MillraceError):
    """Tables or models of the manifest in force that a worker cannot have; it starts again."""


class StateIncompatible(MillraceError):
    """A state blob of a version that this code cannot read."""


class StaleCode(MillraceError):
    """A worker that runs other code than the driver shipped."""


class StackError(MillraceError):
    """A part of the local stack that did not come up or down."""
