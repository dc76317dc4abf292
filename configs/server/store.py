"""Apps, namespaces, items and releases: what the journal's records add up to.

Every change is one record: made, written to the journal, then applied. Reading the journal
applies the same records, so memory after a restart is memory before it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from configs.server import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from configs.server.journal import Journal

Place = tuple[str, str, str]
"""App, cluster, namespace."""


class AppNamespace(msgspec.Struct):
    """The definition of a namespace name."""

    app: str
    name: str
    format: str
    public: bool


class Item(msgspec.Struct):
    """A draft."""

    id: int
    place: Place
    key: str
    value: str
    by: str
    at: int


class Release(msgspec.Struct):
    """What clients see."""

    id: int
    place: Place
    key: str
    name: str
    comment: str
    configurations: dict[str, str]
    by: str
    at: int
    abandoned: bool = False


class Store:
    """The state and its commands; a command returns what it made. Names come checked.

    Args:
        journal: Where records are kept.
        now_ms: Wall-clock time.
        on_message: Called after a release or rollback with the watch key and the message id.
    """

    def __init__(
        self,
        journal: Journal,
        now_ms: Callable[[], int],
        on_message: Callable[[str, int], None] = lambda _key, _id: None,
    ) -> None:
        self._journal = journal
        self._now_ms = now_ms
        self._on_message = on_message
        self.sequence = journal.sequence
        self.apps: dict[str, dict[str, Any]] = {}
        self.clusters: defaultdict[str, list[str]] = defaultdict(list)
        self.namespaces: dict[tuple[str, str], AppNamespace] = {}
        self.instances: dict[Place, int] = {}
        self.items: defaultdict[Place, dict[str, Item]] = defaultdict(dict)
        self.releases: dict[int, Release] = {}
        self.active: defaultdict[Place, list[Release]] = defaultdict(list)
        self.messages: dict[str, int] = {}
        for record in journal.records:
            self._apply(record)

    def create_app(self, app: str, name: str, by: str) -> dict[str, Any]:
        """An app with cluster ``default`` and namespace ``application``."""
        app_id, instance = self._ids(2)
        self._commit(
            {"kind": "app", "id": app_id, "app": app, "name": name, "by": by, "instance": instance}
        )
        return self.apps[app]

    def create_cluster(self, app: str, cluster: str, by: str) -> None:
        """A cluster with every namespace of the app."""
        of_app = [name for owner, name in self.namespaces if owner == app]
        instances = dict(zip(of_app, self._ids(len(of_app)), strict=True))
        self._commit(
            {"kind": "cluster", "app": app, "cluster": cluster, "instances": instances, "by": by}
        )

    def create_namespace(self, namespace: AppNamespace, by: str) -> None:
        """A namespace in every cluster of its app."""
        clusters = self.clusters[namespace.app]
        instances = dict(zip(clusters, self._ids(len(clusters)), strict=True))
        fields = msgspec.structs.asdict(namespace)
        self._commit({"kind": "namespace", **fields, "instances": instances, "by": by})

    def set_item(self, place: Place, key: str, value: str, by: str) -> Item:
        """Create or change a draft."""
        known = self.items[place].get(key)
        item_id = known.id if known else self._ids(1)[0]
        self._commit(
            {"kind": "item", "id": item_id, "place": place, "key": key, "value": value, "by": by}
        )
        return self.items[place][key]

    def publish(
        self,
        place: Place,
        name: str,
        comment: str,
        by: str,
        configurations: dict[str, str] | None = None,
    ) -> Release:
        """Make a release of all drafts (or of the given values) and send its message."""
        if configurations is None:
            configurations = {item.key: item.value for item in self.items[place].values()}
        release_id, message = self._ids(2)
        stamp = datetime.fromtimestamp(self._now_ms() / 1000, UTC).strftime("%Y%m%d%H%M%S")
        self._commit(
            {
                "kind": "release",
                "id": release_id,
                "message": message,
                "place": place,
                "key": f"{stamp}-{release_id:016x}",
                "name": name,
                "comment": comment,
                "configurations": configurations,
                "by": by,
            }
        )
        return self.releases[release_id]

    def rollback(self, release: Release, by: str) -> None:
        """Abandon a release; the active one before it is the latest again."""
        (message,) = self._ids(1)
        self._commit({"kind": "rollback", "id": release.id, "message": message, "by": by})

    def canonical(self, app: str, namespace: str) -> str:
        """The name a namespace was created with, from any spelling of it."""
        name = names.strip_properties(namespace)
        folded = name.lower()
        public = None
        for known in self.namespaces.values():
            if known.name.lower() == folded:
                if known.app == app:
                    return known.name
                if known.public:
                    public = known.name
        return public or name

    def public_owner(self, app: str, namespace: str) -> str | None:
        """The other app whose public namespace this is, unless the app has one of that name."""
        if namespace == names.APPLICATION or (app, namespace) in self.namespaces:
            return None
        for known in self.namespaces.values():
            if known.public and known.name == namespace:
                return known.app
        return None

    def latest(self, place: Place) -> Release | None:
        """The newest release that was not abandoned."""
        active = self.active.get(place)
        return active[-1] if active else None

    def _ids(self, count: int) -> list[int]:
        return list(range(self.sequence + 1, self.sequence + count + 1))

    def _commit(self, record: dict[str, Any]) -> None:
        record["at"] = self._now_ms()
        self._journal.append(record)
        message = self._apply(record)
        if message:
            self._on_message(*message)

    def _apply(self, record: dict[str, Any]) -> tuple[str, int] | None:
        kind = record["kind"]
        if kind == "app":
            app = record["app"]
            self.apps[app] = record
            self.clusters[app].append(names.DEFAULT_CLUSTER)
            self.namespaces[app, names.APPLICATION] = AppNamespace(
                app, names.APPLICATION, "properties", public=False
            )
            self._instance((app, names.DEFAULT_CLUSTER, names.APPLICATION), record["instance"])
            self._used(record["id"])
        elif kind == "cluster":
            self.clusters[record["app"]].append(record["cluster"])
            for name, instance in record["instances"].items():
                self._instance((record["app"], record["cluster"], name), instance)
        elif kind == "namespace":
            namespace = msgspec.convert(record, AppNamespace)
            self.namespaces[namespace.app, namespace.name] = namespace
            for cluster, instance in record["instances"].items():
                self._instance((namespace.app, cluster, namespace.name), instance)
        elif kind == "item":
            item = msgspec.convert(record, Item)
            self.items[item.place][item.key] = item
            self._used(item.id)
        elif kind == "release":
            release = msgspec.convert(record, Release)
            self.releases[release.id] = release
            self.active[release.place].append(release)
            return self._message(release.place, record["message"])
        elif kind == "rollback":
            release = self.releases[record["id"]]
            release.abandoned = True
            self.active[release.place].remove(release)
            return self._message(release.place, record["message"])
        return None

    def _instance(self, place: Place, instance: int) -> None:
        self.instances[place] = instance
        self._used(instance)

    def _message(self, place: Place, message: int) -> tuple[str, int]:
        key = names.watch_key(*place)
        self.messages[key] = message
        self._used(message)
        return key, message

    def _used(self, number: int) -> None:
        self.sequence = max(self.sequence, number)
