"""What one aggregate is: the checked form of ``aggregate.schema.json``."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from xxhash import xxh3_64_intdigest

from udfs.expressions import Expression

DEFAULT_GROUPS: Final = 1_000
TIERS: Final = ("hot", "normal", "cold")

_TOKEN: Final = re.compile(
    r"""[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|//[^\n]*|\s+|\w+|[^\w\s]""",
    re.DOTALL,
)


class Window(msgspec.Struct, frozen=True):
    """Which events count.

    Args:
        kind: ``lifetime``, ``sliding``, ``hopping``, ``tumbling``, ``session`` or ``last``.
        length: Milliseconds; of ``tumbling`` also ``week`` or ``month``; of ``last`` events.
        hop_ms: Of ``hopping``.
        zone: Of ``tumbling``; None for UTC.
    """

    kind: str
    length: int | str = 0
    hop_ms: int = 0
    zone: str | None = None


LIFETIME: Final = Window("lifetime")


class Spec(msgspec.Struct, frozen=True):
    """One aggregate, checked and compiled.

    Args:
        name: What flows call it.
        events: Event types, None for all.
        where: Condition on the event, None for true.
        value: What is aggregated, None if only events are counted.
        group_by: What names the group, None for none.
        max_groups: How many groups are kept.
        function: Its name.
        k: Parameter of functions that give k values.
        q: Shares, of ``approx_percentile``.
        window: Which events count.
        tier: ``hot``, ``normal`` or ``cold``.
        derive: Expression over other aggregates; all but `name` is meaningless then.
    """

    name: str
    events: frozenset[str] | None = None
    where: Expression | None = None
    value: Expression | None = None
    group_by: Expression | None = None
    max_groups: int = DEFAULT_GROUPS
    function: str = "count"
    k: int | None = None
    q: tuple[float, ...] | None = None
    window: Window = LIFETIME
    tier: str = "normal"
    derive: Expression | None = None

    def stream(self, kind: str) -> tuple[Any, ...]:
        """Name the stream of items that it reads: equal names, equal items.

        Args:
            kind: Which values its function takes.
        """
        return (
            None if self.events is None else tuple(sorted(self.events)),
            normal_text(self.where),
            normal_text(self.value),
            kind,
            normal_text(self.group_by),
            self.max_groups if self.group_by is not None else 0,
        )


def normal_text(expression: Expression | None) -> str | None:
    """Give the text of an expression without what does not matter: spaces and comments.

    >>> from udfs.expressions import Names, compile_expression
    >>> normal_text(compile_expression("props.a  >1 // one", Names()))
    'props.a>1'

    Equal texts mean equal tokens, and so equal values.
    """
    if expression is None:
        return None
    found = [
        " " if part.isspace() or part.startswith("//") else part
        for part in _TOKEN.findall(expression.text)
    ]
    text = ""
    for place, part in enumerate(found):
        if part == " ":
            after = next((one for one in found[place:] if one != " "), "")
            if not (text[-1:].isalnum() or text[-1:] == "_") or not _wordy(after):
                continue
        text += part
    return text


def _wordy(part: str) -> bool:
    return part[:1].isalnum() or part[:1] in {"_", '"', "'"}


def key_of(*structure: Any) -> int:
    """Give 63 bits that stand for a structure in state."""
    return int(xxh3_64_intdigest(msgspec.json.encode(structure))) >> 1
