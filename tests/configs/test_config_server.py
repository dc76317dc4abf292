"""The development server: what it keeps, what it refuses, how it starts and stops."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from configs.publish import Publisher
from configs.server.app import build_app, listen
from configs.server.journal import Journal
from udfs.errors import ConfigInvalid, ConfigUnavailable, StateIncompatible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.configs.conftest import LiveServer

ROOT = Path(__file__).parents[2]


class Process:
    """The server as its users start it."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "configs.server", "--port", "0", "--dir", directory, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"http://[0-9.:]+", self.line)
        self.url = found[0] if found else ""

    def end(self, number: int) -> int:
        """Send a signal and give the exit status."""
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return self.process.returncode


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start servers that the end of the test kills."""
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        started.append(Process(tmp_path / "releases", *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def shared_server(
    live_server: type[LiveServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server with one release, for tests that must not change it."""
    server = live_server(tmp_path_factory.mktemp("releases"))
    Publisher(server.url, "a1").publish("n.json", "1")
    yield server
    server.stop()


def latest(url: str, namespace: str) -> dict[str, Any]:
    """What the config service answers."""
    answer: dict[str, Any] = requests.get(f"{url}/configs/a1/default/{namespace}", timeout=5).json()
    return answer


def notification_id(url: str, namespace: str) -> int:
    """The id of the last message."""
    query = {
        "appId": "a1",
        "cluster": "default",
        "notifications": json.dumps([{"namespaceName": namespace, "notificationId": -1}]),
    }
    answer = requests.get(f"{url}/notifications/v2", params=query, timeout=5).json()
    found: int = answer[0]["notificationId"]
    return found


def test_kill_9_between_publishes_loses_no_release(start_process: Callable[..., Process]) -> None:
    """What was answered is there after each restart; ids and keys go on rising."""
    ids: list[int] = []
    keys: list[str] = []
    for round_ in range(4):
        server = start_process()
        if keys:
            assert latest(server.url, "n.json")["releaseKey"] == keys[-1]
            assert notification_id(server.url, "n.json") == ids[-1]
        for _ in range(random.Random(round_).randint(1, 4)):
            keys.append(Publisher(server.url, "a1").publish("n.json", f"text {len(keys)}"))
        ids.append(notification_id(server.url, "n.json"))
        assert latest(server.url, "n.json")["configurations"] == {
            "content": f"text {len(keys) - 1}"
        }
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    assert ids == sorted(set(ids))
    assert len(set(keys)) == len(keys)


def test_sigterm_ends_it_cleanly_though_a_poll_is_held(
    start_process: Callable[..., Process],
) -> None:
    """One line when ready, status 0 at the end, without waiting for the hold."""
    server = start_process("--hold-s", "60")
    assert server.line.startswith("config server ready on http://127.0.0.1:")
    asked = json.dumps([{"namespaceName": "n", "notificationId": -1}])
    query = requests.Request(
        "GET",
        f"{server.url}/notifications/v2",
        params={"appId": "a1", "cluster": "default", "notifications": asked},
    ).prepare()
    host, port = server.url[7:].split(":")
    with socket.create_connection((host, int(port))) as held:
        held.sendall(f"GET {query.path_url} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        # An answer to a later request says that the first one is being held.
        assert requests.get(f"{server.url}/healthz", timeout=5).json() == {"status": "UP"}
        assert server.end(signal.SIGTERM) == 0
        assert b" 503 " in held.recv(4096).split(b"\r\n")[0]


def test_answers_are_sent_at_once() -> None:
    """A connection does not hold a body back until its head was acknowledged."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_head_larger_than_apollos_limit_is_refused(
    start_process: Callable[..., Process],
) -> None:
    """With 400, not with memory."""
    host, port = start_process().url[7:].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 10_300)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_port_in_use_and_a_directory_in_use_are_said(
    start_process: Callable[..., Process], tmp_path: Path
) -> None:
    """Exit status 1 and what to do, without a stack trace."""
    server = start_process()
    port = server.url.rsplit(":", 1)[1]
    for directory, words in (
        (tmp_path / "other", "free the port"),
        (tmp_path / "releases", "stop"),
    ):
        second = subprocess.run(
            [sys.executable, "-m", "configs.server", "--port", port, "--dir", directory],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert second.returncode == 1
        assert words in second.stderr
        assert "Traceback" not in second.stderr


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    """What was half written was never answered; the next line starts clean."""
    journal = Journal(tmp_path)
    journal.append({"kind": "x"})
    journal.close()
    path = tmp_path / "releases.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind":"rel')
    journal = Journal(tmp_path)
    assert journal.records == [{"kind": "x"}]
    journal.append({"kind": "y"})
    journal.close()
    assert path.read_bytes() == whole + b'{"kind":"y"}\n'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"format":1,"sequence":0}\nrubbish\n{"kind":"x"}\n', r"releases.jsonl:2 is damaged"),
        (b'{"format":2}\n', "has format 2, this server reads 1"),
    ],
)
def test_damage_is_an_error_that_says_what_to_do(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    """Nothing is skipped in silence, and the file stays as it is."""
    (tmp_path / "releases.jsonl").write_bytes(content)
    with pytest.raises(StateIncompatible, match=problem):
        Journal(tmp_path)
    assert (tmp_path / "releases.jsonl").read_bytes() == content


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Neither memory nor file."""
    app = build_app(tmp_path)
    store = app.state.store
    store.create_app("a1", "a1", "me")
    before = (tmp_path / "releases.jsonl").read_bytes()
    journal = app.state.journal

    class Full:
        """A disk that takes half of a line."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def write(self, line: bytes) -> int:
            written: int = self._inner.write(line[: len(line) // 2])
            return written

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    journal._file = Full(journal._file)
    with pytest.raises(OSError, match="disk full"):
        store.publish(("a1", "default", "application"), "r", "", "me")
    assert store.releases == {}
    assert (tmp_path / "releases.jsonl").read_bytes() == before
    journal.close()


def test_ids_go_on_rising_though_the_directory_was_deleted(tmp_path: Path) -> None:
    """A new directory starts from the time, so that clients with old ids wake up."""
    first = build_app(tmp_path / "a", now_ms=lambda: 1_000_000_000)
    second = build_app(tmp_path / "b", now_ms=lambda: 2_000_000_000)
    assert first.state.store.sequence == 1_000_000
    assert second.state.store.sequence == 2_000_000
    first.state.journal.close()
    second.state.journal.close()


@pytest.mark.parametrize(
    ("call", "options", "status", "words"),
    [
        ("GET /configs/a1/default/..%2f..%2fetc%2fpasswd", {}, 404, "Not Found"),
        ("GET /configs/a1/default/.hidden", {}, 400, "invalid namespace"),
        ("GET /configs/%20/default/n", {}, 400, "blank"),
        ("GET /configs/a1/default/" + "n" * 33, {}, 400, "at most 32"),
        ("GET /configs/a1/def'ault/n", {}, 400, "invalid cluster"),
        ("GET /configs/a1/d/n?dataCenter=../x", {}, 400, "invalid dataCenter"),
        ("DELETE /configs/a1/default/n", {}, 400, "Method Not Allowed"),
        ("GET /notifications/v2?appId=a1&cluster=default&notifications=[[[[", {}, 400, "[[[["),
        ("GET /nothing", {}, 404, "Not Found"),
        ("POST /apps", {"json": {"appId": "../x"}}, 400, "invalid appId"),
        ("POST /apps", {"json": {"appId": "a1"}}, 400, "already exists"),
        ("POST /apps", {"json": {"appId": 1}}, 400, "appId must be a text"),
        ("POST /apps", {"json": [1]}, 400, "not a JSON object"),
        ("POST /apps", {"data": "{}"}, 400, "Content-Type"),
        ("POST /apps", {"json": {"appId": "x" * (1 << 20)}}, 400, "larger than"),
        ("POST /apps", {"json": {"appId": "b"}, "headers": {"Origin": "http://x"}}, 400, "web"),
        ("POST /apps/zz/appnamespaces", {"json": {"name": "n"}}, 404, "app not found"),
        ("POST /apps/a1/appnamespaces", {"json": {"name": "a/b"}}, 400, "invalid namespace"),
        ("POST /apps/a1/appnamespaces", {"json": {"name": "n", "format": "x"}}, 400, "format"),
        ("POST /apps/a1/appnamespaces", {"json": {"name": "N.json"}}, 400, "already exists"),
        ("POST /apps/a1/clusters", {"json": {"name": "default"}}, 400, "already exists"),
        ("GET {n}/items/none", {}, 404, "item not found"),
        ("PUT {n}/items/x", {"json": {"value": "1"}}, 400, "not an id"),
        ("PUT {n}/items/99999999999999999999", {"json": {"value": "1"}}, 400, "not an id"),
        ("PUT {n}/items/1", {"json": {"value": "1"}}, 404, "item not found"),
        ("POST {n}/items", {"json": {"key": "content", "value": "x"}}, 400, "already exists"),
        ("POST {n}/items", {"json": {"key": "k", "value": "x" * 20_001}}, 400, "limit:20000"),
        ("POST {n}/items", {"json": {"key": " ", "value": "x"}}, 400, "key is blank"),
        ("POST {n}/releases", {}, 400, "name and operator"),
        ("POST {n}/releases?operator=o&name=" + "n" * 65, {}, 400, "name too long"),
        ("PUT /releases/1/rollback?operator=o", {}, 404, "release not found"),
        ("PUT /releases/x/rollback?operator=o", {}, 400, "not an id"),
    ],
)
def test_hostile_and_mistaken_requests_get_a_clear_answer(
    shared_server: LiveServer,
    call: str,
    options: dict[str, Any],
    status: int,
    words: str,
) -> None:
    """A status, a message that names the fault, and nothing kept."""
    server = shared_server
    directory = server.app.state.journal._path.parent
    kept = [path_.read_bytes() for path_ in directory.iterdir()]
    method, path = call.split(" ")
    url = server.url + path.replace("{n}", "/apps/a1/clusters/default/namespaces/n.json")
    response = requests.request(method, url, timeout=5, **options)
    assert (response.status_code, words in response.json()["message"]) == (status, True), (
        response.text
    )
    assert kept == [path_.read_bytes() for path_ in directory.iterdir()]
    assert os.listdir(directory) == ["releases.jsonl"]  # noqa: PTH208 - names are wanted


def test_bytes_that_are_no_json_are_refused(start_server: Callable[..., LiveServer]) -> None:
    """Broken UTF-8, nesting without end, half a character, nothing."""
    server = start_server()
    headers = {"Content-Type": "application/json"}
    for body in (b"\xff\xfe", b"[" * 100_000, b'{"appId":"\\ud800"}', b""):
        response = requests.post(f"{server.url}/apps", data=body, headers=headers, timeout=5)
        assert response.status_code == 400, body[:20]


def test_publisher_makes_what_is_absent_and_changes_what_is_there(
    start_server: Callable[..., LiveServer],
) -> None:
    """App, namespace and item at first, then only the item; another cluster joins."""
    server = start_server()
    publisher = Publisher(server.url, "a1", operator="me")
    with pytest.raises(ConfigInvalid):
        publisher.rollback(1 << 64)
    assert publisher.current("n.json") is None
    keys = [publisher.publish("n.json", text, "why") for text in ("1", "2")]
    current = publisher.current("n.json")
    assert current is not None
    assert (current.release_key, current.text) == (keys[1], "2")
    publisher.rollback(current.release_id)
    assert publisher.current("n.json") != current
    with pytest.raises(ConfigInvalid, match="only one active release"):
        publisher.rollback(current.release_id - 2)
    with pytest.raises(ConfigInvalid, match="not active"):
        publisher.rollback(current.release_id)
    elsewhere = Publisher(server.url, "a1", cluster="bj")
    key = elsewhere.publish("n.json", "3")
    answer = requests.get(f"{server.url}/configs/a1/bj/n.json", timeout=5).json()
    assert (answer["cluster"], answer["releaseKey"]) == ("bj", key)
    with pytest.raises(ConfigInvalid, match=r"value too long.*blobs"):
        publisher.publish("n.json", "x" * 20_001)


def test_active_releases_come_newest_first_in_pages(
    start_server: Callable[..., LiveServer],
) -> None:
    """Those that were rolled back are left out; a wrong number is the default, as in Apollo."""
    server = start_server()
    publisher = Publisher(server.url, "a1")
    assert publisher.active("n.json", 20) == []
    for count in range(25):
        publisher.publish("n.json", f"text {count}")
    newest = publisher.current("n.json")
    assert newest is not None
    publisher.rollback(newest.release_id)
    left = [f"text {count}" for count in range(23, -1, -1)]
    assert [release.text for release in publisher.active("n.json", 100)] == left
    assert publisher.active("n.json", 1) == [publisher.current("n.json")]
    url = f"{server.url}/apps/a1/clusters/default/namespaces/n.json/releases/active"

    def texts(query: str) -> list[str]:
        answer: list[dict[str, Any]] = requests.get(f"{url}?{query}", timeout=5).json()
        return [json.loads(release["configurations"])["content"] for release in answer]

    assert texts("") == texts("page=-1&size=0") == texts("page=x&size=y") == left[:20]
    assert texts("page=1&size=20") == left[20:]
    assert texts("page=1&size=5") == left[5:10]
    assert texts("page=99") == texts(f"page={'9' * 10}") == []
    assert texts("size=9999999999") == left


def test_two_that_publish_first_at_the_same_time_do_not_fail(
    start_server: Callable[..., LiveServer],
) -> None:
    """Who finds the item made by the other changes it."""
    url = start_server().url
    first, second = Publisher(url, "a1"), Publisher(url, "a1")
    first._namespace_id("n.json")
    ensure = second._ensure

    def late(*arguments: Any) -> bool:
        first.publish("n.json", "1")
        return ensure(*arguments)

    second._ensure = late  # type: ignore[method-assign]
    second.publish("n.json", "2")
    assert [release.text for release in first.active("n.json", 9)] == ["2", "1"]


@pytest.mark.parametrize("answer", [b"[]", b'{"id": 1}', b"<html>"], ids=["list", "key", "html"])
def test_an_answer_that_is_none_of_an_admin_service_is_said(answer: bytes) -> None:
    """With its address."""

    class Strange:
        """Answers everything alike."""

        trust_env = False

        def request(self, *_arguments: Any, **_options: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response._content = 200, answer
            return response

    publisher = Publisher("http://there", "a1", session=Strange())  # type: ignore[arg-type]
    with pytest.raises(ConfigUnavailable, match="http://there"):
        publisher.publish("n.json", "1")
    with pytest.raises(ConfigUnavailable, match="http://there"):
        publisher.current("n.json")


def test_publisher_without_a_server_says_so() -> None:
    """The address and the reason."""
    with pytest.raises(ConfigUnavailable, match=r"http://127.0.0.1:1: .*refused"):
        Publisher("http://127.0.0.1:1", "a1").publish("n.json", "1")
