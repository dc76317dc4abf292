"""Completes the pointers of a manifest with what tables and models say of themselves.

Done once, where a manifest is resolved: whoever compiles it later needs no object store.
"""

from __future__ import annotations

from typing import Any

import msgspec

from configs.manifest import Fetch, Ref, Resolved
from feature_dist import pointer as tables
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault, ModelInvalid
from udfs.scoring import artifact
from udfs.scoring import pointer as models


def complete(resolved: Resolved, fetch: Fetch) -> Resolved:
    """Give the same manifest, of the same revision and digest, with completed pointers.

    Args:
        resolved: As published.
        fetch: Reads a blob.

    Raises:
        ConfigInvalid: With all faults; an absent blob is one of them.
    """
    faults: list[Fault] = []
    features = _completed(resolved, "features", fetch, faults)
    scored = _completed(resolved, "models", fetch, faults)
    if faults:
        raise ConfigInvalid(faults)
    return msgspec.structs.replace(resolved, features=features, models=scored)


def _completed(
    resolved: Resolved, part: str, fetch: Fetch, faults: list[Fault]
) -> list[dict[str, Any]]:
    found = []
    pointers: list[tables.TablePointer | models.ModelPointer] = []
    try:
        if part == "features":
            pointers += tables.read_pointers(resolved.features)
        else:
            pointers += models.read_pointers(resolved.models)
    except ConfigInvalid as error:
        faults.extend(error.faults)
        return []
    for i, pointer in enumerate(pointers):
        where = f"{part}[{i}]"
        try:
            found.append(_one(pointer, fetch, where))
        except ConfigUnavailable as error:
            cure = "put it there before the pointer is published"
            faults.append(Fault(where, f"absent blob: {error}", cure))
        except ConfigInvalid as error:
            faults += [_placed(each, where) for each in error.faults]
        except ModelInvalid as error:
            faults.append(Fault(where, str(error), "publish the model again"))
    return found


def _placed(fault: Fault, where: str) -> Fault:
    """Say whose fault it is, where that is not said."""
    if fault.where.startswith(where):
        return fault
    return Fault(f"{where} {fault.where}", fault.problem, fault.cure)


def _one(
    pointer: tables.TablePointer | models.ModelPointer, fetch: Fetch, where: str
) -> dict[str, Any]:
    if isinstance(pointer, tables.TablePointer):
        blob = fetch(Ref(**msgspec.structs.asdict(pointer.manifest)))
        completed: dict[str, Any] = msgspec.to_builtins(pointer.completed(blob, where))
        return completed
    blob = fetch(Ref(**msgspec.structs.asdict(pointer.artifact)))
    return pointer.resolved(artifact.decode_manifest(blob)).plain()
