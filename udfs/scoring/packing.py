"""Values of features to one tensor, as fast as Python allows.

NumPy costs about a microsecond a call, whatever the size; so the rows are joined into one list,
which one ``struct.pack`` turns into the tensor's bytes. ``pack`` refuses text and what does not
fit, one ``sum`` shows NaN and infinity. Only a batch with something unusual in it is looked at
value by value.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from udfs.scoring.ports import DTYPES

Row = Mapping[str, Any]
_Take = Callable[[Row], Sequence[Any]]

_CODES: Final = {"float32": "f", "int32": "i", "int64": "q"}
_ORDER: Final = "="  # the machine's, but packed by struct's own code: C's makes 1e39 infinite
_VECTORS: Final = (tuple, list)
_TEXTS: Final = (str, int)
_UNUSUAL: Final = (KeyError, TypeError, ValueError, OverflowError, struct.error)
"""What a missing name, a text, a vector of another length, a too large number end in."""


class Feature(msgspec.Struct, frozen=True, omit_defaults=True):
    """One or more columns of a tensor.

    Args:
        feature: Name, ``table.column`` or an aggregate's.
        default: What null, and a value that is no number, is replaced by.
        width: Numbers of it; above 1 it is a vector.
        buckets: How many ids its text is hashed into, or None: it is a number itself.
    """

    feature: str
    default: int | float
    width: int = 1
    buckets: int | None = None


def bucket_of(value: Any, buckets: int) -> int | None:
    """Give the id of a value: XXH3-64 of its text in UTF-8, modulo the number of ids.

    A string is its own text; integers and booleans have that of CEL's ``string()``.

    >>> bucket_of("red", 1000), bucket_of(7, 1000) == bucket_of("7", 1000)
    (101, True)
    >>> bucket_of(True, 1000) == bucket_of("true", 1000), bucket_of(7.0, 1000)
    (True, None)

    Args:
        value: Of a feature.
        buckets: How many ids.

    Returns:
        An id from 0 on, or None for null and every other kind of value.
    """
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif not isinstance(value, int | str):
        return None
    try:
        text = str(value).encode()
    except ValueError:  # half of a surrogate pair, or an integer of thousands of digits
        return None
    return int(xxh3_64_intdigest(text) % buckets)


class Packer:
    """Fills one input of a model.

    Args:
        dtype: Of the tensor.
        features: Its columns, from left to right.
    """

    __slots__ = (
        "_code", "_defaults", "_dtype", "_floats", "_hashes", "_number", "_pack_row", "_take",
        "features", "width",
    )  # fmt: skip

    def __init__(self, dtype: str, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.width = sum(feature.width for feature in features)
        self._dtype = DTYPES[dtype]
        self._code = _CODES[dtype]
        self._floats = dtype == "float32"
        self._pack_row = struct.Struct(f"{_ORDER}{self.width}{self._code}").pack
        self._number = struct.Struct(f"{_ORDER}{self._code}")
        self._hashes = any(feature.buckets is not None for feature in features)
        self._defaults = [n for feature in features for n in [feature.default] * feature.width]
        self._take = _taker(features)

    def tensor(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Give the tensor of some rows. HOT.

        Args:
            rows: Values by feature name; a name that is not there is null.

        Returns:
            ``(rows, width)`` of the input's type, C-contiguous, not to be written to.
        """
        try:
            packed = self._pack(rows)
        except _UNUSUAL:
            packed = b"".join([self._careful(row) for row in rows])
        return np.ndarray((len(rows), self.width), self._dtype, packed)

    def _pack(self, rows: Sequence[Row]) -> bytes:
        take = self._take
        if len(rows) == 1:
            alone = take(rows[0])
            return self._bytes(self._filled(alone) if None in alone else alone)
        flat: list[Any] = []
        for row in rows:
            flat += take(row)
        try:
            return self._bytes(flat)
        except (TypeError, struct.error):  # looking for null first costs more than to fail
            if None not in flat:
                raise
        return self._bytes(self._filled(flat))

    def _filled(self, flat: Sequence[Any]) -> Sequence[Any]:
        defaults = itertools.cycle(self._defaults)
        return [d if v is None else v for v, d in zip(flat, defaults, strict=False)]

    def _bytes(self, flat: Sequence[Any]) -> bytes:
        if self._floats and not math.isfinite(sum(flat)):
            raise ValueError("one of them, or their sum, is not finite")
        if len(flat) == self.width:
            return self._pack_row(*flat)
        return struct.pack(f"{_ORDER}{len(flat)}{self._code}", *flat)

    def _careful(self, row: Row) -> bytes:
        try:
            return self._pack((row,))
        except _UNUSUAL:
            flat: list[Any] = []
            for feature in self.features:
                found = self.numbers(feature, row.get(feature.feature))
                flat += [feature.default] * feature.width if found is None else found
            return struct.pack(f"{_ORDER}{len(flat)}{self._code}", *flat)

    def defaulted(self, row: Row) -> Iterable[str]:
        """Give the features whose default stands in the tensor.

        Args:
            row: As for `tensor`.
        """
        if not self._hashes:  # a hashed null is an id already
            try:
                flat = self._take(row)
                if None not in flat:
                    self._bytes(flat)
                    return ()
            except _UNUSUAL:
                pass
        return [f.feature for f in self.features if self.numbers(f, row.get(f.feature)) is None]

    def numbers(self, feature: Feature, value: Any) -> Sequence[int | float] | None:
        """Give what stands for a value, or None if that is the default.

        Args:
            feature: Whose value it is.
            value: Anything.
        """
        if feature.buckets is not None:
            bucket = bucket_of(value, feature.buckets)
            return None if bucket is None else (bucket,)
        if feature.width == 1:
            number = self.number(value)
            return None if number is None else (number,)
        if not isinstance(value, list | tuple) or len(value) != feature.width:
            return None
        found = [number for each in value if (number := self.number(each)) is not None]
        return found if len(found) == feature.width else None

    def number(self, value: Any) -> int | float | None:
        """Give a value as a number that fits the tensor, or None.

        Args:
            value: Anything. A boolean is 0 or 1; a double fits an integer type if it is whole.
        """
        try:
            if not math.isfinite(value):
                return None
            if not self._floats and isinstance(value, float | np.floating) and value.is_integer():
                value = int(value)
            self._number.pack(value)
        except _UNUSUAL:
            return None
        return value  # type: ignore[no-any-return]  # pack takes numbers only


def _taker(features: Sequence[Feature]) -> _Take:
    """Compile what takes the values of a row, flat and in order; null stays null."""
    parts = [_PARTS[kind](list(group)) for kind, group in itertools.groupby(features, key=_kind)]
    if len(parts) == 1:
        return parts[0]

    def take(row: Row) -> Sequence[Any]:
        flat: list[Any] = []
        for part in parts:
            flat += part(row)
        return flat

    return take


def _kind(feature: Feature) -> str:
    if feature.buckets is not None:
        return "hashed"
    return "numbers" if feature.width == 1 else "vectors"


def _numbers(features: Sequence[Feature]) -> _Take:
    if len(features) > 1:
        return itemgetter(*[feature.feature for feature in features])
    name = features[0].feature
    return lambda row: (row[name],)


def _vectors(features: Sequence[Feature]) -> _Take:
    named = [(f.feature, f.width, [None] * f.width) for f in features]

    def take(row: Row) -> Sequence[Any]:
        flat: list[Any] = []
        for name, width, nulls in named:
            value = row[name]
            if value is None:
                flat += nulls
            elif value.__class__ in _VECTORS and len(value) == width and None not in value:
                flat += value
            else:
                raise ValueError(name)
        return flat

    return take


def _hashed(features: Sequence[Feature]) -> _Take:
    named = [(f.feature, f.buckets or 1, f.default) for f in features]

    def take(row: Row) -> Sequence[Any]:
        return [
            xxh3_64_intdigest(str(value).encode()) % buckets
            if (value := row[name]).__class__ in _TEXTS
            else _bucket_or(value, buckets, default)
            for name, buckets, default in named
        ]

    return take


def _bucket_or(value: Any, buckets: int, default: float) -> int | float:
    found = bucket_of(value, buckets)
    return default if found is None else found


_PARTS: Final = {"numbers": _numbers, "vectors": _vectors, "hashed": _hashed}
