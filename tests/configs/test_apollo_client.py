"""The client, against our server over real HTTP and against scripted answers."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter

from configs import apollo_http
from configs.apollo_settings import ClientSettings
from configs.backoff import Backoff
from configs.client import ApolloClient, Failed, Idle, Loaded
from configs.publish import Publisher
from udfs.errors import ConfigUnavailable, SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.configs.conftest import LiveServer

Answer = tuple[int, Any] | Exception


class Script(BaseAdapter):
    """Answers requests from a function, and keeps them."""

    def __init__(self, answer: Callable[[requests.PreparedRequest], Answer]) -> None:
        super().__init__()
        self._answer = answer
        self.seen: list[requests.PreparedRequest] = []
        self.timeouts: list[Any] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Answer."""
        self.seen.append(request)
        self.timeouts.append(options["timeout"])
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, value = answer
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        response.raw = io.BytesIO(body)
        response.request, response.url = request, str(request.url)
        return response

    def close(self) -> None:
        """Nothing to close."""


class Bench:
    """A client with a scripted server and a hand-made clock."""

    def __init__(
        self, answer: Callable[[requests.PreparedRequest], Answer], **settings: Any
    ) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []
        self.script = Script(answer)
        session = requests.Session()
        session.mount("http://", self.script)
        given = {"app_id": "a1", "services": ("http://one", "http://two")} | settings
        self.client = ApolloClient(
            ClientSettings(**given),
            session,
            sleep=self.sleep,
            monotonic=lambda: self.now_s,
            now_ms=lambda: 1_576_478_257_344,
            uniform=lambda _low, high: high,
        )

    def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.slept.append(seconds)
        self.now_s += seconds


def full(key: str = "k1", text: str = "{}") -> Answer:
    """A whole config."""
    return 200, {"appId": "a1", "configurations": {"content": text}, "releaseKey": key}


def published(server: LiveServer, namespace: str, text: str) -> str:
    """Publish through the admin service."""
    return Publisher(server.url, "a1").publish(namespace, text)


def settings_of(server: LiveServer, **more: Any) -> ClientSettings:
    """Settings for a live server."""
    return ClientSettings(app_id="a1", meta=(server.url,), **more)


def test_it_finds_loads_and_keeps(start_server: Callable[..., LiveServer]) -> None:
    """Discovery, the text, 304 for what is held, 404 for what never was."""
    server = start_server()
    key = published(server, "millrace.json", '{"a": "<é>"}')
    client = ApolloClient(settings_of(server))
    assert client.load("millrace.json") == Loaded("millrace.json", "ok", key, '{"a": "<é>"}')
    assert client.load("millrace.json", key) == Loaded("millrace.json", "unchanged", key)
    assert client.load("nothing.json") == Loaded("nothing.json", "absent")
    client.close()


def test_a_publish_wakes_the_poll(start_server: Callable[..., LiveServer]) -> None:
    """First what is there, then the change, long before the hold ends."""
    server = start_server(hold_s=30.0)
    published(server, "a.json", "1")
    client = ApolloClient(settings_of(server))
    news = client.poll(["a.json", "b.json"])
    first = [next(news), next(news)]
    assert [(one.namespace, one.status) for one in first if isinstance(one, Loaded)] == [
        ("a.json", "ok"),
        ("b.json", "absent"),
    ]
    with ThreadPoolExecutor(1) as pool:
        change = pool.submit(next, news)
        server.until_held()
        key = published(server, "b.json", "2")
        assert change.result(20) == Loaded("b.json", "ok", key, "2")
    client.close()


def test_it_survives_a_restart_of_the_server(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """While the server is down it fails with a reason, then it goes on from where it was."""
    server = start_server(tmp_path / "r", hold_s=30.0)
    published(server, "a.json", "1")
    client = ApolloClient(settings_of(server), sleep=lambda _: None)
    news = client.poll(["a.json"])
    assert isinstance(next(news), Loaded)
    server.stop()
    failed = next(news)
    assert isinstance(failed, Failed)
    assert "refused" in failed.problem
    again = start_server(tmp_path / "r", port=server.port, hold_s=30.0)
    key = published(again, "a.json", "2")
    for item in news:
        if isinstance(item, Loaded):
            assert item == Loaded("a.json", "ok", key, "2")
            break
    client.close()


def query_of(request: requests.PreparedRequest) -> dict[str, str]:
    """The parameters of a request."""
    return dict(parse_qsl(urlsplit(str(request.url)).query))


def test_a_notification_counts_only_after_the_load_succeeded() -> None:
    """A failed load leaves the id, so the next poll names the namespace again."""
    polled: list[int] = []
    loads: list[dict[str, str]] = []

    def answer(request: requests.PreparedRequest) -> Answer:
        query = query_of(request)
        if "notifications" in query:
            polled.append(json.loads(query["notifications"])[0]["notificationId"])
            details = {"details": {"a1+default+n": 7}}
            news = [{"namespaceName": "n", "notificationId": 7, "messages": details}]
            return (200, news) if polled[-1] < 7 else (304, b"")
        loads.append(query)
        return (500, b"") if len(loads) == 2 else full(f"k{len(loads)}")

    news = Bench(answer, services=("http://one",)).client.poll(["n"])
    assert next(news) == Loaded("n", "ok", "k1", "{}")
    assert isinstance(next(news), Failed)
    # All namespaces failed, so the load comes again before a poll.
    assert next(news) == Loaded("n", "ok", "k3", "{}")
    assert isinstance(next(news), Idle)
    assert polled == [-1, 7]
    messages = '{"details":{"a1+default+n":7}}'
    assert loads == [
        {},
        {"releaseKey": "k1", "messages": messages},
        {"releaseKey": "k1", "messages": messages},
    ]


def test_one_broken_namespace_does_not_hold_back_the_other() -> None:
    """The poll goes on for the rest."""
    loads: list[str] = []

    def answer(request: requests.PreparedRequest) -> Answer:
        url = str(request.url)
        if "/notifications" in url:
            return 200, [
                {"namespaceName": name, "notificationId": len(loads)} for name in ("bad", "good")
            ]
        loads.append(url)
        return (500, b"") if "/bad" in url else full(f"k{len(loads)}")

    news = Bench(answer).client.poll(["bad", "good"])
    kinds = [type(next(news)).__name__ for _ in range(6)]
    assert kinds == ["Loaded", "Failed"] * 3


def test_waits_double_up_to_a_limit_and_start_anew() -> None:
    """Each failure waits longer; a success forgets."""
    down = True

    def answer(request: requests.PreparedRequest) -> Answer:
        if down:
            return requests.ConnectionError("refused")
        return (304, b"") if "/notifications" in str(request.url) else full()

    bench = Bench(answer, max_backoff_s=5.0)
    news = bench.client.poll(["n"])
    for _ in range(5):
        assert isinstance(next(news), Failed)
    assert bench.slept == [1.0, 2.0, 4.0, 5.0, 5.0]
    down = False
    assert isinstance(next(news), Loaded)
    assert isinstance(next(news), Idle)
    down = True
    assert isinstance(next(news), Failed)
    assert bench.slept[-1] == 1.0


def test_waits_are_spread() -> None:
    """The draw is from the upper half of the wait."""
    backoff = Backoff(1.0, 60.0, lambda low, _high: low)
    assert [backoff.failed() for _ in range(3)] == [0.5, 1.0, 2.0]


def test_every_namespace_is_asked_again_after_a_while() -> None:
    """Whatever the polls say: the ids of a restored server may lie below ours."""
    keys = iter(["k1", "k2"])

    def answer(request: requests.PreparedRequest) -> Answer:
        return (304, b"") if "/notifications" in str(request.url) else full(next(keys))

    bench = Bench(answer)
    news = bench.client.poll(["n"])
    assert isinstance(next(news), Loaded)
    assert isinstance(next(news), Idle)
    bench.now_s += 301
    assert next(news) == Loaded("n", "ok", "k2", "{}")


def test_the_next_service_is_asked_when_one_fails() -> None:
    """And the one that answered stays first."""

    def answer(request: requests.PreparedRequest) -> Answer:
        return (503, b"") if "//one" in str(request.url) else full()

    bench = Bench(answer)
    bench.client.load("n")
    bench.client.load("n")
    hosts = [str(request.url).split("/")[2] for request in bench.script.seen]
    assert hosts == ["one", "two", "two"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param((401, b"Unauthorized"), "status 401 Unauthorized", id="signature"),
        pytest.param((302, b""), "status 302", id="redirect"),
        pytest.param((200, b"<html>"), "not a JSON object", id="html"),
        pytest.param((200, b"[]"), "not a JSON object", id="list"),
        pytest.param((200, {"releaseKey": "k"}), "no configurations", id="half"),
        pytest.param(requests.ReadTimeout("read timed out"), "read timed out", id="timeout"),
        pytest.param((200, b"x" * (9 << 20)), "more than 8388608 bytes", id="flood"),
        pytest.param((200, {"configSyncType": "Odd"}), "configSyncType", id="sync type"),
    ],
)
def test_an_answer_that_cannot_be_used_is_unavailable(answer: Answer, problem: str) -> None:
    """One error with the reason, never another."""
    with pytest.raises(ConfigUnavailable, match=problem):
        Bench(lambda _: answer).client.load("n")


def test_changes_only_are_answered_by_asking_for_all() -> None:
    """A server that sends changes against our key is asked again without it."""

    def answer(request: requests.PreparedRequest) -> Answer:
        if "releaseKey" in str(request.url):
            return 200, {"configSyncType": "IncrementalSync", "releaseKey": "k2"}
        return full("k2")

    assert Bench(answer).client.load("n", "k1").release_key == "k2"


def test_requests_are_signed_with_the_bytes_on_the_wire() -> None:
    """Apollo's own test vector, through the whole client."""
    bench = Bench(
        lambda _: full(),
        app_id="100004458",
        ip="10.0.0.1",
        secret="df23df3f59884980844ff3dada30fa97",
    )
    bench.client.load("application")
    (request,) = bench.script.seen
    assert request.path_url == "/configs/100004458/default/application?ip=10.0.0.1"
    assert request.headers["Timestamp"] == "1576478257344"
    assert request.headers["Authorization"] == "Apollo 100004458:EoKyziXvKqzHgwx+ijDJwgVTDgE="


def test_the_poll_waits_longer_than_the_server_holds() -> None:
    """90 s, whatever the timeout of loads is."""
    bench = Bench(lambda _: (304, b""))
    bench.client.notifications({"n": -1})
    assert bench.script.timeouts == [(1.0, 90.0)]


def test_no_meta_server_says_which_were_asked() -> None:
    """Every address with its reason."""
    bench = Bench(lambda _: (200, []), services=(), meta=("http://m1", "http://m2"))
    with pytest.raises(ConfigUnavailable) as caught:
        bench.client.load("n")
    for meta in ("http://m1", "http://m2"):
        assert f"{meta}: status 200, no config service is registered there" in str(caught.value)


def test_settings_come_from_apollos_variables() -> None:
    """What is given comes first; the secret is never shown."""
    environment = {
        "APP_ID": "a",
        "APOLLO_META": "http://m1, http://m2",
        "APOLLO_CLUSTER": "bj",
        "APOLLO_ACCESS_KEY_SECRET": "s3cret",
    }
    settings = ClientSettings.from_environment(environment, app_id="b", cluster=None)
    assert (settings.app_id, settings.cluster) == ("b", "bj")
    assert settings.meta == ("http://m1", "http://m2")
    assert settings.secret == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "cure"),
    [
        ({}, "APP_ID"),
        ({"APP_ID": "a"}, "APOLLO_META"),
        ({"APP_ID": "a", "APOLLO_META": "m:1"}, "http://"),
    ],
)
def test_settings_that_cannot_work_say_what_to_set(environment: dict[str, str], cure: str) -> None:
    """At start, not at the first request."""
    with pytest.raises(SettingsInvalid, match=cure):
        ClientSettings.from_environment(environment)


def test_the_size_limit_is_above_apollos() -> None:
    """A value of Apollo's default limit always fits."""
    assert apollo_http.MAX_BODY_BYTES > 20_000 * 12
