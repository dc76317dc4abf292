"""The course of the demo: stack, history, model, job, traffic, pushes on the way, the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from configs.settings import DecideSettings
from stack import jobs
from stack.demo.child import Child
from stack.demo.offline import CHANGED, EXAMPLES, OFFER, Offline
from stack.demo.pushed import Pushed, in_words
from stack.demo.scored import FLOW
from stack.demo.show import Show
from stack.demo.started import JOB, Started, end, renew_topics, start_stack, submit
from stack.demo.tally import Tally
from stack.demo.threads import Reader, Sender
from stack.demo.traffic import Shop, traffic
from stack.demo.verdict import Run, answers, faults, summary
from stack.local import Stack

APP: Final = "demo"
"""Apollo's appId: the configs of other jobs on the same server are left alone."""

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

_PUSHES: Final = (0.25, 0.4, 0.5)
"""When pushes begin, as shares of the time; the last one takes longest."""

_LEAST: Final = 0.1
"""Every push gets such a share of the time at least, however late it came."""

_ANSWER_S: Final = 120.0
"""A push that nobody has answered, or nothing was decided under, after this time is given up."""


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
        started.calm()
        if not (plan.keep and ended):
            end(stack, started, console)
    return found


def _course(stack: Stack, plan: Plan, console: Console, started: Started) -> list[str]:
    begin_s = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[{time.monotonic() - begin_s:5.1f} s] {text}", markup=False)

    started.offline = offline = Offline(stack, APP, plan.seed)
    say(f"simulated a history: {offline.simulate(1).said()}")
    training = offline.train(1)
    start_stack(stack, started, say)
    settings = jobs.settings_for(stack, **_SETTINGS)
    renew_topics(stack, settings, say)
    first = _publish_all(offline, training, say)
    # While the job starts there is time to train on what happened since.
    say(f"a month later: {offline.simulate(2).said()}")
    training = offline.train(2)
    submit(stack, started, _SETTINGS)
    say(f"the job runs: {stack.flink_rest}/#/job/{started.job}/overview")
    say(training.said())
    return _stream(stack, plan, console, started, (offline, settings, first, say))


def _publish_all(offline: Offline, training: Child, say: Callable[[str], None]) -> Pushed:
    """Publish tables, model and configs."""
    for table in ("user", "item"):
        say(f"published {_short(offline.publish_table(table, 1).said())}")
    say(training.said())
    say(f"published {_short(offline.publish_model(1).said())}")
    offline.publish_configs(OFFER).said()
    first = offline.announced("at the start")
    versions = in_words(first.tables, first.models)
    say(f"published revision {first.revision}: {_contents(EXAMPLES)} on {versions}")
    return first


def _stream(
    stack: Stack,
    plan: Plan,
    console: Console,
    started: Started,
    ready: tuple[Offline, DecideSettings, Pushed, Callable[[str], None]],
) -> list[str]:
    """Send events, push on the way, and judge."""
    offline, settings, first, say = ready
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
        pushes = _push_all(show, offline, tally, plan.seconds, settings.parallelism)
        _wait(show, max(show.start_s + plan.seconds, time.monotonic() + _LEAST * plan.seconds))
        sender.stop()
        show.until(show.over)
        end_ms = int(time.time() * 1_000)
        show.until_settled(lambda: _settled(tally, sender.sent))
    facts = Run(
        produced=sender.sent, first=first, pushes=pushes, start_s=show.start_s,
        start_ms=start_ms, end_ms=end_ms, parallelism=settings.parallelism,
    )  # fmt: skip
    with reader.lock:
        console.print()
        for text in summary(tally, facts):
            console.print(text, markup=False)
        return faults(tally, facts)


def _push_all(
    show: Show, offline: Offline, tally: Tally, seconds: float, parallelism: int
) -> tuple[Pushed, ...]:
    """Push a rule, a table and a model while events flow, one after the other."""
    steps: tuple[tuple[str, Callable[[], Child]], ...] = (
        (_described(CHANGED), lambda: offline.publish_configs(OFFER, CHANGED)),
        ("a new release of the table user", lambda: offline.publish_table("user", 2)),
        ("a new version of the model ctr_small", lambda: offline.publish_model(2)),
    )
    pushes: list[Pushed] = []
    least_s = 0.0
    for share, (what, publish) in zip(_PUSHES, steps, strict=True):
        _wait(show, max(show.start_s + share * seconds, least_s))
        _await_decision(show, tally)
        pushes.append(_push(show, offline, tally, publish(), what))
        show.news(f"revision {pushes[-1].revision}: {answers(tally, pushes[-1], parallelism)}")
        least_s = time.monotonic() + _LEAST * seconds
    _await_decision(show, tally)
    return tuple(pushes)


def _push(show: Show, offline: Offline, tally: Tally, child: Child, what: str) -> Pushed:
    """Wait for a publication and for what becomes of it, while events flow."""
    show.until(child.done)
    child.said()
    push = offline.announced(what)
    show.news(f"pushed revision {push.revision}: {what}; {in_words(push.tables, push.models)}")
    _until(show, lambda: bool(_ENDS & tally.answers(push.revision).keys()))
    return push


def _await_decision(show: Show, tally: Tally) -> None:
    """Wait until something was decided under the revision in force."""
    _until(
        show,
        lambda: any(
            seen.flow == FLOW and str(seen.revision) == tally.in_force()
            for seen in reversed(tally.decisions)
        ),
    )


def _wait(show: Show, until_s: float) -> None:
    show.until(lambda: time.monotonic() >= until_s)


def _until(show: Show, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _ANSWER_S
    show.until(lambda: done() or time.monotonic() > deadline)


def _short(said: str) -> str:
    """Give what `millrace table publish` and `millrace model publish` say, without the release."""
    return said.partition(";")[0]


def _contents(folder: Path) -> str:
    counts = {
        part: len(json.loads((folder / f"{part}.json").read_text()))
        for part in ("rules", "aggregates", "flows")
    }
    return ", ".join(f"{count} {part}" for part, count in counts.items())


def _described(path: Path) -> str:
    rule = json.loads(path.read_text())
    where = rule["pattern"][0]["where"]
    return f"{rule['rule']} version {rule['version']} (from {where} on)"


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
