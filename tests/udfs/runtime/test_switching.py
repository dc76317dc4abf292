"""Prepare, commit, abort, kill and restore at one worker."""

from __future__ import annotations

import base64
import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from configs import objects
from configs.manifest import Finishing, Resolved
from configs.rollout import dump
from configs.settings import load_settings
from configs.watch_process import first_rollout
from tests.udfs.decisions.logs import PARTS
from udfs.decisions.program import Program
from udfs.errors import ConfigInvalid
from udfs.expressions import CodeCache
from udfs.runtime.finishing import succeed
from udfs.runtime.loader import ProcessLoader
from udfs.runtime.shelf import Owned, Shelf
from udfs.runtime.shipped import DIGEST
from udfs.runtime.switching import COMMITTED, KILLED, LAYOUT, Switching
from udfs.runtime.warehouse import Warehouse
from udfs.runtime.watch_process import WatchTask, rollout_at_start, validate


class Worker:
    """A subtask with its broadcast state.

    Args:
        shipped: What the driver resolved.
        state: Of an earlier attempt.
        second: What a look at the clock takes, s.
    """

    def __init__(
        self, shipped: Resolved, state: dict[str, bytes] | None = None, second: float = 0.0
    ) -> None:
        self.state: dict[str, bytes] = state or {}
        shelf = Shelf(Path("/nowhere"), Owned(0, 1, 1))
        warehouse = Warehouse(shelf, "litert", DIGEST)
        self.switching = Switching(
            shipped, "job", 3, {"decisions"}, "acks", warehouse, ProcessLoader(),
            itertools.count(0, second).__next__,
        )  # fmt: skip
        self.switching.restore(self.state.get)

    def hear(self, **message: Any) -> list[dict[str, Any]]:
        """Take a message and give the acknowledgements."""
        line = json.dumps(message)
        records = self.switching.take(line, self.state.__setitem__, 77)
        assert all(record.topic == "acks" for record in records)
        return [json.loads(record.value) for record in records]

    def prepare(self, resolved: Resolved, prepare_id: str = "p1", code: bytes = b"") -> Any:
        """Prepare and give the one answer."""
        (ack,) = self.begin(resolved, prepare_id, code)
        return ack

    def begin(self, resolved: Resolved, prepare_id: str = "p1", code: bytes = b"") -> Any:
        """Prepare and give the answers that come at once."""
        return self.hear(
            type="prepare",
            revision=resolved.revision,
            prepare_id=prepare_id,
            payload=base64.b64encode(resolved.dump()).decode(),
            code=base64.b64encode(code).decode(),
        )


def version(number: int) -> Resolved:
    """A manifest with one rule, of a structure of its own."""
    pattern = [{"step": "a", "event": "a"}, {"step": "b", "event": f"b{number}"}]
    rule = {"rule": "r", "version": number, "within": "1m", "state": "finish_old",
            "pattern": pattern}  # fmt: skip
    return Resolved.of(number, rules=[rule])


VERSIONS = {number: version(number) for number in (1, 2, 3)}


def finishing(program: Program) -> list[int]:
    """Give the versions of the rules that only finish."""
    return [rule.spec.version for rule in program.machine.rules if rule.finishing]


ONE = Resolved.of(1, **PARTS)
TWO = Resolved.of(2, **PARTS)
BAD = Resolved.of(2, rules=[{"rule": "r", "version": 1, "pattern": [
    {"step": "a", "event": "x", "where": "props.x >"}]}])  # fmt: skip


def test_a_commit_switches_and_is_kept() -> None:
    """READY first; the program changes with the commit alone, and goes into broadcast state."""
    worker = Worker(ONE)
    ack = worker.prepare(TWO)
    assert (ack["status"], ack["subtask"], ack["prepare_id"]) == ("READY", 3, "p1")
    assert worker.switching.program.revision == 1
    worker.hear(type="commit", revision=2, prepare_id="p1")
    assert worker.switching.program.revision == 2
    assert Resolved.load(worker.state[COMMITTED]) == TWO


def test_an_abort_changes_nothing() -> None:
    """Nor does the commit that comes too late for it."""
    worker = Worker(ONE)
    worker.prepare(TWO)
    worker.hear(type="abort", revision=2, prepare_id="p1")
    worker.hear(type="commit", revision=2, prepare_id="p1")
    assert worker.switching.program.revision == 1
    assert worker.state == {}


def test_a_commit_of_another_attempt_changes_nothing() -> None:
    """Only what was prepared under the same id is taken."""
    worker = Worker(ONE)
    worker.prepare(TWO, "p1")
    worker.hear(type="commit", revision=2, prepare_id="p0")
    assert worker.switching.program.revision == 1


def test_what_does_not_compile_is_refused_with_its_place() -> None:
    """The watcher refuses it before; a worker of another release may still have to."""
    ack = Worker(ONE).prepare(BAD)
    assert ack["status"] == "NACK"
    assert ack["reasons"][0]["where"].startswith("rules[0].pattern[0].where:1:")


def test_a_lower_revision_is_refused() -> None:
    """Also the same revision with other content."""
    worker = Worker(TWO)
    assert worker.prepare(ONE)["status"] == "NACK"
    ack = worker.prepare(Resolved.of(2, rules=PARTS["rules"]))
    assert ack["status"] == "NACK"
    assert ack["reasons"][0]["cure"] == "publish it as revision 3 or higher"


def test_what_runs_is_ready_at_once() -> None:
    """A watcher that started again announces it anew; the very program stays."""
    worker = Worker(ONE)
    program = worker.switching.program
    assert worker.prepare(ONE)["status"] == "READY"
    worker.hear(type="commit", revision=1, prepare_id="p1")
    assert worker.switching.program is program


def test_after_a_restore_the_newer_one_runs() -> None:
    """Broadcast state against what the driver shipped, both ways."""
    first = Worker(ONE)
    first.prepare(TWO)
    first.hear(type="commit", revision=2, prepare_id="p1")
    assert Worker(ONE, first.state).switching.program.revision == 2
    assert Worker(Resolved.of(5, **PARTS), first.state).switching.program.revision == 5


MANY = [
    {"rule": f"r{number}", "version": 1, "within": "1m", "pattern": [
        {"step": "a", "event": "x", "where": f"props.n > {number}"}, {"step": "b", "event": "y"}]}
    for number in range(100)
]  # fmt: skip


def test_a_large_revision_is_compiled_beside_the_batches() -> None:
    """A few milliseconds with each; polls tell when it is done, and what was wrong."""
    worker = Worker(ONE, second=0.001)
    assert worker.begin(Resolved.of(2, rules=MANY)) == []
    batches = 0
    while not (acks := worker.hear(type="poll")):
        for _ in range(5):
            worker.switching.look_after()
            batches += 1
    assert [ack["status"] for ack in acks] == ["READY"]
    assert batches > 50
    worker.hear(type="commit", revision=2, prepare_id="p1")
    assert worker.switching.program.revision == 2
    wrong = [*MANY, {**MANY[0], "rule": "wrong", "within": "0s"}]
    assert worker.begin(Resolved.of(3, rules=wrong), "p2") == []
    while not (acks := worker.hear(type="poll")):
        pass
    assert acks[0]["status"] == "NACK"
    assert acks[0]["reasons"][0]["where"] == "rules[100].within"
    assert worker.switching.program.revision == 2


def test_a_revision_that_is_overtaken_is_dropped() -> None:
    """Nothing is said of it, nor can it be committed."""
    worker = Worker(ONE, second=0.001)
    assert worker.begin(Resolved.of(2, rules=MANY)) == []
    worker.hear(type="abort", prepare_id="p1")
    assert worker.begin(Resolved.of(3, rules=MANY[:50]), "p3") == []
    while not (acks := worker.hear(type="poll")):
        pass
    assert [(ack["status"], ack["prepare_id"]) for ack in acks] == [("READY", "p3")]
    worker.hear(type="commit", revision=2, prepare_id="p1")
    assert worker.switching.program.revision == 1


def test_bits_lie_where_they_lay_after_a_restore() -> None:
    """State that was written under changed rules need not be worked out anew."""
    first = Worker(Resolved.of(1, rules=MANY))
    assert first.prepare(Resolved.of(2, rules=[*MANY[:20], *MANY[40:]]))["status"] == "READY"
    first.hear(type="commit", revision=2, prepare_id="p1")
    second = Worker(Resolved.of(1, rules=MANY), first.state)
    layouts = [worker.switching.program.machine.layout for worker in (first, second)]
    assert layouts[0] == layouts[1]
    shipped = Worker(Resolved.of(2, rules=[*MANY[:20], *MANY[40:]]), first.state)
    assert shipped.switching.program.machine.layout == layouts[0]
    other = first.state | {LAYOUT: b"\xff" + first.state[LAYOUT][1:]}
    assert Worker(Resolved.of(1, rules=MANY), other).switching.program.revision == 2
    assert (
        layouts[0]
        != Worker(Resolved.of(2, rules=[*MANY[:20], *MANY[40:]])).switching.program.machine.layout
    )


def test_the_kill_switch() -> None:
    """Flows, rules, everything, and lifted again; kept in broadcast state."""
    worker = Worker(ONE)

    def killed(flow: str, rule: str | None) -> bool:
        return worker.switching.kill.stops(flow, rule)

    assert not killed("f", "r")
    worker.hear(type="kill", flows=["f"], rules=["r"], all=False)
    assert killed("f", None)
    assert killed("g", "r")
    assert not killed("g", "s")
    again = Worker(ONE, {KILLED: worker.state[KILLED]})
    assert again.switching.kill.stops("f", None)
    worker.hear(type="kill", flows=[], rules=[], all=True)
    assert worker.switching.kill.stops("g", None)
    worker.hear(type="kill", flows=[], rules=[], all=False)
    assert not worker.switching.kill.stops("f", None)


def test_shipped_code_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the watcher's code a worker compiles no expression itself."""
    found = validate(TWO, objects.get, {"decisions"})
    assert not found.faults
    code = found.code
    assert len(CodeCache.load(code)) > 0

    def refuse(*_: object) -> None:
        raise AssertionError("an expression was compiled by the worker")

    monkeypatch.setattr("udfs.expressions.expression._compile", refuse)
    worker = Worker(Resolved.of(1))
    assert worker.prepare(TWO, code=code)["status"] == "READY"


def test_validation_names_every_place() -> None:
    """All faults of rules, aggregates and flows at once."""
    found = validate(
        Resolved.of(
            3,
            rules=BAD.rules,
            aggregates=[{"aggregate": "a", "function": "median"}],
            flows=[
                {"flow": "f", "version": 1, "trigger": {"rule": "nobody"}, "features": ["b"],
                 "action": {"topic": "elsewhere", "payload": {"x": "nope("}}},
            ],
        ),
        objects.get,
        {"decisions"},
    )  # fmt: skip
    assert found.code == b""
    places = [fault.where for fault in found.faults]
    for expected in (
        "rules[0].pattern[0].where", "aggregates[0].function", "flows[0].trigger.rule",
        "flows[0].features[0]", "flows[0].action.topic", "flows[0].action.payload.x",
    ):  # fmt: skip
        assert any(place.startswith(expected) for place in places), (expected, places)


def test_an_activation_time_is_refused() -> None:
    """Rather than ignored."""
    faults = validate(Resolved.of(3, 5, **PARTS), objects.get, {"decisions"}).faults
    assert [fault.where for fault in faults] == ["activate_at"]


def test_what_has_to_finish_is_compiled_and_kept() -> None:
    """It comes with the prepare, goes into broadcast state, and is there after a restore."""
    worker = Worker(VERSIONS[1])
    worker.prepare(succeed(VERSIONS[2], VERSIONS[1], 5))
    worker.hear(type="commit", revision=2, prepare_id="p1")
    assert Resolved.load(worker.state[COMMITTED]).finishing == [Finishing(VERSIONS[1].rules[0], 5)]
    for switching in (worker.switching, Worker(VERSIONS[1], worker.state).switching):
        assert finishing(switching.program) == [1]
        assert finishing(switching.recompile(switching.program.payload)) == [1]


def test_a_newer_manifest_that_is_shipped_finishes_what_was_committed() -> None:
    """Also what that one had to finish; all subtasks come to the same."""
    state = {COMMITTED: succeed(VERSIONS[2], VERSIONS[1], 5).dump()}
    one, two = (Worker(VERSIONS[3], state).switching.program for _ in range(2))
    assert (one.revision, finishing(one)) == (3, [1, 2])
    assert one.payload == two.payload
    assert Resolved.load(one.payload).finishing[1] == Finishing(VERSIONS[2].rules[0], None)


def test_what_was_only_shipped_is_known_after_a_restart() -> None:
    """The watcher's first word makes workers keep what they run."""
    first = Worker(VERSIONS[1])
    first.hear(type="running")
    assert Resolved.load(first.state[COMMITTED]) == VERSIONS[1]
    second = Worker(VERSIONS[2], first.state)
    assert finishing(second.switching.program) == [1]
    second.hear(type="running")
    assert second.switching.program.payload == second.state[COMMITTED]
    # A failure then: the same manifest is shipped again.
    again = Worker(VERSIONS[2], second.state)
    assert again.switching.program.payload == second.state[COMMITTED]
    assert finishing(Worker(VERSIONS[3], second.state).switching.program) == [1, 2]


def test_validation_compiles_what_has_to_finish() -> None:
    """Its conditions are in the code that workers get."""
    old = copy.deepcopy(VERSIONS[1].rules)
    old[0]["pattern"][0]["where"] = "props.price > 123.0 + double(1)"
    bare = validate(VERSIONS[2], objects.get, {"decisions"})
    found = validate(succeed(VERSIONS[2], Resolved.of(1, rules=old), 5), objects.get, {"decisions"})
    assert found.resolved.finishing == [Finishing(old[0], 5)]
    assert len(CodeCache.load(found.code)) == len(CodeCache.load(bare.code)) + 1


def test_the_watcher_begins_with_what_the_workers_run() -> None:
    """Shipped, from its state, or shipped over an older one with runs to finish."""
    settings = load_settings([])

    def committed(shipped: int, state: Resolved | None) -> bytes:
        kept = None if state is None else dump(first_rollout("i0", 2, 1, shipped=state))
        task = WatchTask(settings.pack(), VERSIONS[shipped].dump(), 2, DIGEST, kept)
        found = rollout_at_start(task, settings, "i1").committed
        assert found is not None
        return found.payload

    second = succeed(VERSIONS[2], VERSIONS[1], 5)
    assert committed(1, None) == VERSIONS[1].dump()
    assert committed(1, second) == committed(2, second) == second.dump()
    worker = Worker(VERSIONS[3], {COMMITTED: second.dump()})
    assert committed(3, second) == worker.switching.program.payload
    other = Resolved.of(2, rules=VERSIONS[1].rules)
    worker = Worker(VERSIONS[2], {COMMITTED: other.dump()})
    assert committed(2, other) == worker.switching.program.payload


def test_a_shipped_manifest_that_does_not_compile() -> None:
    """Ends the worker with all the faults; the driver has refused it before."""
    with pytest.raises(ConfigInvalid, match="rules"):
        Worker(BAD)
