"""A client of Apollo's config service on ``requests``; no threads inside.

The caller drives it: :meth:`ApolloClient.load` for one namespace, :meth:`ApolloClient.poll` for
news. A notification counts as seen only after the namespace was loaded with success, so a failed
load is repaired by the very next poll.
"""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import msgspec
import requests

from configs.apollo_http import ABSENT, UNCHANGED, ApolloHttp
from configs.backoff import Backoff
from udfs.errors import ConfigUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from configs.apollo_settings import ClientSettings

CONTENT: Final = "content"
"""The one key of a namespace that holds a whole text (``.json``, ``.yaml``, ``.txt``)."""


class Loaded(msgspec.Struct, frozen=True):
    """What one namespace holds.

    Args:
        namespace: As asked.
        status: ``ok``; ``unchanged``: what was loaded before is still right; ``absent``: nothing
            is released, which is not the same as an empty config.
        release_key: Of this release; None if absent.
        text: Its ``content``; None unless ``ok`` and there is that key.
    """

    namespace: str
    status: Literal["ok", "unchanged", "absent"]
    release_key: str | None = None
    text: str | None = None


class Failed(msgspec.Struct, frozen=True):
    """A poll or load that failed; the client has waited already and goes on."""

    problem: str
    waited_s: float


class Idle(msgspec.Struct, frozen=True):
    """Nothing new; the caller may stop here."""


class ApolloClient:
    """Reads namespaces of one app.

    Args:
        settings: Where and as whom.
        session: Its connections; closed by :meth:`close`.
        sleep: Waits some seconds.
        monotonic: Seconds of a clock that only rises.
        now_ms: Wall-clock time for signatures.
        uniform: Draws waits.
    """

    def __init__(
        self,
        settings: ClientSettings,
        session: requests.Session | None = None,
        *,
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._settings = settings
        self._session = session or requests.Session()
        self._http = ApolloHttp(settings, self._session, now_ms, uniform)
        self._sleep = sleep
        self._monotonic = monotonic
        self._backoff = Backoff(settings.first_backoff_s, settings.max_backoff_s, uniform)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def load(
        self,
        namespace: str,
        release_key: str | None = None,
        messages: Mapping[str, int] | None = None,
    ) -> Loaded:
        """Read one namespace now, from the first service that answers.

        Args:
            namespace: With its suffix, e.g. ``millrace.json``.
            release_key: Of the release the caller holds; saves its transfer.
            messages: ``details`` of the notification, so that no cache answers.

        Raises:
            ConfigUnavailable: No service gave an answer that can be used.
        """
        settings = self._settings
        path = "/configs/" + "/".join(
            quote(part, safe="") for part in (settings.app_id, settings.cluster, namespace)
        )
        query = self._identity()
        if release_key:
            query["releaseKey"] = release_key
        if messages:
            query["messages"] = json.dumps({"details": messages}, separators=(",", ":"))
        status, body = self._http.get(path, query, settings.read_timeout_s)
        if status == UNCHANGED:
            return Loaded(namespace, "unchanged", release_key)
        if status == ABSENT:
            return Loaded(namespace, "absent")
        value = _object(body, path)
        if value.get("configSyncType") not in (None, "", "FullSync"):
            # Changes against the key we sent. Without a key the server sends the whole.
            if release_key is None:
                raise ConfigUnavailable(f"{path}: configSyncType without a releaseKey was sent")
            return self.load(namespace, None, messages)
        configurations, key = value.get("configurations"), value.get("releaseKey")
        if not isinstance(configurations, dict) or not isinstance(key, str):
            raise ConfigUnavailable(f"{path}: the answer has no configurations or releaseKey")
        text = configurations.get(CONTENT)
        return Loaded(namespace, "ok", key, text if isinstance(text, str) else None)

    def notifications(self, ids: Mapping[str, int]) -> dict[str, tuple[int, dict[str, int]]]:
        """One long poll: held by the server until something is published, or its time is over.

        Args:
            ids: Last id seen by namespace, -1 for none.

        Returns:
            New id and ``details`` by namespace; empty if nothing is new.

        Raises:
            ConfigUnavailable: No service answered.
        """
        query = {
            "appId": self._settings.app_id,
            "cluster": self._settings.cluster,
            "notifications": json.dumps(
                [{"namespaceName": name, "notificationId": last} for name, last in ids.items()],
                separators=(",", ":"),
            ),
            **self._identity(),
        }
        path = "/notifications/v2"
        status, body = self._http.get(path, query, self._settings.poll_timeout_s)
        if status == UNCHANGED:
            return {}
        if status == ABSENT:
            raise ConfigUnavailable(f"{path} is not known there; is it an Apollo config service?")
        try:
            entries = msgspec.json.decode(body, type=list[_Notification])
        except msgspec.DecodeError as error:
            raise ConfigUnavailable(f"{path}: the answer cannot be read: {error}") from error
        return {
            entry.namespace_name: (entry.notification_id, entry.messages.details)
            for entry in entries
            if entry.namespace_name in ids
        }

    def poll(self, namespaces: Iterable[str]) -> Iterator[Loaded | Failed | Idle]:
        """News without end: first what every namespace holds, then every change.

        Blocks in the server's hold and in waits after failures; an iteration gives a ``Loaded``
        with status ``ok`` or ``absent`` (each only when it differs from what was given before),
        a ``Failed``, or an ``Idle`` when a poll brought nothing.

        Args:
            namespaces: All to watch.
        """
        watched = {name: _Watched() for name in namespaces}
        while True:
            loaded, problem, failures = self._load_due(watched)
            yield from loaded
            if problem is not None:
                yield self._wait(problem)
                if failures == len(watched):
                    continue
            # One namespace that cannot be loaded does not hold back news of the others. Its id
            # was not advanced, so this poll names it again.
            try:
                news = self.notifications({name: state.seen for name, state in watched.items()})
            except ConfigUnavailable as error:
                yield self._wait(error)
                continue
            if problem is None:
                self._backoff.succeeded()
            for name, (message_id, details) in news.items():
                watched[name].heard(message_id, details)
            if not news:
                yield Idle()

    def _load_due(
        self, watched: Mapping[str, _Watched]
    ) -> tuple[list[Loaded], ConfigUnavailable | None, int]:
        """Load what is due: what was new, the last problem, and how many failed."""
        new: list[Loaded] = []
        problem: ConfigUnavailable | None = None
        failures = 0
        for name, state in watched.items():
            if self._monotonic() < state.refresh_at:
                continue
            try:
                loaded = self.load(name, state.release_key, state.details)
            except ConfigUnavailable as error:
                problem = error
                failures += 1
                continue
            if state.took(loaded, self._monotonic() + self._settings.refresh_s):
                new.append(loaded)
        return new, problem, failures

    def _wait(self, error: ConfigUnavailable) -> Failed:
        wait_s = self._backoff.failed()
        self._sleep(wait_s)
        return Failed(str(error), wait_s)

    def _identity(self) -> dict[str, str]:
        settings = self._settings
        named = (
            ("ip", settings.ip),
            ("label", settings.label),
            ("dataCenter", settings.data_center),
        )
        return {name: value for name, value in named if value}


class _Details(msgspec.Struct):
    details: dict[str, int] = {}


class _Notification(msgspec.Struct, rename="camel"):
    namespace_name: str
    notification_id: int
    messages: _Details = msgspec.field(default_factory=_Details)


class _Watched:
    """One namespace of a poll."""

    def __init__(self) -> None:
        self.seen = -1
        self.release_key: str | None = None
        self.details: dict[str, int] = {}
        self.refresh_at = float("-inf")
        self._heard = -1
        self._absent = False

    def heard(self, message_id: int, details: Mapping[str, int]) -> None:
        """A notification: to be loaded; not seen yet."""
        self._heard = message_id
        for key, last in details.items():
            self.details[key] = max(last, self.details.get(key, last))
        self.refresh_at = float("-inf")

    def took(self, loaded: Loaded, refresh_at: float) -> bool:
        """A load succeeded: now what was heard is seen. True if it gave something new."""
        self.seen = self._heard
        self.refresh_at = refresh_at
        new = (loaded.status == "ok" and loaded.release_key != self.release_key) or (
            loaded.status == "absent" and not self._absent
        )
        if loaded.status != "unchanged":
            self.release_key = loaded.release_key
        self._absent = loaded.status == "absent"
        return new


def _object(body: bytes, path: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigUnavailable(f"{path}: the answer is not a JSON object: {error}") from error
