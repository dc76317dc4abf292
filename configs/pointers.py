"""Pointers of a manifest: which release of a table, which version of a model is to be used.

Pure functions from a manifest's text to the next one. A publisher runs them through
:func:`configs.compare_and_set.update`, so that publishers do not overwrite each other:

>>> pointer = {"table": "user", "release": 3, "manifest": {}}
>>> print(with_pointer(None, "features", "table", pointer))
{
 "schema": 1,
 "revision": 1,
 "features": [
  {
   "table": "user",
   "release": 3,
   "manifest": {}
  }
 ]
}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from configs import manifest, strict_json
from udfs.errors import ConfigInvalid, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from configs.manifest import Fetch

NAMES: Final = {"features": "table", "models": "model"}
"""The parts that hold pointers, and under which key each has the name of its object."""


def with_pointer(
    text: str | None,
    part: str,
    key: str,
    pointer: Mapping[str, Any],
    fetch: Fetch | None = None,
) -> str:
    """Set a pointer: in the place of the one of the same name, else at the end.

    Args:
        text: The manifest, None if there is none yet.
        part: ``features`` or ``models``.
        key: Where a pointer has its name: ``table`` or ``model``.
        pointer: The new one.
        fetch: Reads the part if it is a blob; it is written in place then.

    Returns:
        The manifest of the next revision; all else is as it was.

    Raises:
        ConfigInvalid: The text is no manifest, or the part cannot be read.
    """
    value = _read(text)
    pointers = _pointers(value, part, fetch)
    places = [index for index, known in enumerate(pointers) if known.get(key) == pointer[key]]
    if places:
        pointers[places[0]] = dict(pointer)
    else:
        pointers.append(dict(pointer))
    return _write(value, part, pointers)


def without_pointer(
    text: str | None, part: str, key: str, name: str, fetch: Fetch | None = None
) -> str:
    """Take a pointer away.

    Args:
        text: See :func:`with_pointer`, also for the others.
        part: From which.
        key: Where a pointer has its name.
        name: Of the table or model.
        fetch: Reads the part if it is a blob.

    Returns:
        The manifest of the next revision.

    Raises:
        ConfigInvalid: There is none of that name, the text is no manifest, or the part cannot be
            read.
    """
    value = _read(text)
    before = _pointers(value, part, fetch)
    after = [known for known in before if known.get(key) != name]
    if len(after) == len(before):
        there = ", ".join(sorted(str(known.get(key)) for known in before)) or "none"
        problem = f"the manifest points to no {key} {name!r}"
        raise ConfigInvalid([Fault(part, problem, f"name one of those that are there: {there}")])
    return _write(value, part, after)


def pointer_of(
    text: str | None, part: str, key: str, name: str, fetch: Fetch | None = None
) -> dict[str, Any] | None:
    """The pointer of a name, None if there is none.

    Args:
        text: See :func:`with_pointer`, also for the others.
        part: In which.
        key: Where a pointer has its name.
        name: Of the table or model.
        fetch: Reads the part if it is a blob.

    Raises:
        ConfigInvalid: The text is no manifest, or the part cannot be read.

    >>> pointer_of('{"schema": 1, "revision": 7}', "models", "model", "ctr_small")
    """
    pointers = _pointers(_read(text), part, fetch)
    return next((known for known in pointers if known.get(key) == name), None)


def _read(text: str | None) -> dict[str, Any]:
    if text is None:
        return {"schema": manifest.SCHEMA, "revision": 0}
    value: dict[str, Any] = strict_json.parse(text)
    if faults := manifest.check(value):
        raise ConfigInvalid(faults)
    return value


def _pointers(value: Mapping[str, Any], part: str, fetch: Fetch | None) -> list[dict[str, Any]]:
    found = value.get(part, [])
    if isinstance(found, list):
        return list(found)
    if fetch is None:
        problem = f"a reference to {found['uri']}, which is not read here"
        raise ConfigInvalid([Fault(part, problem, "pass fetch, or publish the list in place")])
    return manifest.items_of(part, found, fetch)


def _write(value: dict[str, Any], part: str, pointers: list[dict[str, Any]]) -> str:
    after = value | {"revision": value["revision"] + 1, part: pointers}
    return json.dumps(after, ensure_ascii=False, indent=1)
