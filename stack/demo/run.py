"""The course of the demo: stack, topics, configs, job, traffic, a push on the way, the end."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import requests
from kafka.admin import KafkaAdminClient
from rich.console import Console
from rich.live import Live

from configs.assemble import assemble
from configs.cli import next_revision
from configs.publish import Publisher
from configs.watch import MANIFEST
from stack import jobs
from stack.demo import panel
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
_READ: Final = ("decisions", "late", "dead_letters", "control", "acks")
_SHOW_S: Final = 0.25
_LINE_S: Final = 5.0
_PATIENCE_S: Final = 20.0
"""Nothing has moved for so long: nothing more is to be expected."""


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
        console.print(f"[{time.monotonic() - begin_s:5.1f} s] {text}")

    ran = set(stack.running())
    started.whole_stack = not ran
    stack.up()
    started.parts = [name for name in stack.running() if name not in ran]
    say(
        "joined the stack that runs" if not started.parts else f"started {', '.join(started.parts)}"
    )
    _make_room(stack, started, say)
    settings = jobs.settings_for(stack, **_SETTINGS)
    _renew_topics(stack, say)
    publisher = Publisher(stack.config_url, APP)
    first = next_revision(publisher)
    publisher.publish(MANIFEST, assemble(EXAMPLES, first), "demo: at the start")
    say(f"published revision {first}: {_contents(EXAMPLES)}")
    started.submitting = True
    started.job = jobs.submit(stack, **_SETTINGS)
    jobs.await_running(stack, started.job)
    say(f"the job runs: {stack.flink_rest}/#/job/{started.job}/overview")

    topics = settings.topics()
    waiting = _waiting_rules()
    tally = Tally(waiting_rules=waiting)
    reader = Reader(stack.kafka_bootstrap, {topics[role]: role for role in _READ}, tally)
    messages = traffic(plan.seed, int(time.time() * 1_000) + 1_000, plan.shop)
    sender = Sender(stack.kafka_bootstrap, settings.events_topic, messages, plan.seconds + 1)
    tally.sent_s = sender.sent_s
    started.threads = [sender, reader]
    say(f"sending about {plan.shop.rate:,.0f} events/s for {plan.seconds:.0f} s, seed {plan.seed}")
    reader.start()
    sender.start()
    show = _Show(console, tally, reader, sender, plan.seconds)
    with show:
        start_s = show.start_s
        show.until(lambda: time.monotonic() >= start_s + plan.seconds / 2)
        pushed_s = time.monotonic()
        second = first + 1
        publisher.publish(MANIFEST, assemble(EXAMPLES, second, [CHANGED]), "demo: on the way")
        show.news(f"pushed revision {second}: {_described(CHANGED)}")
        show.until(lambda: "COMMITTED" in tally.answers(second) or not sender.is_alive())
        took_ms = (time.monotonic() - pushed_s) * 1_000
        answers = " ".join(f"{status} {n}" for status, n in tally.answers(second).items())
        show.news(f"revision {second}: {answers or 'no answer'}, {took_ms:.0f} ms after the push")
        show.until(lambda: not sender.is_alive())
        end_s = time.monotonic()
        show.until_settled(lambda: _settled(tally, sender.sent))
    facts = Run(
        produced=sender.sent, revisions=(first, second), flow=FLOW, start_s=start_s,
        pushed_s=pushed_s, end_s=end_s, parallelism=settings.parallelism,
    )  # fmt: skip
    with reader.lock:
        console.print()
        for text in summary(tally, facts):
            console.print(text, markup=False)
        return faults(tally, facts)


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


def _make_room(stack: Stack, started: Started, say: Callable[[str], None]) -> None:
    """See to it that there is a free slot."""
    for job_id in _demo_jobs(stack):
        jobs.cancel(stack, job_id)
        say(f"cancelled the job {job_id} of an earlier demo")
    overview = requests.get(f"{stack.flink_rest}/overview", timeout=10).json()
    if not overview["slots-available"]:
        index = max(stack.taskmanager_pids(), default=0) + 1
        stack.start_taskmanager(index)
        started.parts.append(f"taskmanager-{index}")
        say(f"no slot was free: started taskmanager-{index}")


def _demo_jobs(stack: Stack) -> list[str]:
    return [job_id for job_id, name in jobs.running_jobs(stack).items() if name == JOB]


def _renew_topics(stack: Stack, say: Callable[[str], None]) -> None:
    """Begin with empty topics; their names are the demo's own."""
    settings = jobs.settings_for(stack, **_SETTINGS)
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    try:
        old = sorted(
            set(admin.list_topics()) & {settings.events_topic, *settings.topics().values()}
        )
        if old:
            admin.delete_topics(old)
    finally:
        admin.close()
    deadline = time.monotonic() + _PATIENCE_S
    missing = {settings.events_topic, *settings.topics().values()}
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


def _settled(tally: Tally, sent: int) -> bool:
    """Tell whether all that was sent has been counted, and all that was counted was read."""
    return (
        tally.total("in") == sent == tally.accounted()
        and tally.late == tally.total("late")
        and tally.dead.total() == tally.total("dead")
        and len(tally.decisions) == tally.total("decisions")
    )


class _Show:
    """Shows the demo while it runs; a context manager.

    Args:
        console: Where.
        tally: What was seen.
        reader: Feeds it.
        sender: Sends the events.
        seconds: How long.
    """

    def __init__(
        self, console: Console, tally: Tally, reader: Reader, sender: Sender, seconds: float
    ) -> None:
        self.start_s = time.monotonic() + 1  # the first record is due then
        self._console = console
        self._tally = tally
        self._reader = reader
        self._sender = sender
        self._seconds = seconds
        self._news = ""
        self._sent: list[tuple[float, int]] = []
        self._lined_s = self.start_s
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def news(self, text: str) -> None:
        """Tell something that has happened."""
        self._news = text
        if self._live is None:
            self._console.print(f"       {text}", markup=False)

    def until(self, done: Callable[[], bool]) -> None:
        """Go on showing until something is so."""
        while True:
            self._alive()
            with self._reader.lock:
                if done():
                    return
                self._refresh()
            time.sleep(_SHOW_S)

    def until_settled(self, done: Callable[[], bool]) -> None:
        """Go on showing until something is so, or nothing moves any more."""
        moved_s, before = time.monotonic(), (-1, -1)

        def over() -> bool:
            nonlocal moved_s, before
            now = self._tally.total("in"), len(self._tally.decisions)
            if now != before:
                moved_s, before = time.monotonic(), now
            return done() or time.monotonic() - moved_s > _PATIENCE_S

        self.until(over)

    def _alive(self) -> None:
        for thread in (self._sender, self._reader):
            if thread.failure is not None:
                raise StackError(f"the {thread.name} has failed: {thread.failure!r}")

    def _refresh(self) -> None:
        now_s = time.monotonic()
        self._sent.append((now_s, self._sender.sent))
        while len(self._sent) > 2 and now_s - self._sent[0][0] > _LINE_S:  # noqa: PLR2004 - a first and a last
            del self._sent[0]
        (then_s, before), (_, sent) = self._sent[0], self._sent[-1]
        now = panel.moment(
            self._tally, now_s=now_s, start_s=self.start_s, seconds=self._seconds, produced=sent,
            produced_rate=(sent - before) / max(now_s - then_s, _SHOW_S), news=self._news,
        )  # fmt: skip
        if self._live is not None:
            self._live.update(panel.panel(now), refresh=True)
        elif now_s - self._lined_s >= _LINE_S:
            self._lined_s = now_s
            self._console.print(panel.line(now), markup=False)
