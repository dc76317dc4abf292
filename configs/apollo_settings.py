"""Where Apollo is and as whom it is read, from Apollo's own environment variables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from udfs.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read and as whom.

    Args:
        app_id: Apollo's app.
        cluster: Its cluster; ``default`` is always looked at as well.
        meta: Addresses that know the config services.
        services: Addresses of config services; then ``meta`` is not asked.
        secret: Access key; comes from the environment only and is never shown.
        data_center, ip, label: Passed on; see Apollo.
        connect_timeout_s, read_timeout_s: Of every request but the poll.
        poll_timeout_s: Of the poll; the server holds it for 60 s, so more than that.
        refresh_s: Every namespace is asked for at least this often, whatever polls say.
        first_backoff_s, max_backoff_s: Wait after a failure, doubled each time. Java's
            client waits up to 120 s; one watcher a job can ask more often.
    """

    app_id: str
    cluster: str = "default"
    meta: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    secret: str | None = None
    data_center: str | None = None
    ip: str | None = None
    label: str | None = None
    connect_timeout_s: float = 1.0
    read_timeout_s: float = 5.0
    poll_timeout_s: float = 90.0
    refresh_s: float = 300.0
    first_backoff_s: float = 1.0
    max_backoff_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.app_id:
            raise SettingsInvalid("no Apollo app id: set APP_ID, or app_id in the settings")
        if not self.meta and not self.services:
            raise SettingsInvalid(
                "no address of Apollo: set APOLLO_META (e.g. http://localhost:8080) "
                "or APOLLO_CONFIG_SERVICE"
            )
        for url in (*self.meta, *self.services):
            if not url.startswith(("http://", "https://")):
                raise SettingsInvalid(
                    f"address {url!r} of Apollo must start with http:// or https://"
                )

    def __repr__(self) -> str:
        shown = msgspec.structs.replace(self, secret=None)
        return f"ClientSettings({msgspec.json.encode(shown).decode()})"

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, **given: Any
    ) -> ClientSettings:
        """Settings from Apollo's variables; what is given and not None comes first.

        Args:
            environment: ``APP_ID``, ``APOLLO_META``, ``APOLLO_CONFIG_SERVICE`` (both may list
                several, with commas), ``APOLLO_CLUSTER``, ``IDC``, ``APOLLO_LABEL``,
                ``APOLLO_ACCESS_KEY_SECRET``.
            given: Fields of the class.
        """
        names = {
            "app_id": "APP_ID",
            "cluster": "APOLLO_CLUSTER",
            "data_center": "IDC",
            "label": "APOLLO_LABEL",
            "secret": "APOLLO_ACCESS_KEY_SECRET",
        }
        fields: dict[str, Any] = {
            field: environment[name] for field, name in names.items() if environment.get(name)
        }
        for field, name in (("meta", "APOLLO_META"), ("services", "APOLLO_CONFIG_SERVICE")):
            addresses = (part.strip() for part in environment.get(name, "").split(","))
            fields[field] = tuple(part for part in addresses if part)
        fields |= {field: value for field, value in given.items() if value is not None}
        return cls(**{"app_id": "", **fields})
