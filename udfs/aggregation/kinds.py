"""Which values a function takes, and what is kept of them.

==========  ==================================================================================
event       no value: the event alone counts
any         null, NaN and infinities aside, whatever JSON can hold
number      integers and doubles; booleans are no numbers
ranked      numbers and texts
text        whatever has a text (CEL's ``string()``), as that text
hash        as ``any``, as 63 bits
==========  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from xxhash import xxh3_64_intdigest

from udfs.aggregation.exact_sum import INT64_MAX, INT64_MIN
from udfs.expressions import EvaluationError, text_of

MAX_ITEM_BYTES: Final = 16_384
"""Longer texts, lists and maps are passed over: what is kept of a user stays bounded."""

Take: TypeAlias = Callable[[Any], Any]
"""Gives what is kept of a value, None if the function cannot take it."""

_encode = msgspec.msgpack.Encoder(order="sorted").encode
_SCALARS: Final = frozenset({bool, int, float})


def _any(value: Any) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value if kind is not int or INT64_MIN <= value <= INT64_MAX else None
    if kind is str:
        return value if len(value) <= MAX_ITEM_BYTES // 4 or _fits(value) else None
    if kind is list or kind is dict or kind is tuple:
        try:
            packed = _encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return None
        return msgspec.msgpack.decode(packed) if len(packed) <= MAX_ITEM_BYTES else None
    return None


def _fits(value: str) -> bool:
    return len(value.encode("utf-8", "surrogatepass")) <= MAX_ITEM_BYTES


def _text(value: Any) -> str | None:
    try:
        text = text_of(value)
    except EvaluationError:
        return None
    return text if _fits(text) else None


def _hash(value: Any) -> int | None:
    item = _any(value)
    return None if item is None else hash_of(item)


NARROW: Final[dict[str, frozenset[type]]] = {
    "number": frozenset({int, float}),
    "ranked": frozenset({int, float, str}),
}
"""Kinds that take less than ``any``, but the same values: their streams are one."""

TAKES: Final[dict[str, Take]] = {
    "any": _any,
    "text": _text,
    "hash": _hash,
}
"""What a stream keeps of a value, by its kind; ``event`` keeps nothing."""


def kind_of_stream(kind: str) -> str:
    """Give the kind of the stream that functions of a kind read."""
    return "any" if kind in NARROW else kind


def taken(kind: str, items: Sequence[Any]) -> Sequence[Any]:
    """Give the items that functions of a kind take, of those that a stream keeps.

    >>> taken("number", [1, "a", True, 2.5])
    [1, 2.5]
    """
    narrow = NARROW.get(kind)
    if narrow is None or narrow.issuperset(map(type, items)):
        return items
    return [item for item in items if type(item) in narrow]


def identity(item: Any) -> Any:
    """Give what equal values have in common: 1 and 1.0, but not 1 and true; hashable.

    >>> identity(1.0) == identity(1), identity(True) == identity(1)
    (True, False)
    """
    kind = type(item)
    if kind is str or kind is int:
        return item
    if kind is float:
        return _number_of(item)
    if kind is list:
        return ("list", *map(identity, item))
    if kind is dict:
        return ("map", frozenset((key, identity(value)) for key, value in item.items()))
    return (kind.__name__, item)


def hash_of(item: Any) -> int:
    """Give 63 bits of an item's identity."""
    return int(xxh3_64_intdigest(_encode(_plain(item)))) >> 1


def _plain(item: Any) -> Any:
    kind = type(item)
    if kind is float:
        return _number_of(item)
    if kind is list:
        return [_plain(one) for one in item]
    if kind is dict:
        return {key: _plain(value) for key, value in item.items()}
    return item


def _number_of(item: float) -> int | float:
    return int(item) if item.is_integer() and -(2.0**63) <= item < 2.0**63 else item
