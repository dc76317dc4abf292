"""Publishes texts through Apollo's admin service; our development server and Apollo alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import msgspec
import requests

from configs.apollo_http import short_reason
from configs.client import CONTENT
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "millrace"
"""Of a release that replaces whatever was there."""

T = TypeVar("T")

_FORMATS: Final = frozenset({"json", "yaml", "yml", "xml", "txt"})
_TIMEOUTS_S: Final = (3.0, 30.0)  # connect, read: a release is a transaction of a database
_MISSING: Final = 404
_REFUSED: Final = 400
_BROKEN: Final = 500
_EXISTS: Final = "already exists"


class Published(msgspec.Struct, frozen=True):
    """A release.

    Args:
        release_id: Rises with every release of the server.
        release_key: What clients know it by.
        text: What it holds under the key ``content``, None if nothing.
        name: Given by its publisher.
    """

    release_id: int
    release_key: str
    text: str | None
    name: str = ""


class Publisher:
    """Writes namespaces of one app and cluster.

    Args:
        admin: Address of the admin service, e.g. ``http://localhost:8090``.
        app_id: Made if absent.
        cluster: Made if absent.
        operator: Who publishes, for the audit trail.
        session: Its connections.
    """

    def __init__(
        self,
        admin: str,
        app_id: str,
        cluster: str = "default",
        operator: str = "apollo",
        session: requests.Session | None = None,
    ) -> None:
        self._admin = admin.rstrip("/")
        self._app_id = app_id
        self._cluster = cluster
        self._operator = operator
        self._session = session or requests.Session()
        self._session.trust_env = False

    def publish(self, namespace: str, text: str, comment: str = "") -> str:
        """Make a text the content of a namespace, whatever it holds now.

        Everything absent is made: app, cluster, namespace, item. Drafts that others left in the
        namespace go out with it; that is how Apollo publishes.

        Args:
            namespace: With its suffix, e.g. ``millrace.json``.
            text: The whole content.
            comment: Why, for the audit trail; at most 256 characters.

        Returns:
            The release key.

        Raises:
            ConfigInvalid: The service refuses it, e.g. because it is too long.
            ConfigUnavailable: The service cannot be reached or fails.
        """
        return self.release(namespace, text, comment, NAME).release_key

    def release(self, namespace: str, text: str, comment: str, name: str) -> Published:
        """Like :meth:`publish`, under a name.

        Args:
            namespace: As in :meth:`publish`, also for the others.
            text: The whole content.
            comment: Why.
            name: At most 64 characters.

        Returns:
            The release as the server made it. Its text is another than the given one if
            somebody else wrote a draft in between.

        Raises:
            ConfigInvalid, ConfigUnavailable: As in :meth:`publish`.
        """
        self._draft(namespace, text)
        query = {"name": name, "comment": comment, "operator": self._operator}
        path = f"{self._path(namespace)}/releases"
        release = self._call("POST", path, query=query, namespace=namespace)
        if not release:
            raise ConfigUnavailable(f"{self._admin} published {namespace} but gave no release")
        return self._published(namespace, release)

    def current(self, namespace: str) -> Published | None:
        """The latest release, None if there is none.

        Raises:
            ConfigUnavailable: The service cannot be reached or fails.
        """
        release = self._call("GET", f"{self._path(namespace)}/releases/latest")
        return self._published(namespace, release) if release else None

    def active(self, namespace: str, size: int) -> list[Published]:
        """The latest releases, newest first; none that was rolled back.

        Args:
            namespace: As in :meth:`publish`.
            size: How many at most.

        Raises:
            ConfigUnavailable: The service cannot be reached or fails.
        """
        query = {"page": "0", "size": str(size)}
        answer = self._send("GET", f"{self._path(namespace)}/releases/active", query=query)
        releases = self._decode(answer, list[dict[str, Any]]) if answer else []
        return [self._published(namespace, release) for release in releases]

    def rollback(self, release_id: int) -> None:
        """Abandon a release; clients get the one before.

        Raises:
            ConfigInvalid: The service refuses it, e.g. because it is the only one.
            ConfigUnavailable: The service cannot be reached or fails.
        """
        path = f"/releases/{release_id}/rollback"
        self._call("PUT", path, query={"operator": self._operator})

    def _published(self, namespace: str, release: Mapping[str, Any]) -> Published:
        try:
            text = json.loads(release["configurations"]).get(CONTENT)
            key, name = str(release["releaseKey"]), str(release.get("name", ""))
            return Published(int(release["id"]), key, text, name)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigUnavailable(
                f"{self._admin}: a release of {namespace} cannot be read: {error!r}"
            ) from error

    def _draft(self, namespace: str, text: str) -> None:
        """Write the item that the next release will hold."""
        path = f"{self._path(namespace)}/items"
        known = self._call("GET", f"{path}/{CONTENT}")
        if known is None:
            item = {"namespaceId": self._namespace_id(namespace), "key": CONTENT, "value": text}
            if self._ensure(path, item | {"type": 0, "lineNum": 1}, namespace):
                return
            known = self._call("GET", f"{path}/{CONTENT}")  # somebody else made it just now
        if known is None or not isinstance(known.get("id"), int):
            raise ConfigUnavailable(f"{self._admin}: the item of {namespace} cannot be read")
        item = {name: known.get(name) for name in ("id", "namespaceId", "key", "type", "lineNum")}
        item |= {"value": text, **self._by()}
        self._call("PUT", f"{path}/{known['id']}", item, namespace=namespace)

    def _namespace_id(self, namespace: str) -> int:
        path = self._path(namespace)
        found = self._call("GET", path)
        if found is None:
            self._make(namespace)
            found = self._call("GET", path)
        if not found or not isinstance(found.get("id"), int):
            raise ConfigUnavailable(f"{self._admin}: {namespace} was made but is not there")
        namespace_id: int = found["id"]
        return namespace_id

    def _make(self, namespace: str) -> None:
        app = {"appId": self._app_id, "name": self._app_id, "orgId": "default"}
        app |= {"orgName": "default", "ownerName": self._operator}
        app["ownerEmail"] = f"{self._operator}@localhost"
        self._ensure("/apps", app)
        here = f"/apps/{quote(self._app_id, safe='')}"
        suffix = namespace.rpartition(".")[2].lower()
        definition = {"appId": self._app_id, "name": namespace, "isPublic": False, "comment": ""}
        definition["format"] = suffix if suffix in _FORMATS else "properties"
        self._ensure(f"{here}/appnamespaces", definition)
        if self._cluster != "default":
            self._ensure(f"{here}/clusters", {"appId": self._app_id, "name": self._cluster})

    def _ensure(self, path: str, body: dict[str, Any], namespace: str = "$") -> bool:
        """Make something, unless it is there; gives whether it was made."""
        try:
            self._call("POST", path, body | self._by(), namespace=namespace)
        except ConfigInvalid as error:
            if _EXISTS not in str(error):
                raise
            return False
        return True

    def _path(self, namespace: str) -> str:
        app, cluster, name = (
            quote(part, safe="") for part in (self._app_id, self._cluster, namespace)
        )
        return f"/apps/{app}/clusters/{cluster}/namespaces/{name}"

    def _by(self) -> dict[str, str]:
        return {
            "dataChangeCreatedBy": self._operator,
            "dataChangeLastModifiedBy": self._operator,
        }

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        namespace: str = "$",
    ) -> dict[str, Any] | None:
        """One request for an object; None for 404 of a GET and for an empty answer."""
        answer = self._send(method, path, body, query, namespace)
        return self._decode(answer, dict[str, Any]) if answer else None

    def _decode(self, answer: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise ConfigUnavailable(
                f"{self._admin}: an answer is not what an admin service gives: {error}; is it one?"
            ) from error

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        namespace: str = "$",
    ) -> bytes | None:
        """One request; None for 404 of a GET."""
        try:
            response = self._session.request(
                method,
                self._admin + path,
                params=query,
                json=body,
                timeout=_TIMEOUTS_S,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise ConfigUnavailable(f"{self._admin}: {short_reason(error)}") from error
        status = response.status_code
        if status == _MISSING and method == "GET":
            return None
        if status >= _BROKEN:
            raise ConfigUnavailable(f"{self._admin}{path}: status {status} {_message(response)}")
        if status >= _REFUSED:
            message = f"{self._admin} refuses: {_message(response)}"
            cure = "move large parts into blobs" if "too long" in message else ""
            raise ConfigInvalid([Fault(namespace, message, cure)])
        return response.content


def _message(response: requests.Response) -> str:
    try:
        value = response.json()
    except ValueError:
        return response.text[:200]
    return str(value.get("message", value))[:500] if isinstance(value, dict) else str(value)[:200]
