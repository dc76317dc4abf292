"""The two-phase release: single cases, then a machine that tries what it can."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from configs import rollout
from configs.rollout import (
    Abort,
    Ack,
    Candidate,
    Commit,
    Note,
    Offered,
    Prepare,
    Refused,
    Rollout,
    Tick,
    step,
)
from udfs.errors import Fault, StateIncompatible

TIMEOUT_MS = 1_000


def candidate(revision: int, content: str = "a") -> Candidate:
    """A manifest of one revision; ``content`` tells two of the same revision apart."""
    return Candidate(revision, f"{revision}{content}", f"{revision}{content}".encode())


def start(parallelism: int = 2, committed: Candidate | None = None) -> Rollout:
    """A fresh state."""
    return Rollout(parallelism, TIMEOUT_MS, "i0", committed=committed)


def ready(prepare: Prepare, subtask: int) -> Ack:
    """A worker's READY."""
    return Ack(prepare.candidate.revision, prepare.prepare_id, subtask, "READY")


def offer(state: Rollout, revision: int, content: str = "a") -> rollout.Step:
    """Offer a manifest at time 0."""
    return step(state, Offered(candidate(revision, content)), 0)


def test_all_ready_commits() -> None:
    """Prepare goes out, and after the last READY the commit with its record."""
    state, (prepare,) = offer(start(), 1)
    assert isinstance(prepare, Prepare)
    state, nothing = step(state, ready(prepare, 0), 1)
    assert nothing == []
    state, outputs = step(state, ready(prepare, 1), 2)
    assert outputs == [Commit(1, prepare.prepare_id), Note("COMMITTED", 1, prepare.prepare_id)]
    assert state.committed == candidate(1)
    assert state.preparing is None


def test_the_same_subtask_twice_is_one() -> None:
    """READY of one subtask, however often, does not commit."""
    state, (prepare,) = offer(start(), 1)
    assert isinstance(prepare, Prepare)
    for _ in range(3):
        state, outputs = step(state, ready(prepare, 0), 1)
        assert outputs == []


@pytest.mark.parametrize(
    "ack",
    [
        pytest.param(Ack(1, "i0-9", 0, "READY"), id="other prepare"),
        pytest.param(Ack(2, "i0-1", 0, "READY"), id="other revision"),
        pytest.param(Ack(1, "i0-1", 1, "READY"), id="no such subtask"),
        pytest.param(Ack(1, "i0-1", -1, "READY"), id="negative subtask"),
    ],
)
def test_an_answer_that_is_not_to_this_prepare_is_ignored(ack: Ack) -> None:
    """Late and foreign answers change nothing."""
    state, _ = offer(start(parallelism=1), 1)
    assert step(state, ack, 1) == (state, [])


def test_a_nack_aborts_with_the_workers_reasons() -> None:
    """One refusal is enough; what is committed stays."""
    state, (prepare,) = offer(start(committed=candidate(1)), 2)
    assert isinstance(prepare, Prepare)
    fault = Fault("rules[0]", "too large", "shrink it")
    state, (abort, note) = step(state, Ack(2, prepare.prepare_id, 1, "NACK", (fault,)), 1)
    assert abort == Abort(2, prepare.prepare_id)
    assert isinstance(note, Note)
    assert (note.status, note.revision) == ("ABORTED", 2)
    assert str(note.reasons[0]) == "subtask 1: rules[0]: too large (shrink it)"
    assert state.committed == candidate(1)
    assert state.preparing is None


def test_silence_aborts_and_names_the_silent() -> None:
    """Who did not answer in time stands in the record."""
    state, (prepare,) = offer(start(parallelism=3), 1)
    assert isinstance(prepare, Prepare)
    state, _ = step(state, ready(prepare, 1), 1)
    state, outputs = step(state, Tick(), TIMEOUT_MS - 1)
    assert outputs == []
    state, (abort, note) = step(state, Tick(), TIMEOUT_MS)
    assert abort == Abort(1, prepare.prepare_id)
    assert isinstance(note, Note)
    assert note.status == "NACK"
    assert "no answer from 2 of 3 subtasks (0, 2) within 1000 ms" in note.reasons[0].problem
    _, (again,) = step(state, Offered(candidate(1)), TIMEOUT_MS)
    assert isinstance(again, Prepare)
    assert again.prepare_id != prepare.prepare_id


def test_a_clock_set_back_waits_anew() -> None:
    """Time that jumps back neither aborts at once nor waits for the old time to return."""
    state, _ = step(start(), Offered(candidate(1)), 10_000)
    state, _ = step(state, Tick(), 0)
    assert step(state, Tick(), TIMEOUT_MS - 1)[1] == []
    assert len(step(state, Tick(), TIMEOUT_MS)[1]) == 2


@pytest.mark.parametrize(
    ("revision", "content", "problem"),
    [
        pytest.param(4, "a", "lower revision: 4, while 5 is committed", id="lower"),
        pytest.param(5, "b", "revision 5 is committed with other content", id="other content"),
    ],
)
def test_what_does_not_rise_is_refused(revision: int, content: str, problem: str) -> None:
    """A lower revision, and the same with other content, get a NACK that says so."""
    state = start(committed=candidate(5))
    after, (note,) = offer(state, revision, content)
    assert after == state
    assert isinstance(note, Note)
    assert (note.status, note.reasons[0].problem) == ("NACK", problem)
    assert note.reasons[0].cure == "publish it as revision 6 or higher"


def test_what_runs_already_is_ignored() -> None:
    """The same revision with the same content is no news."""
    state = start(committed=candidate(5))
    assert offer(state, 5) == (state, [])


def test_a_newer_offer_overtakes_one_being_prepared() -> None:
    """The old one is aborted and recorded as superseded, then the new one prepared."""
    state, (first,) = offer(start(), 1)
    assert isinstance(first, Prepare)
    _, (abort, note, second) = offer(state, 2)
    assert abort == Abort(1, first.prepare_id)
    assert isinstance(note, Note)
    assert note.status == "SUPERSEDED"
    assert isinstance(second, Prepare)
    assert second.candidate == candidate(2)


def test_a_bad_push_does_not_stop_what_is_being_prepared() -> None:
    """A refused content is recorded, nothing else."""
    state, _ = offer(start(), 1)
    fault = Fault("$", "not JSON")
    assert step(state, Refused(None, (fault,)), 1) == (state, [Note("NACK", None, None, (fault,))])


def test_after_a_restart_the_committed_is_announced_and_the_open_one_prepared_again() -> None:
    """Lost messages do no harm: everything needed comes again under new ids."""
    state, (first,) = offer(start(committed=candidate(1)), 2)
    assert isinstance(first, Prepare)
    restored = rollout.load(rollout.dump(state))
    assert restored == state
    state, (announced, commit, again) = rollout.resume(restored, "i1", 50, parallelism=3)
    assert isinstance(announced, Prepare)
    assert announced.candidate == candidate(1)
    assert commit == Commit(1, announced.prepare_id)
    assert isinstance(again, Prepare)
    assert again.candidate == candidate(2)
    assert len({first.prepare_id, announced.prepare_id, again.prepare_id}) == 3
    assert state.parallelism == 3


@pytest.mark.parametrize("blob", [b"", b"MRR\x02zz", b"MRR\x01zz", b"xx"])
def test_foreign_state_is_refused_with_what_to_do(blob: bytes) -> None:
    """Bytes of another version are an error, not a guess."""
    with pytest.raises(StateIncompatible, match="start"):
        rollout.load(blob)


class RolloutMachine(RuleBasedStateMachine):
    """Offers, answers, time and restarts in any order, with workers that do as they are told."""

    parallelism = 3

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.lives = 0
        self.state = start(self.parallelism)
        self.prepared: dict[str, Candidate] = {}
        self.ready: dict[str, set[int]] = {}
        self.running: list[Candidate | None] = [None] * self.parallelism
        self.commits: list[int] = []
        self.everyone_was_ready: set[tuple[int, str]] = set()

    def take(self, after: rollout.Step, *, lost: bool = False) -> None:
        """Follow an output as the workers would; ``lost``: none of it arrives."""
        self.state, outputs = after
        for output in outputs:
            match output:
                case Prepare(what, prepare_id):
                    self.prepared[prepare_id] = what
                case Commit(revision, prepare_id):
                    what = self.prepared[prepare_id]
                    assert what.revision == revision
                    if len(self.ready.get(prepare_id, ())) == self.parallelism:
                        self.everyone_was_ready.add((revision, what.digest))
                    assert (revision, what.digest) in self.everyone_was_ready
                    self.commits.append(revision)
                    if not lost:
                        self.running = [what] * self.parallelism

    @rule(revision=st.integers(1, 6), content=st.sampled_from("ab"))
    def offer(self, revision: int, content: str) -> None:
        """Any revision may be pushed at any time."""
        self.take(step(self.state, Offered(candidate(revision, content)), self.now_ms))

    @rule(
        subtask=st.integers(-1, 3),
        status=st.sampled_from(["READY", "READY", "NACK"]),
        data=st.data(),
    )
    @precondition(lambda self: self.prepared)
    def answer(self, subtask: int, status: str, data: st.DataObject) -> None:
        """An answer to any prepare ever sent, in any order."""
        prepare_id = data.draw(st.sampled_from(sorted(self.prepared)))
        if status == "READY" and 0 <= subtask < self.parallelism:
            self.ready.setdefault(prepare_id, set()).add(subtask)
        revision = self.prepared[prepare_id].revision
        ack = Ack(revision, prepare_id, subtask, "READY" if status == "READY" else "NACK")
        self.take(step(self.state, ack, self.now_ms))

    @rule(lost=st.booleans())
    @precondition(lambda self: self.state.preparing is not None)
    def everyone_answers(self, *, lost: bool) -> None:
        """All subtasks are ready; the commit may be lost on its way."""
        attempt = self.state.preparing
        assert attempt is not None
        for subtask in range(self.parallelism):
            self.ready.setdefault(attempt.prepare_id, set()).add(subtask)
            ack = Ack(attempt.candidate.revision, attempt.prepare_id, subtask, "READY")
            self.take(step(self.state, ack, self.now_ms), lost=lost)

    @rule(later_ms=st.integers(0, 2 * TIMEOUT_MS))
    def time_goes_on(self, later_ms: int) -> None:
        """Or not."""
        self.now_ms += later_ms
        self.take(step(self.state, Tick(), self.now_ms))

    @rule()
    def killed_and_restarted(self) -> None:
        """From the bytes of the state; the first thing is to repair what was lost."""
        self.lives += 1
        restored = rollout.load(rollout.dump(self.state))
        self.take(rollout.resume(restored, f"i{self.lives}", self.now_ms))
        assert self.running == [self.state.committed] * self.parallelism

    @invariant()
    def commits_only_rise(self) -> None:
        """A revision may be announced again, never a lower one."""
        assert self.commits == sorted(self.commits)

    @invariant()
    def at_most_one_is_prepared_and_it_is_higher(self) -> None:
        """What is prepared lies above what is committed."""
        if self.state.preparing and self.state.committed:
            assert self.state.preparing.candidate.revision > self.state.committed.revision

    def teardown(self) -> None:
        """It converges: restart, push a higher revision, all answer, all run it."""
        self.killed_and_restarted()
        self.offer(7, "z")
        self.everyone_answers(lost=False)
        assert self.running == [candidate(7, "z")] * self.parallelism
        assert self.state.committed == candidate(7, "z")


TestRolloutMachine = RolloutMachine.TestCase
TestRolloutMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
