"""Keying by a field that SQL computed, without a Python operator that adds it.

PyFlink's ``key_by`` puts a Python map in front of the keyed operator, only to turn a value
into ``Row(key, value)``: every byte of a batch would cross into Python twice. SQL can make that
row itself; what remains is Java's key selector.
"""

from __future__ import annotations

from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway


def keyed_by_first(stream: DataStream, key_type: Any, value_type: Any) -> KeyedStream:
    """Key a stream of ``Row(key, value)`` by its first field, hashed as ``key_by`` hashes.

    Args:
        stream: Rows of two fields.
        key_type: Type of the first.
        value_type: Type of the second, what the operator sees.
    """
    selector = get_gateway().jvm.KeyByKeySelector()
    java_key_type = Types.ROW([key_type]).get_java_type_info()
    keyed = stream._j_data_stream.keyBy(selector, java_key_type)  # noqa: SLF001 - see the module
    return KeyedStream(keyed, value_type, stream)
