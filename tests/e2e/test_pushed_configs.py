"""Configs that are pushed, refused, killed, and missed while a job runs on two TaskManagers."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack import Stack, jobs
from stack.shipping import stage
from tests.e2e.running import Running, await_until
from udfs.errors import StackError

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

USERS = ("u0", "u1", "u2", "u3", "u5", "u8")  # of both subtasks; checked below
_numbers = itertools.count()

Manifest = dict[str, Any]


def _manifest(revision: int, **changed: Any) -> Manifest:
    """A flow for each ping, for each ping after a pong, and for a smash of this very revision."""
    return {
        "schema": 1,
        "revision": revision,
        "rules": [
            {"rule": "rally", "version": revision, "within": "1h",
             "after_match": "skip_past_last_event",
             "pattern": [{"step": "pong", "event": "pong"}, {"step": "ping", "event": "ping"}]},
            {"rule": "volley", "version": revision, "within": "1h", "state": "finish_old",
             "pattern": [{"step": "serve", "event": "serve"},
                         {"step": "smash", "event": "smash", "where": f"props.of == {revision}"}]},
        ],
        "flows": [
            {"flow": "echo", "version": revision, "trigger": {"event": "ping"},
             "action": {"payload": {"revision": str(revision)}}},
            {"flow": "rally", "version": revision, "trigger": {"rule": "rally"},
             "action": {"payload": {"n": "size(ping)"}}},
            {"flow": "volley", "version": revision, "trigger": {"rule": "volley"},
             "action": {"payload": {"complete": "at >= complete_since"}}},
        ],
        **changed,
    }  # fmt: skip


class Shop:
    """The job, its revision, and events for it."""

    def __init__(self, job: Running) -> None:
        self.job = job
        self.revision = 1

    def push(self, manifest: Manifest | None = None) -> int:
        """Publish the next revision and wait until it is committed."""
        self.revision += 1
        self.job.publish(json.dumps(manifest or _manifest(self.revision)))
        self.job.await_ack(status="COMMITTED", revision=self.revision)
        return self.revision

    def send(self, kind: str, **props: Any) -> set[str]:
        """Send an event of each user; give the ids."""
        number = next(_numbers)
        events = [
            {"event_id": f"{kind}{number}-{user}", "event_type": kind, "user_id": user,
             "event_time": 1_750_000_000_000 + number * 1_000, "props": props}
            for user in USERS
        ]  # fmt: skip
        self.job.send(*events)
        return {str(event["event_id"]) for event in events}

    def decided(self, flow: str, ids: set[str], timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """Wait for the decisions of a flow on some events."""

        def probe() -> list[dict[str, Any]] | None:
            found = [
                decision
                for decision in self.job.decisions(flow=flow)
                if ids & set(decision["trigger"]["event_ids"])
            ]
            return found if len(found) >= len(ids) else None

        found: list[dict[str, Any]] = await_until(probe, f"{flow} on {ids}", timeout_s)
        return found

    def serve(self) -> set[str]:
        """Send a serve of each user, and wait until all have it; give the ids."""
        ids = self.send("serve")
        self.job.await_in(sum(self.job._offsets))
        return ids

    def smashed(self, of: int, serves: set[str], timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """Send smashes that belong to a revision, and give the decisions: each ends a serve."""
        found = self.decided("volley", self.send("smash", of=of), timeout_s)
        assert len(found) == len(USERS)
        assert {d["trigger"]["rule_version"] for d in found} == {of}
        assert {d["trigger"]["event_ids"][0] for d in found} == serves
        return found

    def refusals(self, known: int, what: str) -> list[dict[str, Any]]:
        """Wait for more NACKs than were known, and give the new ones."""
        found: list[dict[str, Any]] = await_until(
            lambda: self.job.acks(status="NACK")[known:], f"NACK of {what}"
        )
        return found

    def check(self, revision: int, timeout_s: float = 60.0) -> None:
        """See that decisions are made, under a revision, at both subtasks."""
        decisions = self.decided("echo", self.send("ping"), timeout_s)
        assert {d["revision"] for d in decisions} == {revision}
        assert {d["payload"]["revision"] for d in decisions} == {revision}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    """The job with revision 1 at parallelism 2."""
    halves = {hashlib.md5(user.encode()).digest()[0] // 128 for user in USERS}
    assert halves == {0, 1}
    with Running(
        stack, "push", parallelism=2, idle_advance="off", config_wait="2s", dedupe_window="1d"
    ) as job:
        job.publish(json.dumps(_manifest(1)))
        job.start()
        shop = Shop(job)
        shop.check(1)
        yield shop


def test_a_push_takes_effect_everywhere_without_restart(shop: Shop) -> None:
    """READY of both subtasks, COMMITTED; the new rule's flow decides; nothing restarted."""
    revision = shop.push()
    ready = shop.job.acks(status="READY", revision=revision)
    assert {record["subtask"] for record in ready} == {0, 1}
    shop.check(revision)
    pongs = shop.send("pong")
    rallies = shop.decided("rally", shop.send("ping"))
    assert {d["trigger"]["rule_version"] for d in rallies} == {revision}
    assert all(set(d["trigger"]["event_ids"]) & pongs for d in rallies)
    applied = [r for r in shop.job.control("revision") if r["revision"] == revision]
    assert applied
    assert all(record["offsets"] for record in applied)
    assert shop.job.restarts() == 0


def test_runs_of_a_replaced_rule_go_on_to_their_end(shop: Shop) -> None:
    """They match as the old version, in the flow in force; new runs begin the new way alone."""
    old = shop.revision
    before = shop.serve()
    new = shop.push()
    after = shop.serve()
    assert {d["revision"] for d in shop.smashed(old, before)} == {new}
    young = shop.smashed(new, after)
    assert all(d["trigger"]["complete_since"] > d["at"] for d in young)
    assert {d["payload"]["complete"] for d in young} == {False}
    assert shop.job.restarts() == 0


def _blob(path: Path, content: bytes, sha256: str | None = None) -> dict[str, Any]:
    path.write_bytes(content)
    digest = sha256 or hashlib.sha256(content).hexdigest()
    return {"uri": path.as_uri(), "sha256": digest, "bytes": len(content)}


def test_bad_pushes_are_refused_and_change_nothing(shop: Shop, tmp_path: Path) -> None:
    """Seven kinds; each NACK names the place; afterwards all is as before."""
    good = shop.push()
    absent = {"uri": (tmp_path / "absent").as_uri(), "sha256": "0" * 64, "bytes": 2}
    rule = {
        "rule": "broken",
        "version": 1,
        "pattern": [{"step": "a", "event": "ping", "where": "props.n >"}],
    }
    bad: dict[str, tuple[str, str]] = {
        "not JSON": ('{"schema": 1, "revision": ', "$"),
        "no manifest": (json.dumps(_manifest(good + 1, rules="all")), "rules"),
        "unknown field": (json.dumps(_manifest(good + 1, colour="red")), "colour"),
        "no rule": (json.dumps(_manifest(good + 1, rules=[rule])), "rules[0].pattern[0].where"),
        "absent blob": (json.dumps(_manifest(good + 1, rules=absent)), "rules"),
        "wrong hash": (
            json.dumps(_manifest(good + 1, rules=_blob(tmp_path / "b", b"[]", "1" * 64))), "rules",
        ),
        "lower revision": (json.dumps(_manifest(good - 1)), "revision"),
    }  # fmt: skip
    known = len(shop.job.acks(status="NACK"))
    for name, (text, place) in bad.items():
        shop.job.publish(text)
        refused = shop.refusals(known, name)
        known += len(refused)
        places = [fault["where"] for record in refused for fault in record["reasons"]]
        assert any(where.startswith(place) for where in places), f"{name}: {refused}"
        assert all(fault["problem"] for record in refused for fault in record["reasons"])
    assert shop.job.acks(status="COMMITTED")[-1]["revision"] == good
    shop.check(good)
    assert shop.job.restarts() == 0


def test_kill_switch_works_while_a_bad_manifest_is_published(shop: Shop) -> None:
    """The flow stops, then is let go again; the bad manifest holds neither back."""
    good = shop.push()
    known = len(shop.job.acks(status="NACK"))
    shop.job.publish(json.dumps(_manifest(good + 1, flows=[{"flow": 3}])))
    shop.refusals(known, "a flow that is none")
    killed = shop.job.counts()["killed"]
    shop.job.kill(flows=["echo"])

    def stopped() -> bool:
        shop.send("ping")
        return shop.job.counts()["killed"] >= killed + len(USERS)

    await_until(stopped, "the flow to stop")
    last = shop.send("ping")
    shop.job.await_in(sum(shop.job._offsets))
    assert not [d for d in shop.job.decisions() if last & set(d["trigger"]["event_ids"])]
    shop.job.kill(flows=[])

    def lifted() -> bool:
        ids = shop.send("ping")
        shop.job.await_in(sum(shop.job._offsets))
        return any(ids & set(d["trigger"]["event_ids"]) for d in shop.job.decisions(flow="echo"))

    await_until(lifted, "the flow to go on")
    shop.check(good)
    assert shop.job.restarts() == 0


def test_config_server_may_die_and_so_may_a_taskmanager_then(shop: Shop, stack: Stack) -> None:
    """The job goes on, recovers without the server, and follows it again when it returns."""
    old = shop.push()
    served = shop.serve()
    good = shop.push()
    shop.check(good)
    try:
        stack.stop_config_server(signal.SIGKILL)
        shop.check(good)
        before = shop.job.restarts()
        index = shop.job.taskmanager()
        stack.kill_taskmanager(index)
        stack.start_taskmanager(index)
        await_until(lambda: shop.job.restarts() > before, "the restart")
        jobs.await_running(stack, shop.job.job_id)
        shop.check(good, timeout_s=90)
        shop.smashed(old, served)
    finally:
        stack.restart_config_server()
    shop.check(shop.push())


def _submit(stack: Stack, job: Running, **changed: object) -> subprocess.CompletedProcess[str]:
    shipped = stage(stack.settings.run_dir / "shipped")
    return stack.flink(
        "run", "-d", "-py", str(shipped / "jobs" / "decide.py"), "-pyfs", str(shipped),
        *jobs.arguments_for(stack, **{**job._given, **changed}),
    )  # fmt: skip


def test_start_while_the_config_server_is_down(shop: Shop, stack: Stack, tmp_path: Path) -> None:
    """With a last good manifest the job starts with it; without one it says what to do."""
    revision = shop.push()
    committed = len(shop.job.acks(status="COMMITTED", revision=revision))
    shop.job.cancel()
    try:
        stack.stop_config_server()
        refused = _submit(stack, shop.job, config_cache=tmp_path / "empty")
        told = refused.stdout + refused.stderr
        assert refused.returncode != 0
        assert "Start the config server, or check config_url" in told
        assert "does not answer; trying again" in told
        assert "Traceback" not in told
        shop.job.start()
        shop.check(1, timeout_s=90)  # the one that was resolved at the first start
    finally:
        stack.restart_config_server()
    await_until(
        lambda: len(shop.job.acks(status="COMMITTED", revision=revision)) > committed,
        "the newer manifest, now that the server is back",
    )
    shop.check(revision)


def test_changed_code_is_refused_by_workers_that_ran_other_code(
    shop: Shop, stack: Stack, tmp_path: Path
) -> None:
    """Thread mode keeps imported modules; the job fails and says how to go on."""
    shop.job.cancel()
    shipped = stage(tmp_path / "changed")
    with (shipped / "udfs" / "events" / "durations.py").open("a") as file:
        file.write("# changed\n")
    result = stack.flink(
        "run", "-d", "-py", str(shipped / "jobs" / "decide.py"), "-pyfs", str(shipped),
        *jobs.arguments_for(stack, **shop.job._given),
    )  # fmt: skip
    shop.job.job_id = result.stdout.split("JobID ")[1][:32]
    reason = await_until(lambda: _stale(stack, shop.job.job_id), "the refusal")
    assert "Start fresh TaskManagers and submit again" in reason
    with pytest.raises(StackError):
        jobs.await_running(stack, shop.job.job_id, timeout_s=1)


def _stale(stack: Stack, job_id: str) -> str:
    reason = jobs.reason(stack, job_id)
    return reason if "StaleCode" in reason else ""
