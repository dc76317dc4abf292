"""Compiled code as data: what one process compiled, another one runs."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from typing import Final

import msgspec
from msgspec import structs

from udfs.expressions.names import Names
from udfs.slices import Work, finish

FORMAT = 4
"""Rises with every change of the generated code or of the helpers' names."""
_MAGIC = b"millrace-cel"
_DIGEST_BYTES = 32


def _tag() -> bytes:
    """What a dump must begin with to be of use here: marshalled code is Python's own."""
    python = f"{sys.implementation.cache_tag}/{FORMAT}/".encode()
    return _MAGIC + importlib.util.MAGIC_NUMBER + python


class Compiled(msgspec.Struct, frozen=True, array_like=True):
    """One expression, compiled.

    Args:
        code: Marshalled code object of the module that makes its functions.
        kind: Kind of its result as far as it is certain, else ``dyn``.
        patterns: Its constant regular expressions.
        fields: Fields of the event that it reads.
        props: Keys of ``props`` that it reads.
        all_props: It reads ``props`` otherwise than by constant keys.
        steps: Steps that it reads.
        values: Values that it reads.
        constants: What the code is given.
    """

    code: bytes
    kind: str
    patterns: tuple[str, ...]
    fields: tuple[str, ...]
    props: tuple[str, ...]
    all_props: bool
    steps: tuple[str, ...]
    values: tuple[str, ...]
    constants: tuple[int | float | str, ...]


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    text: str
    names: int
    shape: int
    constants: tuple[int | float | str, ...]


class _Dump(msgspec.Struct, frozen=True, array_like=True):
    """Many texts differ in nothing but constants: what they share is written once."""

    names: list[Names]
    shapes: list[Compiled]
    entries: list[_Entry]


_AT_ONCE: Final = 50
"""Entries of a dump that are read in one piece: a tenth of a millisecond."""


class CodeCache:
    """Compiled expressions by text and names.

    A dump holds code: load only what this system's own driver or watcher has made, as with
    any Python file. The digest guards against damage, not against forgery.

    >>> cache = CodeCache()
    >>> len(CodeCache.load(cache.dump()))
    0
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, Names], Compiled] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, text: str, names: Names) -> Compiled | None:
        """What was compiled of a text, or None."""
        return self._entries.get((text, names))

    def put(self, text: str, names: Names, compiled: Compiled) -> None:
        """Keeps a compiled expression."""
        self._entries[text, names] = compiled

    def dump(self) -> bytes:
        """All entries: tag, SHA-256 of the rest, MessagePack of `_Dump`."""
        names: dict[Names, int] = {}
        shapes: dict[Compiled, int] = {}
        entries = [
            _Entry(
                text,
                names.setdefault(known, len(names)),
                shapes.setdefault(structs.replace(found, constants=()), len(shapes)),
                found.constants,
            )
            for (text, known), found in self._entries.items()
        ]
        body = msgspec.msgpack.encode(_Dump(list(names), list(shapes), entries))
        return _tag() + hashlib.sha256(body).digest() + body

    @classmethod
    def load(cls, data: bytes) -> CodeCache:
        """Reads a dump; one of another Python or format, or a damaged one, counts as empty."""
        return finish(cls.loading(data))

    @classmethod
    def loading(cls, data: bytes) -> Work[CodeCache]:
        """Does what `load` does, some entries at a time."""
        cache = cls()
        tag = _tag()
        body = data[len(tag) + _DIGEST_BYTES :]
        digest = data[len(tag) : len(tag) + _DIGEST_BYTES]
        if not data.startswith(tag) or hashlib.sha256(body).digest() != digest:
            return cache
        dump = msgspec.msgpack.decode(body, type=_Dump)
        for number, entry in enumerate(dump.entries):
            if number % _AT_ONCE == 0:
                yield
            shape = dump.shapes[entry.shape]
            compiled = (
                structs.replace(shape, constants=entry.constants) if entry.constants else shape
            )
            cache.put(entry.text, dump.names[entry.names], compiled)
        return cache
