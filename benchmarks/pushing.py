"""Publishes manifests of any size as ``millrace config publish`` does."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from configs.objects import ObjectStore
from configs.pack import pack
from configs.publish import Publisher
from configs.watch import MANIFEST
from stack import Stack


def publish(stack: Stack, app: str, revision: int, given: dict[str, Any]) -> int:
    """Publish a manifest, its large parts as blobs.

    Args:
        stack: Whose config server and object store.
        app: Whom it is for.
        revision: Of the manifest.
        given: Its parts.

    Returns:
        When it was sent, ms since the epoch.
    """
    whole = {"schema": 1, "revision": revision, "activate_at": None, **given}
    text = pack(msgspec.json.encode(whole).decode(), ObjectStore(stack.object_store.as_uri()))
    publisher = Publisher(stack.config_url, app)
    began_ms = time.time_ns() // 1_000_000
    publisher.publish(MANIFEST, text)
    return began_ms
