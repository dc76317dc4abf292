"""The admin service: what publishers ask. The subset that a publisher of texts needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from configs.server import names, wire
from configs.server.store import AppNamespace, Item, Place, Release, Store

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_RELEASE_NAME: Final = 64
MAX_COMMENT: Final = 256
MAX_OPERATOR: Final = 64
MAX_ID: Final = 1 << 63
PAGE_SIZE: Final = 20  # Spring Data's default, and the largest page it gives
MAX_PAGE_SIZE: Final = 2_000
_NAMESPACE: Final = "/apps/{app}/clusters/{cluster}/namespaces/{namespace}"


class AdminService:
    """Its routes.

    Args:
        store: Where changes go.
        value_limit: Characters of an item's value; Apollo's ``item.value.length.limit``.
    """

    def __init__(self, store: Store, value_limit: int) -> None:
        self._store = store
        self._value_limit = value_limit

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/apps", self._create_app, methods=["POST"]),
            Route("/apps/{app}", self._app),
            Route("/apps/{app}/clusters", self._create_cluster, methods=["POST"]),
            Route("/apps/{app}/appnamespaces", self._create_namespace, methods=["POST"]),
            Route(_NAMESPACE, self._namespace),
            Route(f"{_NAMESPACE}/items", self._items),
            Route(f"{_NAMESPACE}/items", self._create_item, methods=["POST"]),
            Route(f"{_NAMESPACE}/items/{{key}}", self._item),
            Route(f"{_NAMESPACE}/items/{{key}}", self._change_item, methods=["PUT"]),
            Route(f"{_NAMESPACE}/releases", self._publish, methods=["POST"]),
            Route(f"{_NAMESPACE}/releases/latest", self._latest),
            Route(f"{_NAMESPACE}/releases/active", self._active),
            Route("/releases/{release}/rollback", self._rollback, methods=["PUT"]),
        ]

    async def _create_app(self, request: Request) -> Response:
        body = await wire.read_body(request)
        app = wire.checked_name("appId", wire.text_field(body, "appId", 1024), names.MAX_APP)
        name = wire.text_field(body, "name", names.MAX_APP, app)
        if app in self._store.apps:
            raise wire.bad_request(f"app already exists for appId:{app}")
        return wire.answer(_app(self._store.create_app(app, name, _operator(body))))

    async def _app(self, request: Request) -> Response:
        return wire.answer(_app(self._store.apps[self._known_app(request)]))

    async def _create_cluster(self, request: Request) -> Response:
        body = await wire.read_body(request)
        app = self._known_app(request)
        cluster = wire.text_field(body, "name", 1024)
        wire.checked_name("cluster", cluster, names.MAX_CLUSTER)
        if cluster in self._store.clusters[app]:
            raise wire.bad_request(f"cluster already exists for clusterName:{cluster}")
        self._store.create_cluster(app, cluster, _operator(body))
        return wire.answer({"appId": app, "name": cluster})

    async def _create_namespace(self, request: Request) -> Response:
        body = await wire.read_body(request)
        app = self._known_app(request)
        name = wire.text_field(body, "name", 1024)
        wire.checked_name("namespace", name, names.MAX_NAMESPACE)
        form = wire.text_field(body, "format", names.MAX_NAMESPACE, "properties")
        if form not in names.FORMATS:
            raise wire.bad_request(f"format {form!r}, known are {', '.join(sorted(names.FORMATS))}")
        public = body.get("isPublic", False)
        if not isinstance(public, bool):
            raise wire.bad_request("isPublic must be true or false")
        for known in self._store.namespaces.values():
            if known.name.lower() == name.lower() and (
                known.app == app or (public and known.public)
            ):
                raise wire.bad_request(f"namespace already exists for namespaceName:{name}")
        namespace = AppNamespace(app, name, form, public)
        self._store.create_namespace(namespace, _operator(body))
        return wire.answer({"name": name, "appId": app, "format": form, "isPublic": public})

    async def _namespace(self, request: Request) -> Response:
        place = self._place(request)
        return wire.answer(
            {
                "id": self._store.instances[place],
                "appId": place[0],
                "clusterName": place[1],
                "namespaceName": place[2],
            }
        )

    async def _items(self, request: Request) -> Response:
        place = self._place(request)
        return wire.answer([self._item_dto(item) for item in self._store.items[place].values()])

    async def _item(self, request: Request) -> Response:
        place, key = self._place(request), request.path_params["key"]
        if key not in self._store.items[place]:
            raise wire.not_found(f"item not found for itemKey:{key}")
        return wire.answer(self._item_dto(self._store.items[place][key]))

    async def _create_item(self, request: Request) -> Response:
        body = await wire.read_body(request)
        place = self._place(request)
        key = wire.text_field(body, "key", names.MAX_ITEM_KEY)
        if not key.strip():
            raise wire.bad_request("key is blank")
        if key in self._store.items[place]:
            raise wire.bad_request(f"item already exists for itemKey:{key}")
        value = wire.text_field(body, "value", self._value_limit)
        return wire.answer(self._item_dto(self._store.set_item(place, key, value, _operator(body))))

    async def _change_item(self, request: Request) -> Response:
        body = await wire.read_body(request)
        place, item_id = self._place(request), _number(request.path_params["key"])
        for item in self._store.items[place].values():
            if item.id == item_id:
                break
        else:
            raise wire.not_found(f"item not found for itemId:{item_id}")
        value = wire.text_field(body, "value", self._value_limit)
        changed = self._store.set_item(place, item.key, value, _operator(body))
        return wire.answer(self._item_dto(changed))

    async def _publish(self, request: Request) -> Response:
        place, query = self._place(request), request.query_params
        if "name" not in query or "operator" not in query:
            raise wire.bad_request("parameters name and operator are required")
        release = self._store.publish(
            place,
            wire.text_field(dict(query), "name", MAX_RELEASE_NAME),
            wire.text_field(dict(query), "comment", MAX_COMMENT, ""),
            wire.text_field(dict(query), "operator", MAX_OPERATOR),
        )
        return wire.answer(_release(release))

    async def _latest(self, request: Request) -> Response:
        release = self._store.latest(self._place(request))
        return wire.answer(_release(release)) if release else Response()

    async def _active(self, request: Request) -> Response:
        """Newest first; as in Apollo, an unknown place has none and a wrong number is no fault."""
        params, query = request.path_params, request.query_params
        place = (params["app"], params["cluster"], params["namespace"])
        page = _page_number(query.get("page"), 0, 0, MAX_ID)
        size = _page_number(query.get("size"), PAGE_SIZE, 1, MAX_PAGE_SIZE)
        newest_first = self._store.active.get(place, [])[::-1]
        return wire.answer(
            [_release(release) for release in newest_first[page * size : (page + 1) * size]]
        )

    async def _rollback(self, request: Request) -> Response:
        release_id = _number(request.path_params["release"])
        release = self._store.releases.get(release_id)
        if release is None:
            raise wire.not_found(f"release not found for releaseId:{release_id}")
        if release.abandoned:
            raise wire.bad_request(f"release {release_id} is not active")
        if len(self._store.active[release.place]) == 1:
            app, cluster, namespace = release.place
            raise wire.bad_request(
                f"Can't rollback namespace(appId={app}, clusterName={cluster}, "
                f"namespaceName={namespace}) because there is only one active release"
            )
        operator = wire.text_field(dict(request.query_params), "operator", MAX_OPERATOR)
        self._store.rollback(release, operator)
        return Response()

    def _known_app(self, request: Request) -> str:
        app: str = request.path_params["app"]
        if app not in self._store.apps:
            raise wire.not_found(f"app not found for appId:{app[:64]}")
        return app

    def _place(self, request: Request) -> Place:
        params = request.path_params
        place = (params["app"], params["cluster"], params["namespace"])
        if place not in self._store.instances:
            raise wire.not_found(
                "namespace not found for appId:{} clusterName:{} namespaceName:{}".format(
                    *(part[:64] for part in place)
                )
            )
        return place

    def _item_dto(self, item: Item) -> dict[str, Any]:
        return {
            "id": item.id,
            "namespaceId": self._store.instances[item.place],
            "key": item.key,
            "type": 0,
            "value": item.value,
            "lineNum": 1,
            "dataChangeLastModifiedBy": item.by,
            "dataChangeLastModifiedTime": _time(item.at),
        }


def _app(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": record["name"],
        "appId": record["app"],
        "dataChangeCreatedBy": record["by"],
        "dataChangeCreatedTime": _time(record["at"]),
    }


def _release(release: Release) -> dict[str, Any]:
    app, cluster, namespace = release.place
    return {
        "id": release.id,
        "releaseKey": release.key,
        "name": release.name,
        "appId": app,
        "clusterName": cluster,
        "namespaceName": namespace,
        "configurations": wire.gson(release.configurations),
        "comment": release.comment,
        "isAbandoned": release.abandoned,
        "dataChangeCreatedBy": release.by,
        "dataChangeCreatedTime": _time(release.at),
    }


def _operator(body: dict[str, Any]) -> str:
    changed = wire.text_field(body, "dataChangeLastModifiedBy", MAX_OPERATOR, "")
    return changed or wire.text_field(body, "dataChangeCreatedBy", MAX_OPERATOR, "")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) >= MAX_ID:  # noqa: PLR2004 - digits of 64 bits
        raise wire.bad_request(f"{text[:40]!r} is not an id")
    return int(text)


def _page_number(text: str | None, default: int, low: int, high: int) -> int:
    """A number of a page as Spring reads it: the default in the place of a wrong one."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 10:  # noqa: PLR2004 - digits of 32 bits
        return default
    number = int(text)
    return default if number < low else min(number, high)


def _time(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}+0000"
