"""The watcher as a whole: news in, lines out; what is bad changes nothing."""

from __future__ import annotations

import base64
import io
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest

from configs import objects
from configs.acks import AckRecord
from configs.client import Failed, Idle, Loaded
from configs.kafka_acks import answers
from configs.lines import Lines
from configs.manifest import Fetch, Finishing, Ref, Resolved
from configs.rollout import Ack
from configs.watch import KILL, MANIFEST, Validate, Validated, Watcher
from configs.watch_process import first_rollout, run
from udfs.errors import ConfigUnavailable, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

JOB = "shop"
TIMEOUT_MS = 1_000


class Log:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def _say(self, event: str, **_fields: Any) -> None:
        self.said.append(event)

    info = warning = exception = _say


class Answers:
    """Workers' answers given by hand; may be out of reach."""

    def __init__(self) -> None:
        self.queue: list[Ack] = []
        self.broken = False
        self.skips = 0

    def skip_to_end(self) -> None:
        """Forget what came before."""
        if self.broken:
            raise ConfigUnavailable("no broker")
        self.queue.clear()
        self.skips += 1

    def poll(self, _timeout_s: float) -> list[Ack]:
        """All at once."""
        if self.broken:
            raise ConfigUnavailable("no broker")
        taken, self.queue = self.queue, []
        return taken

    def close(self) -> None:
        """Nothing to close."""


def completed(
    pointers: list[dict[str, Any]], fetch: Fetch
) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Pointers with the text of their blobs, and a fault for each blob that is absent."""
    tables: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for index, pointer in enumerate(pointers):
        try:
            says = fetch(Ref(**pointer["manifest"])).decode()
        except ConfigUnavailable as error:
            faults.append(Fault(f"features[{index}].manifest", f"absent blob: {error}", "put it"))
        else:
            tables.append(pointer | {"says": says})
    return tables, faults


class Bench:
    """A watcher on a bench: a hand-set clock, two subtasks, lines read back."""

    def __init__(
        self, state: bytes | None = None, shipped: Resolved | None = None, life: str = "i0"
    ) -> None:
        self.now_ms = 1_000_000
        self.out = io.BytesIO()
        self.acks = Answers()
        self.blobs: dict[str, bytes] = {}
        self.log = Log()
        self.validated = 0
        self.watcher = Watcher(
            first_rollout(life, 2, TIMEOUT_MS, state, shipped),
            fetch=objects.get,
            validate=self.validate,
            succeed=self.succeed,
            acks=self.acks,
            lines=Lines(self.out, JOB),
            now_ms=lambda: self.now_ms,
            incarnation=life,
            log=self.log,
        )

    def validate(self, resolved: Resolved, fetch: Fetch) -> Validated:
        """A rule named ``bad`` does not compile; one named ``bug`` hits a fault of ours."""
        self.validated += 1
        faults = [
            Fault(f"rules[{index}].where:1:5", "unknown name 'pric'", "write 'price'")
            for index, rule in enumerate(resolved.rules)
            if rule.get("name") == "bad"
        ]
        if any(rule.get("name") == "bug" for rule in resolved.rules):
            raise ZeroDivisionError("a bug")
        tables, absent = completed(resolved.features, fetch)
        faults += absent
        code = b"" if faults else b"code"
        return Validated(faults, code, msgspec.structs.replace(resolved, features=tables))

    def unreachable(self) -> None:
        """No answer could be heard now."""
        raise ConfigUnavailable("no broker")

    def succeed(self, new: Resolved, in_force: Resolved, now_ms: int) -> Resolved:
        """All rules have to finish, and what had to is forgotten."""
        left = [Finishing(rule, now_ms) for rule in in_force.rules]
        return msgspec.structs.replace(new, finishing=left)

    def turn(self, *news: Loaded | Failed | Idle) -> list[dict[str, Any]]:
        """One turn; gives the lines it wrote, without those of state."""
        self.out.seek(0)
        self.out.truncate()
        self.watcher.turn(news)
        lines = [json.loads(line) for line in self.out.getvalue().splitlines()]
        self.states = [line for line in lines if line["type"] == "state"]
        return [line for line in lines if line["type"] != "state"]

    def push(self, text: str) -> list[dict[str, Any]]:
        """A text is published in the manifest's namespace."""
        return self.turn(Loaded(MANIFEST, "ok", "key", text))

    def answer(self, prepare: dict[str, Any], status: str = "READY") -> list[dict[str, Any]]:
        """Both subtasks answer."""
        for subtask in range(2):
            ack = Ack(prepare["revision"], prepare["prepare_id"], subtask, "READY")
            if status == "NACK":
                ack = Ack(prepare["revision"], prepare["prepare_id"], subtask, "NACK")
            self.acks.queue.append(ack)
        return self.turn()


def text_of(revision: int, **fields: Any) -> str:
    """A manifest."""
    return json.dumps({"schema": 1, "revision": revision, **fields})


def kill(text: str) -> Loaded:
    """A text published in the kill switch's namespace."""
    return Loaded(KILL, "ok", "kill key", text)


def types(lines: Iterable[dict[str, Any]]) -> list[str]:
    """What kinds of lines there are; of records their status."""
    return [line["value"]["status"] if line["type"] == "record" else line["type"] for line in lines]


def test_a_good_push_is_prepared_then_committed() -> None:
    """The prepare carries everything; after both READY the commit and its record."""
    bench = Bench()
    (prepare,) = bench.push(text_of(3, rules=[{"name": "r"}]))
    assert prepare["type"] == "prepare"
    resolved = Resolved.load(base64.b64decode(prepare["payload"]))
    assert (resolved.revision, resolved.rules) == (3, [{"name": "r"}])
    assert resolved.digest == prepare["digest"]
    assert base64.b64decode(prepare["code"]) == b"code"
    assert bench.acks.skips == 1
    commit, record = bench.answer(prepare)
    assert commit == {"type": "commit", "revision": 3, "prepare_id": prepare["prepare_id"]}
    assert record == {
        "type": "record",
        "topic": "acks",
        "value": {
            "revision": 3,
            "status": "COMMITTED",
            "prepare_id": prepare["prepare_id"],
            "subtask": None,
            "who": "watcher",
            "reasons": [],
            "at": bench.now_ms,
            "job": JOB,
        },
    }


def bad_pushes(tmp_path: Path) -> dict[str, tuple[str, str, str]]:
    """The seven bad pushes: text, place, problem."""
    there = objects.ObjectStore(tmp_path.as_uri()).put(b"[]")
    absent = Ref(f"{tmp_path.as_uri()}/none", "0" * 64, 2)
    wrong = Ref(there.uri, "0" * 64, 2)

    def linked(ref: Ref) -> str:
        return text_of(9, rules={"uri": ref.uri, "sha256": ref.sha256, "bytes": ref.bytes})

    return {
        "not JSON": ('{"schema": 1,', "$:1:14", "not JSON"),
        "schema": (text_of(9, rules={"name": 1}), "rules.name", "unknown field"),
        "unknown field": (text_of(9, rulez=[]), "rulez", "unknown field"),
        "rule": (text_of(9, rules=[{}, {"name": "bad"}]), "rules[1].where:1:5", "unknown name"),
        "absent blob": (linked(absent), "rules", f"absent blob: {absent.uri}"),
        "wrong hash": (linked(wrong), "rules", f"{there.uri}: wrong hash"),
        "lower revision": (text_of(4), "revision", "lower revision: 4, while 5 is committed"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "not JSON",
        "schema",
        "unknown field",
        "rule",
        "absent blob",
        "wrong hash",
        "lower revision",
    ],
)
def test_a_bad_push_gets_one_nack_naming_the_place_and_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    """All seven; the last good one stays, and the next good one goes through."""
    text, where, problem = bad_pushes(tmp_path)[name]
    bench = Bench(shipped=Resolved.of(5))
    lines = bench.push(text)
    for _ in range(6):  # an absent blob is tried again for a short while
        bench.now_ms += 1_000
        lines += bench.turn()
    (record,) = lines
    assert types(lines) == ["NACK"]
    value = record["value"]
    assert (value["reasons"][0]["where"], value["prepare_id"]) == (where, None)
    assert value["reasons"][0]["problem"].startswith(problem)
    assert value["revision"] == {"not JSON": None, "lower revision": 4}.get(name, 9)
    assert (
        bench.watcher.rollout.committed
        == first_rollout("x", 2, 1, shipped=Resolved.of(5)).committed
    )
    (prepare,) = bench.push(text_of(10))
    assert types(bench.answer(prepare)) == ["commit", "COMMITTED"]


def test_identical_bad_content_is_refused_once() -> None:
    """The same text again, under a new release, is not reported again; another is."""
    bench = Bench()
    assert types(bench.push("{")) == ["NACK"]
    assert bench.push("{") == []
    assert types(bench.push("[")) == ["NACK"]


def test_a_blob_that_appears_late_is_found() -> None:
    """Brief retries bridge the time until a blob is visible."""
    bench = Bench()
    tries = 0

    def fetch(ref: Ref) -> bytes:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConfigUnavailable(f"{ref.uri} is not there")
        return b"[]"

    bench.watcher._fetch = fetch
    ref = {"uri": "file:///x", "sha256": "0" * 64, "bytes": 2}
    assert bench.push(text_of(1, rules=ref)) == []
    assert bench.turn() == []
    bench.now_ms += 200
    assert bench.turn() == []
    bench.now_ms += 500
    assert types(bench.turn()) == ["prepare"]


def test_workers_get_pointers_completed_by_the_validation() -> None:
    """A blob that validation reads may appear late, too; revision and digest stay the text's."""
    bench = Bench()
    blobs: dict[str, bytes] = {}

    def fetch(ref: Ref) -> bytes:
        if ref.uri not in blobs:
            raise ConfigUnavailable(f"{ref.uri} is not there")
        return blobs[ref.uri]

    bench.watcher._fetch = fetch
    pointer = {"table": "user", "release": 1, "manifest": {"uri": "u", "sha256": "0", "bytes": 4}}
    assert bench.push(text_of(1, features=[pointer])) == []
    blobs["u"] = b"rows"
    assert bench.turn() == []
    bench.now_ms += 200
    (prepare,) = bench.turn()
    assert Resolved.load(base64.b64decode(prepare["payload"])).features == [
        pointer | {"says": "rows"}
    ]
    assert prepare["digest"] == Resolved.of(1, features=[pointer]).digest
    assert types(bench.answer(prepare)) == ["commit", "COMMITTED"]
    assert bench.push(text_of(1, features=[pointer])) == []
    assert bench.validated == 2


@pytest.mark.parametrize("rule", [{}, {"name": "bad"}], ids=["alone", "and a fault"])
def test_a_blob_that_validation_misses_is_refused_in_the_end(rule: dict[str, Any]) -> None:
    """After the retries, or at once if there is something else to mend; tried again when pushed."""
    bench = Bench()
    ref = {"uri": "file:///nonexistent/blob", "sha256": "0" * 64, "bytes": 4}
    text = text_of(1, rules=[rule], features=[{"table": "user", "release": 1, "manifest": ref}])
    lines = bench.push(text)
    assert (lines == []) == (rule == {})
    for _ in range(6):
        bench.now_ms += 1_000
        lines += bench.turn()
    assert types(lines) == ["NACK"]
    assert lines[0]["value"]["reasons"][-1]["where"] == "features[0].manifest"
    before = bench.validated
    bench.push(text)
    assert bench.validated == before + 1


def raises_unavailable(_resolved: Resolved, fetch: Fetch) -> Validated:
    """Leaves an absent blob to the watcher."""
    fetch(Ref("file:///nonexistent/blob", "0" * 64, 4))
    raise AssertionError


def changes_the_revision(resolved: Resolved, _fetch: Fetch) -> Validated:
    """Gives another manifest than it was given."""
    return Validated((), b"", Resolved.of(resolved.revision + 1))


@pytest.mark.parametrize(
    ("validate", "problem", "tries"),
    [
        (raises_unavailable, "absent blob: file:///nonexistent/blob is not there", 4),
        (changes_the_revision, "validation failed: ValueError: revision 1 of digest", 1),
    ],
)
def test_a_careless_validation_refuses_the_push(
    validate: Validate, problem: str, tries: int
) -> None:
    """The watcher lives on; an absent blob is tried again all the same."""
    bench = Bench()
    calls = 0

    def counted(resolved: Resolved, fetch: Fetch) -> Validated:
        nonlocal calls
        calls += 1
        return validate(resolved, fetch)

    bench.watcher._validate = counted
    lines = bench.push(text_of(1))
    for _ in range(6):
        bench.now_ms += 1_000
        lines += bench.turn()
    (record,) = lines
    assert record["value"]["reasons"][0]["problem"].startswith(problem)
    assert calls == tries


def test_a_fault_of_ours_in_validation_refuses_the_push() -> None:
    """The watcher lives on; the place of the fault goes to the log."""
    bench = Bench()
    (record,) = bench.push(text_of(1, rules=[{"name": "bug"}]))
    assert record["value"]["reasons"][0]["problem"] == (
        "validation failed: ZeroDivisionError: a bug"
    )
    assert "validation failed" in bench.log.said
    assert types(bench.push(text_of(1))) == ["prepare"]


def test_the_kill_switch_works_while_a_manifest_is_bad_or_on_its_way() -> None:
    """It comes first, and again only when it changes."""
    bench = Bench()
    lines = bench.turn(Loaded(MANIFEST, "ok", "k", "{"), kill('{"schema":1,"flows":["coupon"]}'))
    assert types(lines) == ["kill", "NACK"]
    assert lines[0] == {
        "type": "kill",
        "flows": ["coupon"],
        "rules": [],
        "all": False,
        "release_key": "kill key",
    }
    bench.push(text_of(1))
    assert bench.watcher.rollout.preparing is not None
    assert types(bench.turn(kill('{"schema":1,"all":true}'))) == ["kill"]
    assert bench.turn(kill('{"all":true,"schema":1}')) == []
    assert bench.turn(Loaded(KILL, "absent")) == []


def test_a_bad_kill_switch_is_refused_and_what_is_stopped_stays_stopped() -> None:
    """The record names the namespace and the place, once."""
    bench = Bench()
    bench.turn(kill('{"schema":1,"flows":["coupon"]}'))
    (record,) = bench.turn(kill('{"schema":1,"flows":"coupon","alle":true}'))
    assert record["value"]["revision"] is None
    assert [reason["where"] for reason in record["value"]["reasons"]] == [
        "millrace.kill.json alle",
        "millrace.kill.json flows",
    ]
    assert bench.turn(kill('{"schema":1,"flows":"coupon","alle":true}')) == []
    assert bench.turn(kill('{"schema":1,"flows":["coupon"]}')) == []


@pytest.mark.parametrize("namespace", [MANIFEST, KILL])
def test_a_namespace_without_content_is_refused(namespace: str) -> None:
    """A properties namespace of that name is said to be one."""
    (record,) = Bench().turn(Loaded(namespace, "ok", "k", None))
    assert "no key content" in record["value"]["reasons"][0]["problem"]


def test_a_server_that_is_down_is_told_once_and_its_return_too() -> None:
    """One line for each, whatever the number of tries."""
    bench = Bench()
    failed = Failed("connection refused", 1.0)
    assert [line["state"] for line in bench.turn(failed)] == ["unavailable"]
    assert bench.turn(failed) == []
    assert [line["state"] for line in bench.turn(Idle())] == ["connected"]


def test_nothing_is_prepared_before_answers_can_be_read() -> None:
    """A prepare whose answers would be missed is not sent; the kill switch does not wait."""
    bench = Bench()
    bench.acks.broken = True
    assert bench.push(text_of(1)) == []
    assert types(bench.turn(kill('{"schema":1,"all":true}'))) == ["kill"]
    bench.acks.broken = False
    assert bench.turn() == []
    bench.now_ms += 2_000
    assert types(bench.turn()) == ["prepare"]
    assert bench.watcher.listening
    bench.acks.broken = True
    assert bench.turn() == []
    assert not bench.watcher.listening
    bench.now_ms += TIMEOUT_MS
    assert types(bench.turn()) == ["abort", "NACK"]


def test_a_restart_goes_on_from_the_last_line_of_state() -> None:
    """The committed is announced again, the open one prepared again, without the server."""
    bench = Bench()
    bench.answer(bench.push(text_of(1))[0])
    bench.push(text_of(2))
    state = base64.b64decode(bench.states[-1]["rollout"])
    again = Bench(state, life="i1")
    announced, commit, prepare = again.turn()
    assert types([announced, commit, prepare]) == ["prepare", "commit", "prepare"]
    assert (announced["revision"], commit["revision"], prepare["revision"]) == (1, 1, 2)
    assert types(again.answer(prepare)) == ["commit", "COMMITTED"]
    assert again.push(text_of(2)) == []
    assert again.validated == 0


def test_state_comes_before_the_lines_that_follow_from_it() -> None:
    """Who dies between the two lines repeats a message and forgets none."""
    bench = Bench()
    bench.watcher.turn([Loaded(MANIFEST, "ok", "k", text_of(1))])
    kinds = [json.loads(line)["type"] for line in bench.out.getvalue().splitlines()]
    assert kinds == ["state", "prepare"]


def test_what_is_already_running_is_not_compiled_again() -> None:
    """The server's manifest is the one the job was started with."""
    bench = Bench(shipped=Resolved.of(5, rules=[{"name": "r"}]))
    assert bench.push(text_of(5, rules=[{"name": "r"}])) == []
    assert bench.validated == 0


def test_records_match_their_schema() -> None:
    """What is written is what the schema file promises."""
    path = Path(objects.__file__).parent / "acks.schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(path.read_text()))
    bench = Bench()
    lines = bench.push("{") + bench.answer(bench.push(text_of(1))[0])
    records = [line["value"] for line in lines if line["type"] == "record"]
    assert len(records) == 2
    for record in records:
        validator.validate(record)
        assert json.loads(AckRecord.decode(json.dumps(record).encode()).encode()) == record


def test_only_workers_of_the_job_answer() -> None:
    """Records of the watcher, of other jobs and of others altogether are left out."""

    def record(**changed: Any) -> bytes:
        fields: dict[str, Any] = {
            "revision": 1,
            "status": "READY",
            "prepare_id": "i0-1",
            "subtask": 0,
            "who": "worker",
            "at": 0,
            "job": JOB,
        }
        return AckRecord(**fields | changed).encode()

    values = [
        record(),
        record(status="NACK", reasons=(Fault("a", "b"),)),
        record(job="other"),
        record(who="watcher", status="COMMITTED"),
        record(subtask=None),
        b"rubbish",
        None,
    ]
    assert answers(values, JOB) == [
        Ack(1, "i0-1", 0, "READY"),
        Ack(1, "i0-1", 0, "NACK", (Fault("a", "b"),)),
    ]


class Scripted:
    """A client that gives some news, then blocks as a long poll does."""

    def __init__(self, *news: Loaded | Failed | Idle, stop: threading.Event) -> None:
        self._news = news
        self._stop = stop

    def poll(self, namespaces: Iterable[str]) -> Iterator[Loaded | Failed | Idle]:
        """The script."""
        assert set(namespaces) == {KILL, MANIFEST}
        yield from self._news
        self._stop.wait(10)


def test_the_loop_ends_when_nobody_reads() -> None:
    """A closed pipe is the end of the operator, and of the watcher, without a trace."""

    class Closed(io.BytesIO):
        def write(self, _line: Any) -> int:
            raise BrokenPipeError

    bench = Bench()
    bench.watcher._lines = Lines(Closed(), JOB)
    stop = threading.Event()
    run(bench.watcher, Scripted(kill('{"schema":1,"all":true}'), stop=stop), stop)
    stop.set()
    assert bench.log.said[-1] == "nobody reads the watcher any more; it ends"


def test_a_fault_in_the_polling_thread_is_not_lost() -> None:
    """It ends the loop with its own error."""

    class Broken(Scripted):
        def poll(self, namespaces: Iterable[str]) -> Iterator[Loaded | Failed | Idle]:
            raise ZeroDivisionError(namespaces)

    stop = threading.Event()
    with pytest.raises(ZeroDivisionError):
        run(Bench().watcher, Broken(stop=stop), stop)
