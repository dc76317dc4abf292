"""Makes a manifest fit a namespace: its largest parts move into blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from configs import manifest, strict_json

if TYPE_CHECKING:
    from configs.objects import ObjectStore

VALUE_LIMIT = 20_000  # characters; Apollo's item.value.length.limit


def pack(text: str, store: ObjectStore, limit: int = VALUE_LIMIT) -> str:
    """Write parts as blobs, the largest first, until the text fits.

    Args:
        text: A manifest that was checked.
        store: Where blobs go; the job must be able to read it under the same URI.
        limit: Characters allowed.

    Returns:
        The text itself if it fits, else one with references.

    Raises:
        ConfigInvalid: Not JSON.
        ConfigUnavailable: A blob cannot be written.
    """
    if len(text) <= limit:
        return text
    value = strict_json.parse(text)
    inline = [name for name in manifest.PARTS if isinstance(value.get(name), list)]
    for name in sorted(inline, key=lambda name: _size(value[name]), reverse=True):
        value[name] = msgspec.to_builtins(store.put(msgspec.json.encode(value[name])))
        text = msgspec.json.encode(value).decode()
        if len(text) <= limit:
            break
    return text


def _size(part: Any) -> int:
    return len(msgspec.json.encode(part))
