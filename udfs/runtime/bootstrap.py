"""The manifest that a job starts with: from the config server, else the last good one.

Runs in the driver. What it gives is shipped with the job, so that no worker waits for a server.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Final

import structlog

from configs import manifest, objects
from configs.apollo_settings import ClientSettings
from configs.client import ApolloClient, Loaded
from configs.manifest import Resolved
from configs.settings import DecideSettings
from configs.watch import MANIFEST
from configs.watch_process import stderr_log
from udfs.decisions.program import Program
from udfs.errors import ConfigInvalid, ConfigUnavailable, MillraceError
from udfs.runtime.pointers import complete

_RETRY_S: Final = 2.0

NOTHING: Final = Resolved.of(0)
"""What runs before anything was ever published."""


def client_settings(settings: DecideSettings) -> ClientSettings:
    """Give the settings of the Apollo client; the access key comes from the environment."""
    return ClientSettings.from_environment(
        os.environ,
        app_id=settings.config_app,
        cluster=settings.config_cluster,
        meta=(settings.config_url,),
    )


def topics_of(settings: DecideSettings) -> set[str]:
    """Give the topics that actions may write."""
    return {"decisions", *settings.action_topics}


def resolve_at_start(settings: DecideSettings) -> bytes:
    """Give the manifest to start with, as `Resolved.dump()`.

    The published one if the server answers within ``config_wait`` and it is valid; else the
    last good one that was started with from here; else an empty one of revision 0, if nothing
    was ever published.

    Raises:
        MillraceError: No server, and no manifest of an earlier start.
    """
    log = stderr_log()
    cache = _Cache(settings)
    try:
        resolved = _published(settings, log)
    except ConfigUnavailable as error:
        last = cache.read(log)
        if last is None:
            raise MillraceError(
                f"{error}; and there is no manifest of an earlier start in "
                f"{settings.config_cache}. Start the config server, or check config_url"
            ) from error
        log.warning("config server down; starting with the last good manifest",
                    revision=last.revision, problem=str(error))  # fmt: skip
        return last.dump()
    except ConfigInvalid as error:
        last = cache.read(log)
        log.warning("the published manifest is refused",
                    faults=[str(fault) for fault in error.faults],
                    starts_with=last.revision if last else 0)  # fmt: skip
        return (last or NOTHING).dump()
    if resolved is None:
        log.info("nothing is published yet; the job starts empty and follows pushes")
        return NOTHING.dump()
    cache.write(resolved)
    log.info("starting with the published manifest", revision=resolved.revision)
    return resolved.dump()


def _published(settings: DecideSettings, log: structlog.typing.WrappedLogger) -> Resolved | None:
    loaded = _load(settings, log)
    if loaded.status == "absent":
        return None
    resolved = complete(manifest.resolve(loaded.text or "", objects.get), objects.get)
    check(resolved, topics_of(settings))
    return resolved


def _load(settings: DecideSettings, log: structlog.typing.WrappedLogger) -> Loaded:
    client = ApolloClient(client_settings(settings))
    deadline = time.monotonic() + settings.config_wait / 1000
    try:
        while True:
            try:
                return client.load(MANIFEST)
            except ConfigUnavailable as error:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise
                log.warning("config server does not answer; trying again",
                            url=settings.config_url, seconds_left=round(left_s),
                            problem=str(error))  # fmt: skip
                time.sleep(min(_RETRY_S, max(left_s, 0.1)))
    finally:
        client.close()


def check(resolved: Resolved, topics: set[str]) -> Program:
    """Compile a manifest.

    Raises:
        ConfigInvalid: With all its faults.
    """
    return Program.compile(resolved.revision, resolved.parts(), topics)


class _Cache:
    """The last good manifest, one file a job: SHA-256 of the rest, then ``Resolved.dump()``."""

    def __init__(self, settings: DecideSettings) -> None:
        self._path = Path(settings.config_cache) / f"{settings.job_name}.manifest"

    def read(self, log: structlog.typing.WrappedLogger) -> Resolved | None:
        try:
            blob = self._path.read_bytes()
        except FileNotFoundError:
            return None
        digest, body = blob[:32], blob[32:]
        if hashlib.sha256(body).digest() != digest:
            log.warning("the last good manifest is damaged; it is not used", file=str(self._path))
            return None
        return Resolved.load(body)

    def write(self, resolved: Resolved) -> None:
        body = resolved.dump()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_bytes(hashlib.sha256(body).digest() + body)
        beside.replace(self._path)
