"""A rule as states with take, ignore and proceed edges.

The construction (`udfs.matching.build`) gives the machine that Flink CEP 2.3 builds for the same
pattern, so that every count of runs, time-outs and matches agrees. A *proceed* edge costs no
event; `udfs.matching.flatten` follows them once at compile time, so that at run time every state
has plain take and ignore edges with a conjunction each.
"""

from __future__ import annotations

import enum

from udfs.matching.logic import TRUE, Formula


class Kind(enum.Enum):
    """What it means to stand in a state."""

    NORMAL = enum.auto()
    PENDING = enum.auto()
    """A match, if the window passes."""
    FINAL = enum.auto()
    STOP = enum.auto()
    """Something happened that must not: the run is gone."""


class Action(enum.Enum):
    """What an edge does with the event."""

    TAKE = enum.auto()
    IGNORE = enum.auto()
    PROCEED = enum.auto()


class Edge:
    """An edge as the pattern says it."""

    __slots__ = ("action", "needs", "target")

    def __init__(self, action: Action, target: State, needs: Formula) -> None:
        self.action = action
        self.target = target
        self.needs = needs


class Move:
    """A flattened edge.

    Args:
        takes: Whether the event is taken (else ignored).
        target: The next state.
        step: Index of the step that takes the event.
        needs: Predicate indexes with the outcome each must have; all must agree.
        completes: After taking, the run is a match as well if one of these holds.
    """

    __slots__ = ("completes", "needs", "step", "takes", "target")

    def __init__(
        self,
        takes: bool,  # noqa: FBT001 - built in one place
        target: State,
        step: int,
        needs: tuple[tuple[int, bool], ...],
        completes: tuple[tuple[tuple[int, bool], ...], ...],
    ) -> None:
        self.takes = takes
        self.target = target
        self.step = step
        self.needs = needs
        self.completes = completes


class State:
    """A state of one rule; the machine adds what it needs at run time."""

    __slots__ = (
        "depends",
        "edges",
        "gap_ms",
        "index",
        "kind",
        "moves",
        "name",
        "rule",
        "step",
        "waits",
        "wake",
        "window_ms",
    )

    def __init__(self, index: int, step: int, kind: Kind, name: str) -> None:
        self.index = index
        self.step = step
        self.kind = kind
        self.name = name
        """As in Flink, unique in the rule: time limits between events go by it."""
        self.edges: list[Edge] = []
        self.moves: tuple[Move, ...] = ()
        self.depends: tuple[int, ...] = ()
        """Predicates of the moves whose outcome depends on the run."""
        self.waits: Move | None = None
        """If standing here is nothing but waiting for one event, the move it makes."""
        self.rule = -1
        self.window_ms: int | None = None
        """How long after its first event a run may stand here."""
        self.gap_ms: int | None = None
        """How long after its latest event a run may stand here."""
        self.wake = -1
        """Which events can change a run that stands here (an index of the machine)."""

    def add(self, action: Action, target: State, needs: Formula = TRUE) -> None:
        """Append an edge; their order decides ties, as in Flink."""
        self.edges.append(Edge(action, target, needs))
