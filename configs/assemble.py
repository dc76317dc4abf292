"""Puts a manifest together from a folder with one file a part.

``rules.json``, ``aggregates.json`` and ``flows.json`` each hold a list; what is absent is
empty. So parts can be kept, reviewed and changed as files of their own.

Pointers to tables and models are moved by those who publish these; so what is published stays,
unless there is a ``features.json`` or ``models.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from configs import manifest, strict_json
from configs.manifest import SUPPORTED
from configs.pointers import NAMES as POINTERS
from udfs.errors import ConfigInvalid, Fault

_NAMES: Final = {"rules": "rule", "aggregates": "aggregate", "flows": "flow"}


def assemble(
    folder: Path, revision: int, replacements: Sequence[Path] = (), current: str | None = None
) -> str:
    """Give a manifest's JSON.

    Args:
        folder: With a file for each part.
        revision: Of the manifest.
        replacements: Files with one rule, aggregate or flow each, which takes the place of
            the one of the same name.
        current: The published manifest, whose pointers stay.

    Raises:
        ConfigInvalid: A file is not JSON or not a list, there is no file at all, nothing has the
            name of a replacement, or ``current`` is not a JSON object.
    """
    parts: dict[str, Any] = {}
    for part in manifest.PARTS:
        path = folder / f"{part}.json"
        if part in SUPPORTED and path.is_file():
            parts[part] = _read(path)
            if not isinstance(parts[part], list):
                raise ConfigInvalid([Fault(str(path), "not a list", "write [...]")])
    if not parts:
        names = ", ".join(f"{part}.json" for part in sorted(SUPPORTED))
        raise ConfigInvalid([Fault(str(folder), "holds no part of a manifest", f"write {names}")])
    for path in replacements:
        _replace(parts, _read(path), path)
    for part, pointers in _published(current).items():
        parts.setdefault(part, pointers)
    return json.dumps({"schema": 1, "revision": revision, **parts}, ensure_ascii=False, indent=1)


def _published(current: str | None) -> dict[str, Any]:
    """The pointers of a manifest."""
    if current is None:
        return {}
    value = strict_json.parse(current)
    if not isinstance(value, dict):
        cure = "publish a manifest as a file"
        raise ConfigInvalid([Fault("$", "what is published is not an object", cure)])
    return {part: value[part] for part in POINTERS if value.get(part)}


def _replace(parts: dict[str, Any], spec: Any, path: Path) -> None:
    for part, key in _NAMES.items():
        name = spec.get(key) if isinstance(spec, dict) else None
        for i, known in enumerate(parts.get(part, [])):
            if name is not None and isinstance(known, dict) and known.get(key) == name:
                parts[part][i] = spec
                return
    raise ConfigInvalid(
        [
            Fault(
                str(path),
                "replaces nothing: no rule, aggregate or flow of the folder has its name",
                "write one object whose 'rule', 'aggregate' or 'flow' is a known name",
            )
        ]
    )


def _read(path: Path) -> Any:
    try:
        return strict_json.parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        fault = Fault(f"{path}:{error.start}", "not UTF-8", "write the file as UTF-8")
        raise ConfigInvalid([fault]) from error
    except ConfigInvalid as error:
        faults = [
            Fault(f"{path}{fault.where.removeprefix('$')}", fault.problem, fault.cure)
            for fault in error.faults
        ]
        raise ConfigInvalid(faults) from error
