"""The config service: what clients ask."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.routing import Route

from configs.server import names, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from configs.server.bell import Bell, Waiter
    from configs.server.store import Release, Store

MAX_NAMESPACES: Final = 1000  # of one poll; the header limit allows about 100
_HOST: Final = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")
_MISSING: Final = "org.springframework.web.bind.MissingServletRequestParameterException"


class Asked(msgspec.Struct, rename="camel"):
    """One entry of a poll."""

    namespace_name: str | None = None
    notification_id: int = 0


class ConfigService:
    """Its routes.

    Args:
        store: What is published.
        bell: Rung on every publish.
        hold_s: How long a poll is held.
    """

    def __init__(self, store: Store, bell: Bell, hold_s: float) -> None:
        self._store = store
        self._bell = bell
        self._hold_s = hold_s

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/services/config", self._services("apollo-configservice")),
            Route("/services/admin", self._services("apollo-adminservice")),
            Route("/configs/{app}/{cluster}/{namespace}", self._config),
            Route("/notifications/v2", self._poll),
            Route("/notifications", self._poll_v1),
        ]

    def _services(self, service: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - an endpoint
        async def endpoint(request: Request) -> Response:
            """Both services are this process, under the name the caller used for it."""
            host = request.headers.get("host", "")
            if not _HOST.fullmatch(host):
                raise wire.bad_request("the Host header is missing or malformed")
            instance = {
                "appName": service.upper(),
                "instanceId": f"{host}:{service}",
                "homepageUrl": f"http://{host}/",
            }
            return wire.answer([instance])

        return endpoint

    async def _config(self, request: Request) -> Response:
        params, query = request.path_params, request.query_params
        app = wire.checked_name("appId", params["app"], names.MAX_APP)
        cluster = wire.checked_name("cluster", params["cluster"], names.MAX_CLUSTER)
        asked = params["namespace"]
        wire.checked_name("namespace", names.strip_properties(asked), names.MAX_NAMESPACE)
        namespace = self._store.canonical(app, asked)
        clusters = list(_clusters(cluster, query.get("dataCenter")))
        releases: list[Release] = []
        if app != names.NO_APP and (own := self._find(app, clusters, namespace)):
            releases.append(own)
            cluster = own.place[1]
        owner = self._store.public_owner(app, namespace)
        if owner and (public := self._find(owner, clusters, namespace)):
            releases.append(public)
        if not releases:
            raise wire.not_found(
                f"Could not load configurations with appId: {app}, clusterName: {cluster}, "
                f"namespace: {asked}"
            )
        release_key = "+".join(release.key for release in releases)
        if query.get("releaseKey") == release_key:
            return wire.empty(304)
        configurations: dict[str, str] = {}
        for release in reversed(releases):  # the own one overrides the public one
            configurations |= release.configurations
        return wire.answer(
            {
                "appId": app,
                "cluster": cluster,
                "namespaceName": asked,
                "configurations": configurations,
                "releaseKey": release_key,
            }
        )

    def _find(self, app: str, clusters: list[str], namespace: str) -> Release | None:
        for cluster in clusters:
            if release := self._store.latest((app, cluster, namespace)):
                return release
        return None

    async def _poll_v1(self, _request: Request) -> Response:
        raise wire.bad_request("use /notifications/v2")

    async def _poll(self, request: Request) -> Response:
        query = request.query_params
        app = wire.checked_name("appId", query.get("appId", ""), names.MAX_APP)
        for name in ("cluster", "notifications"):
            if name not in query:
                message = f"Required String parameter '{name}' is not present"
                raise wire.ApolloError(500, message, _MISSING)
        cluster = wire.checked_name("cluster", query["cluster"], names.MAX_CLUSTER)
        wanted = self._wanted(app, query["notifications"])
        keys = {
            canonical: self._watch_keys(app, cluster, query.get("dataCenter"), canonical)
            for canonical in wanted
        }
        # Register, then compare: a publish in between finds the waiter.
        waiter = self._bell.register(key for some in keys.values() for key in some)
        try:
            if changed := self._changed(wanted, keys):
                return wire.answer(changed)
            await self._hold(request, waiter)
        finally:
            self._bell.unregister(waiter)
        if not waiter.rung.done():
            return wire.empty(304)
        rung = waiter.rung.result()
        if rung is None:
            raise wire.ApolloError(503, "the config server is stopping")
        key, message_id = rung
        return wire.answer(
            [
                _notification(asked, message_id, {key: message_id})
                for canonical, asked in wanted.items()
                if key in keys[canonical]
            ]
        )

    def _wanted(self, app: str, notifications: str) -> dict[str, Asked]:
        """Entries by canonical name; of two for one namespace the one with the smaller id."""
        malformed = wire.bad_request(f"invalid notifications format:{notifications[:200]}")
        try:
            entries = msgspec.json.decode(notifications, type=list[Asked], strict=False)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise malformed from None
        wanted: dict[str, Asked] = {}
        for entry in entries:
            if not entry.namespace_name:
                continue
            entry.namespace_name = names.strip_properties(entry.namespace_name)
            wire.checked_name("namespace", entry.namespace_name, names.MAX_NAMESPACE)
            canonical = self._store.canonical(app, entry.namespace_name)
            known = wanted.get(canonical)
            if known is None or entry.notification_id <= known.notification_id:
                wanted[canonical] = entry
        if not wanted:
            raise malformed
        if len(wanted) > MAX_NAMESPACES:
            raise wire.bad_request(f"more than {MAX_NAMESPACES} namespaces in one poll; split it")
        return wanted

    def _watch_keys(
        self, app: str, cluster: str, data_center: str | None, namespace: str
    ) -> list[str]:
        apps = [] if app == names.NO_APP else [app]
        if owner := self._store.public_owner(app, namespace):
            apps.append(owner)
        clusters = list(_clusters(cluster, data_center))
        return [names.watch_key(one, where, namespace) for one in apps for where in clusters]

    def _changed(self, wanted: dict[str, Asked], keys: dict[str, list[str]]) -> list[object]:
        changed: list[object] = []
        for canonical, asked in wanted.items():
            messages = self._store.messages
            details = {key: messages[key] for key in keys[canonical] if key in messages}
            latest = max(details.values(), default=-1)
            if latest > asked.notification_id:
                changed.append(_notification(asked, latest, details))
        return changed

    async def _hold(self, request: Request, waiter: Waiter) -> None:
        """Until a publish, the end of the hold, or the client went away."""
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait(
                (waiter.rung, gone),
                timeout=self._hold_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _clusters(cluster: str, data_center: str | None) -> Iterator[str]:
    """Where a client looks, in order."""
    if cluster != names.DEFAULT_CLUSTER:
        yield cluster
    if data_center and data_center not in (cluster, names.DEFAULT_CLUSTER):
        yield wire.checked_name("dataCenter", data_center, names.MAX_CLUSTER)
    yield names.DEFAULT_CLUSTER


def _notification(asked: Asked, message_id: int, details: dict[str, int]) -> dict[str, object]:
    return {
        "namespaceName": asked.namespace_name,
        "notificationId": message_id,
        "messages": {"details": details},
    }
