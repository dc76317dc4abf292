"""Answers recorded from Apollo's own controllers, replayed against our server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from configs.server.store import AppNamespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.configs.conftest import LiveServer

GOLDEN = Path(__file__).parents[1] / "conformance" / "apollo_golden.json"
EXCHANGES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["exchanges"]
MIDNIGHT_MS = 1_767_225_600_000  # 2026-01-01, the time in the recorded release keys
HELD = "3 publish while held"
REPLAYED_AND_SKIPPED = (35, 15)  # one more is the next test

NOT_BUILT = {
    "gray": ("11 gray ip", "11 gray label", "11 gray xff"),
    "incremental": ("12 incremental", "13b config after rollback (incremental)"),
    "configfiles": ("11 configfiles gray", "16 ", "16b", "16c", "16d", "16e"),
    "access keys": ("17 no sig", "17b", "17d"),
    "registry": ("17g services",),  # the recording had no registry; ours always answers
}


def feature_of(exchange: dict[str, Any]) -> str | None:
    """Name the feature an exchange needs and our server does not have."""
    label = exchange.get("label", "")
    for feature, prefixes in NOT_BUILT.items():
        if label and label.startswith(prefixes):
            return feature
    return None


@pytest.fixture
def start(start_server: Callable[..., LiveServer]) -> Callable[[float], LiveServer]:
    """Start a server whose clock stands at the recording's time."""

    def start_(hold_s: float) -> LiveServer:
        server = start_server(hold_s=hold_s, now_ms=lambda: MIDNIGHT_MS, first_sequence=0)
        for name in ("a1", "pub"):
            server.call(lambda: server.app.state.store.create_app(name, name, "test"))  # noqa: B023 - called at once
        return server

    return start_


def get(server: LiveServer, request: dict[str, Any]) -> requests.Response:
    """Send a recorded request."""
    url = server.url + request["path"]
    return requests.get(url, headers=request["headers"], allow_redirects=False, timeout=20)


def change(store: Any, exchange: dict[str, Any]) -> None:
    """Make the recorded change of state, with the recorded ids."""
    params, first = exchange["params"], int(exchange["result"].split()[0])
    store.sequence = first - 1
    match exchange["op"]:
        case "ns" if params["name"] != "application":  # made together with the app
            public = params.get("pub") == "true"
            store.create_namespace(
                AppNamespace(params["app"], params["name"], "properties", public), "test"
            )
        case "rel":
            place = (params["app"], params["cl"], params["ns"])
            release = store.publish(place, "r", "", "test", exchange["body"])
            assert f"{release.id} {release.key}" == exchange["result"]
        case "rollback":
            store.rollback(store.releases[int(params["id"])], "test")


def ordered(body: Any) -> Any:
    """A body without what is free: the order of notifications, and times."""
    if isinstance(body, list):
        return sorted(body, key=lambda entry: entry["namespaceName"])
    if isinstance(body, dict):
        return {key: value for key, value in body.items() if key != "timestamp"}
    return body


def test_every_recorded_exchange_gets_apollos_answer(
    start: Callable[[float], LiveServer],
) -> None:
    """Status, media type and body of all exchanges whose feature is built."""
    server = start(0.2)
    skipped: dict[str, int] = {}
    replayed = 0
    for index, exchange in enumerate(EXCHANGES):
        if "op" in exchange:
            if exchange["op"] in ("ns", "rel", "rollback"):
                server.call(lambda: change(server.app.state.store, exchange))  # noqa: B023 - called at once
            continue
        if feature := feature_of(exchange):
            skipped[feature] = skipped.get(feature, 0) + 1
            continue
        if exchange.get("label") == HELD:
            continue  # recorded with a publish during the hold: the next test
        request, expected = exchange["request"], exchange["response"]
        response = get(server, request)
        where = f"exchange {index} {exchange.get('label', '')}: {request['path']}"
        assert response.status_code == expected["status"], where
        if expected["body"] is not None:
            assert ordered(response.json()) == ordered(expected["body"]), where
            assert response.headers["content-type"].lower() == expected["contentType"], where
        elif expected["status"] == 304:
            assert response.content == b"", where
        replayed += 1
    assert (replayed, sum(skipped.values())) == REPLAYED_AND_SKIPPED, skipped


def test_a_publish_wakes_a_held_poll_with_the_one_changed_namespace(
    start: Callable[[float], LiveServer],
) -> None:
    """Recorded exchange 3: two namespaces are waited for, one is published."""
    server = start(20.0)
    number, held = next(
        (number, exchange)
        for number, exchange in enumerate(EXCHANGES)
        if exchange.get("label") == HELD
    )
    *before, publish = [exchange for exchange in EXCHANGES[:number] if "op" in exchange]
    for exchange in before:
        server.call(lambda: change(server.app.state.store, exchange))  # noqa: B023 - called at once
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(get, server, held["request"])
        server.until_held()
        server.call(lambda: change(server.app.state.store, publish))
        assert poll.result(20).json() == held["response"]["body"]
