"""Publishers do not overwrite each other: any order of their steps, threads, a real server."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configs import manifest
from configs.compare_and_set import Updated, counting, update
from configs.pointers import with_pointer
from configs.publish import NAME, Published, Publisher
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.configs.conftest import LiveServer

SPACE = "millrace.json"


def adding(name: str) -> Callable[[str | None], str]:
    """A change that appends a rule of that name, even if there is one."""

    def change(text: str | None) -> str:
        value = json.loads(text) if text else {"schema": 1, "revision": 0}
        value["rules"] = [*value.get("rules", []), {"rule": name}]
        value["revision"] += 1
        return json.dumps(value)

    return change


def names(text: str | None) -> list[str]:
    """Of a manifest's rules."""
    return [rule["rule"] for rule in json.loads(text or "{}").get("rules", [])]


def nothing(_seconds: float) -> None:
    """Does not sleep."""


class Apollo:
    """One namespace: a draft and releases. ``turn`` is called before each step of a request."""

    def __init__(self, turn: Callable[[], None] = lambda: None) -> None:
        self.turn = turn
        self.draft: str | None = None
        self.releases: list[Published] = []
        self.ids = 0

    def write(self, text: str) -> None:
        """PUT the item."""
        self.turn()
        self.draft = text

    def publish(self, name: str = NAME) -> Published:
        """POST a release."""
        self.turn()
        self.ids += 1
        release = Published(self.ids, f"key {self.ids}", self.draft, name)
        self.releases.append(release)
        return release

    def release(self, _namespace: str, text: str, _comment: str, name: str) -> Published:
        """Both."""
        self.write(text)
        return self.publish(name)

    def active(self, _namespace: str, size: int) -> list[Published]:
        """GET the latest."""
        self.turn()
        return self.releases[: -size - 1 : -1]

    def add(self, name: str) -> Updated:
        """An update without waits."""
        return update(self, SPACE, adding(name), attempts=40, sleep=nothing)

    @property
    def text(self) -> str:
        """What clients get."""
        return self.releases[-1].text or ""

    def meanwhile(self, step: int, action: Callable[[], object]) -> None:
        """Do something just before one of the next steps, counted from 0."""
        left = step

        def turn() -> None:
            nonlocal left
            left -= 1
            if left == -1:
                action()

        self.turn = turn


READ, WRITE, PUBLISH = 0, 1, 2  # the steps of an attempt; then it looks twice


def test_the_first_attempt_counts_if_nobody_comes_in_between() -> None:
    """From nothing, then on what is there."""
    apollo = Apollo()
    assert apollo.add("a").attempts == 1
    second = apollo.add("b")
    assert (second.attempts, second.text) == (1, apollo.text)
    assert (second.release_id, second.release_key) == (2, "key 2")
    assert names(apollo.text) == ["a", "b"]
    assert manifest.revision_of(apollo.text) == 2


@pytest.mark.parametrize("step", [WRITE, PUBLISH], ids=["before the draft", "after the draft"])
def test_an_update_in_between_is_not_lost(step: int) -> None:
    """The change is applied once more, on what the other made, with a higher revision."""
    apollo = Apollo()
    apollo.add("a")
    apollo.meanwhile(step, lambda: apollo.add("b"))
    assert apollo.add("c").attempts == 2
    assert names(apollo.text) == ["a", "b", "c"]
    assert manifest.revision_of(apollo.text) == 3


def test_a_draft_of_another_that_goes_out_in_our_release_does_not_count() -> None:
    """Neither is it lost nor applied twice when its maker publishes it in the end."""
    apollo = Apollo()
    apollo.add("a")
    other = adding("b")(apollo.text)
    apollo.meanwhile(PUBLISH, lambda: apollo.write(other))
    assert apollo.add("c").attempts == 2
    assert names(apollo.text) == ["a", "c"]
    apollo.add("b")
    assert names(apollo.text) == ["a", "c", "b"]


def test_our_draft_that_a_replacement_has_published_is_not_applied_again() -> None:
    """Somebody who does not look publishes what we wrote."""
    apollo = Apollo()
    apollo.add("a")
    apollo.meanwhile(PUBLISH, apollo.publish)
    assert apollo.add("b").attempts == 1
    assert names(apollo.text) == ["a", "b"]


def test_a_replacement_is_built_upon() -> None:
    """A text that is published as it is replaces everything; then updates go on from it."""
    apollo = Apollo()
    apollo.add("a")
    whole = adding("w")(None)
    apollo.meanwhile(WRITE, lambda: apollo.release(SPACE, whole, "", NAME))
    assert apollo.add("b").attempts == 2
    assert names(apollo.text) == ["w", "b"]


def test_three_that_read_the_same_lose_nothing() -> None:
    """A release that overwrote two others has to bring back both, not the last one only."""
    apollo = Apollo()
    apollo.add("a")

    def both() -> None:
        apollo.meanwhile(WRITE, lambda: apollo.add("b"))
        apollo.add("c")

    apollo.meanwhile(WRITE, both)
    apollo.add("d")
    assert sorted(names(apollo.text)) == ["a", "b", "c", "d"]


def test_a_release_that_was_rolled_back_is_not_brought_back() -> None:
    """Although it was read before."""
    apollo = Apollo()
    apollo.add("a")
    apollo.add("b")
    apollo.meanwhile(WRITE, apollo.releases.pop)
    assert apollo.add("c").attempts == 2
    assert names(apollo.text) == ["a", "c"]


def test_a_release_that_shows_up_late_in_front_of_ours_is_not_lost() -> None:
    """A database may commit the lower id after the higher one; hence the second look."""
    apollo = Apollo()
    apollo.add("a")
    apollo.add("b")
    late = apollo.releases.pop()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        if not waits:
            apollo.releases.insert(1, late)
        waits.append(seconds)

    assert update(apollo, SPACE, adding("c"), sleep=sleep).attempts == 2
    assert names(apollo.text) == ["a", "b", "c"]
    assert waits[0] == 0.2


def test_what_one_that_died_left_behind_is_put_right() -> None:
    """Its release is in front, without what it overwrote; the next update goes on from that."""
    apollo = Apollo()
    apollo.add("a")

    def die() -> None:
        raise KeyboardInterrupt

    def overwrite() -> None:
        apollo.add("b")
        apollo.meanwhile(2, die)  # draft, release, death

    apollo.meanwhile(WRITE, overwrite)
    with pytest.raises(KeyboardInterrupt):
        apollo.add("c")
    apollo.turn = lambda: None
    assert names(apollo.text) == ["a", "c"]
    dead = manifest.revision_of(apollo.text)
    apollo.add("d")
    assert names(apollo.text) == ["a", "b", "d"]
    assert manifest.revision_of(apollo.text) == (dead or 0) + 1


def test_a_change_that_refuses_the_second_time_leaves_nothing_behind() -> None:
    """What it overwrote at first is published again, with a revision that the job takes."""
    apollo = Apollo()
    apollo.add("a")
    calls = 0

    def change(text: str | None) -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise ConfigInvalid([Fault("features", "a newer release is there")])
        return adding("mine")(text)

    apollo.meanwhile(WRITE, lambda: apollo.add("b"))
    with pytest.raises(ConfigInvalid, match="a newer release"):
        update(apollo, SPACE, change, sleep=nothing)
    assert names(apollo.text) == ["a", "b"]
    revisions = [manifest.revision_of(release.text or "") or 0 for release in apollo.releases]
    assert revisions[-1] > max(revisions[:-1])


def test_it_gives_up_in_the_end_and_says_so() -> None:
    """Waiting longer each time; what the others published stays."""
    apollo = Apollo()
    waits: list[float] = []
    others = 0

    def change(text: str | None) -> str:
        nonlocal others
        mine = adding("mine")(text)
        others += 1
        apollo.add(f"other {others}")
        return mine

    with pytest.raises(ConfigUnavailable, match=r"millrace.json: others published .* 5 times;"):
        update(apollo, SPACE, change, attempts=5, sleep=waits.append)
    assert names(apollo.text) == [f"other {count}" for count in range(1, 6)]
    retries = waits[:4]
    assert all(
        limit / 2 <= wait <= limit
        for wait, limit in zip(retries, (0.1, 0.2, 0.4, 0.8), strict=True)
    )


def test_texts_without_a_revision_are_changed_alike() -> None:
    """Whatever is in the namespace."""
    apollo = Apollo()
    apollo.meanwhile(WRITE, lambda: update(apollo, SPACE, lambda text: f"{text}b", sleep=nothing))
    update(apollo, SPACE, lambda text: f"{text}c", sleep=nothing)
    assert apollo.text == "Nonebc"


def test_it_looks_further_back_if_others_are_many() -> None:
    """Releases that do not count may fill a page, and a slow publisher may be left behind."""
    apollo = Apollo()
    apollo.add("a")
    for count in range(30):
        apollo.release(SPACE, "{}", "", f"{NAME} 1 {count:032x}")
    assert apollo.add("b").attempts == 1
    assert names(apollo.text) == ["a", "b"]
    apollo = Apollo()
    apollo.meanwhile(3, lambda: [apollo.add(f"n{count}") for count in range(30)])
    assert apollo.add("c").attempts == 1
    assert names(apollo.text) == ["c", *(f"n{count}" for count in range(30))]


def test_a_base_out_of_sight_counts() -> None:
    """The oldest releases may have been deleted."""
    apollo = Apollo()
    for name in "abc":
        apollo.add(name)
    for cut in range(3):
        assert counting(apollo.releases[cut:]) == apollo.releases[cut:]
    assert counting([]) == []


def test_what_does_not_count_does_not_count_at_the_end_of_a_page_either() -> None:
    """There nothing before it is known; later releases tell."""
    apollo = Apollo()
    apollo.add("a")
    apollo.meanwhile(WRITE, lambda: apollo.add("b"))
    apollo.add("c")
    apollo.add("d")
    a, b, stale, c, d = apollo.releases
    assert counting(apollo.releases) == [a, b, c, d]
    assert counting([stale, c, d]) == [c, d]


def test_the_same_change_of_two_is_made_twice() -> None:
    """Although both first write the same text."""
    apollo = Apollo()
    apollo.add("a")
    apollo.meanwhile(WRITE, lambda: apollo.add("x"))
    apollo.add("x")
    assert names(apollo.text) == ["a", "x", "x"]


@pytest.mark.parametrize("first", [None, "a"], ids=["nothing counts", "one counts"])
@pytest.mark.parametrize("indent", [None, 1])
def test_the_revision_is_higher_than_that_of_any_release(
    first: str | None, indent: int | None
) -> None:
    """Of those that do not count, too: a job may have taken one of them."""
    apollo = Apollo()
    if first:
        apollo.release(SPACE, json.dumps(json.loads(adding(first)(None)), indent=indent), "", NAME)
    name = f"{NAME} {apollo.ids} {0:032x}"
    apollo.release(SPACE, adding("draft")('{"revision": 8}'), "", name)
    apollo.add("b")
    assert names(apollo.text) == [*filter(None, [first]), "b"]
    assert manifest.revision_of(apollo.text) == 10


def test_what_is_no_manifest_is_left_to_the_change() -> None:
    """It says what is wrong with it; nothing is published."""
    apollo = Apollo()
    apollo.release(SPACE, '{"revision": 1, "revision": 2}', "", NAME)
    apollo.release(SPACE, adding("draft")('{"revision": 8}'), "", f"{NAME} 1 {0:032x}")

    def change(text: str | None) -> str:
        return with_pointer(text, "models", "model", {"model": "ctr"})

    with pytest.raises(ConfigInvalid, match="the key stands twice"):
        update(apollo, SPACE, change, sleep=nothing)
    assert len(apollo.releases) == 2


class Stage:
    """Threads that act one at a time, in an order given beforehand."""

    def __init__(self, choices: Sequence[int]) -> None:
        self._choices = iter(choices)
        self._calls: queue.Queue[str] = queue.Queue()
        self._own = threading.local()
        self._gates: dict[str, threading.Semaphore] = {}

    def turn(self) -> None:
        """Wait for one's turn; called by an actor."""
        self._calls.put(self._own.name)
        self._gates[self._own.name].acquire()

    def play(self, actors: dict[str, Callable[[], object]]) -> None:
        """Run them all to their end."""
        self._gates = {name: threading.Semaphore(0) for name in actors}
        with ThreadPoolExecutor(len(actors)) as pool:
            results = [pool.submit(self._act, *actor) for actor in actors.items()]
            waiting: set[str] = set()
            acting = len(actors)
            while acting:
                while len(waiting) < acting:
                    call = self._calls.get(timeout=10)
                    if call:
                        waiting.add(call)
                    else:
                        acting -= 1
                if waiting:
                    ready = sorted(waiting)
                    chosen = ready[next(self._choices, 0) % len(ready)]
                    waiting.remove(chosen)
                    self._gates[chosen].release()
        for result in results:
            result.result()

    def _act(self, name: str, action: Callable[[], object]) -> None:
        self._own.name = name
        try:
            action()
        finally:
            self._calls.put("")


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 4),
    st.integers(1, 2),
    st.booleans(),
    st.lists(st.integers(0, 11), max_size=120),
)
@example(  # given up, but another release has its revision
    actors=2, each=1, fickle=True, choices=[0, 0, 0, 0, 0, 0, 1, 1, 0, 1]
)
def test_whatever_the_order_of_steps_nothing_is_lost_or_doubled(
    actors: int,
    each: int,
    fickle: bool,  # noqa: FBT001 - drawn
    choices: list[int],
) -> None:
    """The invariant: at the end the newest release holds each change once, under the top revision.

    One actor may refuse to try again; then its change is nowhere.
    """
    stage = Stage(choices)
    apollo = Apollo(stage.turn)
    done: list[str] = []

    def act(actor: int) -> None:
        for count in range(each):
            apollo.add(f"{actor}.{count}")
            done.append(f"{actor}.{count}")

    def act_once() -> None:
        calls = iter([adding("fickle")])

        def change(text: str | None) -> str:
            return next(calls)(text)

        with contextlib.suppress(StopIteration):
            update(apollo, SPACE, change, attempts=40, sleep=nothing)
            done.append("fickle")

    play: dict[str, Callable[[], object]] = {
        f"actor {actor}": lambda actor=actor: act(actor)  # type: ignore[misc]
        for actor in range(actors)
    }
    if fickle:
        play["fickle"] = act_once
    stage.play(play)
    apollo.turn = lambda: None
    assert sorted(names(apollo.text)) == sorted(done)
    *before, last = [manifest.revision_of(release.text or "") or 0 for release in apollo.releases]
    assert not before or last > max(before)
    assert counting(apollo.releases)[-1] is apollo.releases[-1]


def test_eight_threads_publish_on_a_real_server(start_server: Callable[..., LiveServer]) -> None:
    """Ten entries each, from an empty server: all 80 are there, under the highest revision."""
    url = start_server().url

    def work(thread: int) -> list[Updated]:
        publisher = Publisher(url, "a1")
        # They publish without a pause, and none may give up on a slow machine.
        return [
            update(publisher, SPACE, adding(f"{thread}.{count}"), attempts=60)
            for count in range(10)
        ]

    with ThreadPoolExecutor(8) as pool:
        updates = [one for some in pool.map(work, range(8)) for one in some]
    releases = Publisher(url, "a1").active(SPACE, 2_000)
    wanted = sorted(f"{thread}.{count}" for thread in range(8) for count in range(10))
    assert sorted(names(releases[0].text)) == wanted
    revisions = [manifest.revision_of(release.text or "") or 0 for release in releases]
    assert revisions[0] > max(revisions[1:])
    counted = counting(releases[::-1])
    assert {one.release_id for one in updates} == {one.release_id for one in counted}
    rising = [manifest.revision_of(release.text or "") or 0 for release in counted]
    assert rising == sorted(set(rising))


def test_pointers_of_two_publishers_are_both_there(start_server: Callable[..., LiveServer]) -> None:
    """What it is for: a table and a model at the same time."""
    publisher = Publisher(start_server().url, "a1")
    table: dict[str, Any] = {"table": "user", "release": 3, "manifest": {}}
    model: dict[str, Any] = {"model": "ctr", "version": 2, "artifact": {}}

    def meanwhile(text: str | None) -> str:
        if text is None:
            update(publisher, SPACE, lambda now: with_pointer(now, "models", "model", model))
        return with_pointer(text, "features", "table", table)

    updated = update(publisher, SPACE, meanwhile, "why")
    value = json.loads(updated.text)
    assert (value["features"], value["models"], updated.attempts) == ([table], [model], 2)
    current = publisher.current(SPACE)
    assert current is not None
    assert (current.text, current.release_key) == (updated.text, updated.release_key)


def test_a_server_that_is_away_is_said() -> None:
    """As by any other request."""
    with pytest.raises(ConfigUnavailable, match=r"127.0.0.1:1: .*refused"):
        update(Publisher("http://127.0.0.1:1", "a1"), SPACE, adding("a"))
