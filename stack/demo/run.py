"""The course of the demo: stack, topics, configs, job, traffic, a push on the way, the end."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests
from kafka.admin import KafkaAdminClient
from rich.console import Console

from configs.assemble import assemble
from configs.cli import next_revision
from configs.publish import Publisher
from configs.settings import DecideSettings
from configs.watch import MANIFEST
from stack import jobs
from stack.demo.show import Show
from stack.demo.tally import Tally
from stack.demo.threads import Reader, Sender
from stack.demo.traffic import Shop, traffic
from stack.demo.verdict import Run, faults, summary
from stack.local import Stack
from stack.settings import ROOT
from udfs.errors import StackError

APP: Final = "demo"
"""Apollo's appId: the configs of other jobs on the same server are left alone."""

JOB: Final = "demo"
EXAMPLES: Final = ROOT / "configs" / "examples"
CHANGED: Final = EXAMPLES / "changed_rule.json"
FLOW: Final = "offer"
"""The flow whose rule is changed on the way."""

_SETTINGS: Final = {
    "job_name": JOB,
    "config_app": APP,
    "start_from": "earliest",
    "out_of_orderness": "2s",
    "counts_interval": "1s",
    **{
        f"{role}_topic": f"demo-{role.replace('_', '-')}"
        for role in ("events", "decisions", "late", "dead_letters", "control", "acks", "alerts")
    },
}
_ENDS: Final = {"COMMITTED", "ABORTED", "NACK"}
_READ: Final = ("decisions", "late", "dead_letters", "control", "acks")
_TOPICS_S: Final = 30.0
_SLOT_S: Final = 5.0


@dataclass(slots=True)
class Plan:
    """What the demo was asked for.

    Args:
        seed: Of the traffic.
        seconds: How long events are sent.
        shop: What is simulated.
        keep: Leave everything running.
    """

    seed: int
    seconds: float
    shop: Shop
    keep: bool


@dataclass(slots=True)
class Started:
    """What the demo has started, and therefore ends."""

    parts: list[str] = field(default_factory=list)
    whole_stack: bool = False
    job: str | None = None
    submitting: bool = False
    threads: list[Sender | Reader] = field(default_factory=list)


def run(stack: Stack, plan: Plan, console: Console) -> list[str]:
    """Run the demo.

    Args:
        stack: Joined if it runs, else started.
        plan: What was asked for.
        console: Where it is shown.

    Returns:
        What was not as it should be; nothing if all went well.

    Raises:
        MillraceError: The stack did not come up, or the job did not run.
    """
    started = Started()
    ended = False
    try:
        found = _course(stack, plan, console, started)
        ended = True
    finally:
        for thread in started.threads:
            thread.stop()
        for thread in started.threads:
            thread.join(timeout=10)
        if not (plan.keep and ended):
            end(stack, started, console)
    return found


def _course(stack: Stack, plan: Plan, console: Console, started: Started) -> list[str]:
    begin_s = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[{time.monotonic() - begin_s:5.1f} s] {text}", markup=False)

    _start_stack(stack, started, say)
    settings = jobs.settings_for(stack, **_SETTINGS)
    _renew_topics(stack, settings, say)
    publisher = Publisher(stack.config_url, APP)
    revision = next_revision(publisher)
    publisher.publish(MANIFEST, assemble(EXAMPLES, revision), "demo: at the start")
    say(f"published revision {revision}: {_contents(EXAMPLES)}")
    _submit(stack, started)
    say(f"the job runs: {stack.flink_rest}/#/job/{started.job}/overview")

    tally = Tally(waiting_rules=_waiting_rules())
    roles = {name: role for role, name in settings.topics().items() if role in _READ}
    reader = Reader(stack.kafka_bootstrap, roles, tally)
    start_ms = int(time.time() * 1_000) + 1_000
    messages = traffic(plan.seed, start_ms, plan.shop)
    sender = Sender(stack.kafka_bootstrap, settings.events_topic, messages, None)
    tally.sent_s = sender.sent_s
    started.threads = [sender, reader]
    say(f"sending about {plan.shop.rate:,.0f} events/s for {plan.seconds:.0f} s, seed {plan.seed}")
    reader.start()
    sender.start()
    with Show(console, tally, reader, sender, plan.seconds) as show:
        show.until_settled(lambda: _half_way(tally, sender, show.start_s + plan.seconds / 2))
        _push(show, publisher, tally, revision + 1)
        # On a machine that lags, the second half begins late and is as long nevertheless.
        enough_s = max(show.start_s + plan.seconds, time.monotonic() + plan.seconds / 2 - 1)
        show.until(lambda: time.monotonic() >= enough_s)
        sender.stop()
        show.until(show.over)
        end_ms = int(time.time() * 1_000)
        show.until_settled(lambda: _settled(tally, sender.sent))
    facts = Run(
        produced=sender.sent, revisions=(revision, revision + 1), flow=FLOW, start_s=show.start_s,
        start_ms=start_ms, end_ms=end_ms, parallelism=settings.parallelism,
    )  # fmt: skip
    with reader.lock:
        console.print()
        for text in summary(tally, facts):
            console.print(text, markup=False)
        return faults(tally, facts)


def _push(show: Show, publisher: Publisher, tally: Tally, revision: int) -> None:
    """Push the changed rule and wait for what becomes of it, while events flow."""
    pushed_s = time.monotonic()
    publisher.publish(MANIFEST, assemble(EXAMPLES, revision, [CHANGED]), "demo: on the way")
    show.news(f"pushed revision {revision}: {_described(CHANGED)}")
    show.until_settled(lambda: bool(_ENDS & tally.answers(revision).keys()))
    took_ms = (time.monotonic() - pushed_s) * 1_000
    answers = ", ".join(f"{count} {status}" for status, count in tally.answers(revision).items())
    show.news(f"revision {revision}: {answers or 'no answer'}, {took_ms:.0f} ms after the push")


def end(stack: Stack, started: Started, console: Console) -> None:
    """Stop what the demo has started, and only that."""
    if started.whole_stack:
        stopped = stack.stop()
        console.print(f"stopped: {', '.join(stopped) or 'nothing was running'}")
        return
    if started.submitting:
        with contextlib.suppress(requests.RequestException):
            for job_id in _demo_jobs(stack):
                jobs.cancel(stack, job_id)
                console.print(f"cancelled the job {job_id}")
    if started.parts:
        stack.end(started.parts)
        console.print(f"stopped: {', '.join(started.parts)}")
    console.print("the rest of the stack ran before and goes on")


# -- steps ----------------------------------------------------------------------------------


def _start_stack(stack: Stack, started: Started, say: Callable[[str], None]) -> None:
    """Join the stack or start it, and see to it that there is a free slot."""
    ran = set(stack.running())
    started.whole_stack = not ran
    stack.up()
    started.parts = [name for name in stack.running() if name not in ran]
    say(f"started {', '.join(started.parts)}" if started.parts else "joined the stack that runs")
    for job_id in _demo_jobs(stack):
        jobs.cancel(stack, job_id)
        say(f"cancelled the job {job_id} of an earlier demo")
    if not _slot_is_free(stack):
        index = max(stack.taskmanager_pids(), default=0) + 1
        stack.start_taskmanager(index)
        started.parts.append(f"taskmanager-{index}")
        say(f"no slot was free: started taskmanager-{index}")


def _slot_is_free(stack: Stack) -> bool:
    """Tell whether a job would find a slot; a TaskManager tells its own a moment after itself."""
    deadline = time.monotonic() + _SLOT_S
    while True:
        overview = requests.get(f"{stack.flink_rest}/overview", timeout=10).json()
        if overview["slots-available"]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_SLOT_S / 20)


def _submit(stack: Stack, started: Started) -> None:
    """Submit the job and wait until it runs."""
    started.submitting = True
    started.job = jobs.submit(stack, **_SETTINGS)
    try:
        jobs.await_running(stack, started.job)
    except StackError as error:
        if "StaleCode" not in str(error):
            raise
        raise StackError(
            "the stack that runs has worked with other code than this; run 'millrace stop', then "
            f"the demo again\n{error}"
        ) from error


def _demo_jobs(stack: Stack) -> list[str]:
    return [job_id for job_id, name in jobs.running_jobs(stack).items() if name == JOB]


def _renew_topics(stack: Stack, settings: DecideSettings, say: Callable[[str], None]) -> None:
    """Begin with empty topics; their names are the demo's own."""
    missing = {settings.events_topic, *settings.topics().values()}
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    try:
        old = sorted(missing & set(admin.list_topics()))
        if old:
            admin.delete_topics(old)
    finally:
        admin.close()
    deadline = time.monotonic() + _TOPICS_S
    made: set[str] = set()
    while made != missing:
        if time.monotonic() > deadline:
            raise StackError(f"Kafka did not delete and create {sorted(missing - made)} in time")
        made |= set(jobs.create_topics(stack, settings))
    say(f"created the topics {', '.join(sorted(made))}")


def _contents(folder: Path) -> str:
    counts = {
        part: len(json.loads((folder / f"{part}.json").read_text()))
        for part in ("rules", "aggregates", "flows")
    }
    return ", ".join(f"{count} {part}" for part, count in counts.items())


def _described(path: Path) -> str:
    rule = json.loads(path.read_text())
    where = rule["pattern"][0]["where"]
    return f"{rule['rule']} version {rule['version']} (now from {where} on)"


def _waiting_rules() -> frozenset[str]:
    """Give the rules that end with an absence: a deadline completes them."""
    rules = json.loads((EXAMPLES / "rules.json").read_text())
    return frozenset(
        rule["rule"] for rule in rules if rule["pattern"][-1].get("then") == "not_followed_by"
    )


def _half_way(tally: Tally, sender: Sender, half_s: float) -> bool:
    """Tell whether it is time to push; a job that lags gets more time under the first revision."""
    return time.monotonic() >= half_s and tally.total("in") >= sender.sent / 2


def _settled(tally: Tally, sent: int) -> bool:
    """Tell whether all that was sent has been counted, and all that was counted was read."""
    return (
        tally.total("in") == sent == tally.accounted()
        and tally.late == tally.total("late")
        and tally.dead.total() == tally.total("dead")
        and len(tally.decisions) == tally.total("decisions")
    )
