"""``millrace demo`` and ``millrace traffic``."""

from __future__ import annotations

import signal
import time
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from stack.commands import Directory, join, recorded
from stack.demo.offline import CHANGED, EXAMPLES, OFFER
from stack.demo.run import APP, Plan, run
from stack.demo.threads import Sender
from stack.demo.traffic import Shop, traffic
from stack.local import Stack
from stack.settings import DEFAULT_RUN_DIR, ROOT
from udfs.errors import StackError

_INTERRUPTED = 130

Seed = Annotated[int, typer.Option(help="Of the traffic: the same seed, the same visitors.")]
Rate = Annotated[float, typer.Option(min=1, max=10_000, help="Events a second, on average.")]


def demo(
    run_dir: Directory = DEFAULT_RUN_DIR,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running.")] = False,
    seed: Seed = 1,
    seconds: Annotated[float, typer.Option(min=6, help="How long events are sent.")] = 40.0,
    rate: Rate = 2_000.0,
) -> None:
    """Simulated shop traffic through the whole system; a rule, a table and a model change."""
    console = Console(highlight=False, soft_wrap=True)
    stack = Stack(join(run_dir, {}), lambda line: console.print(f"  {line}", markup=False))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        faults = run(stack, Plan(seed, seconds, Shop(rate=rate), keep), console)
    except KeyboardInterrupt:
        console.print("interrupted")
        raise typer.Exit(_INTERRUPTED) from None
    if keep:
        _what_next(console, stack)
    if faults:
        raise StackError("the demo did not do what it should:\n  " + "\n  ".join(faults))
    console.print("[green]all counts agree[/green]")


def send_traffic(
    run_dir: Directory = DEFAULT_RUN_DIR,
    *,
    topic: Annotated[str, typer.Option(help="Where to.")] = "events",
    seed: Seed = 1,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 20.0,
    rate: Rate = 500.0,
) -> None:
    """Send the demo's simulated events to a topic of the local stack."""
    stack = Stack(recorded(run_dir))
    sender = Sender(
        stack.kafka_bootstrap,
        topic,
        traffic(seed, int(time.time() * 1_000), Shop(rate=rate)),
        seconds,
    )
    sender.start()
    try:
        while sender.is_alive():
            sender.join(timeout=1)
    except KeyboardInterrupt:
        sender.stop()
        sender.join()
    if sender.failure is not None:
        raise StackError(f"{topic} at {stack.kafka_bootstrap}: {sender.failure!r}")
    Console(highlight=False).print(f"{sender.sent:,} records sent to {topic}")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _what_next(console: Console, stack: Stack) -> None:
    examples, changed, offer = (path.relative_to(ROOT) for path in (EXAMPLES, CHANGED, OFFER))
    scoring = f"{examples} --replace {offer}"
    lines = (
        "",
        "It all goes on running:",
        f"  Flink          {stack.flink_rest}",
        f"  Kafka          {stack.kafka_bootstrap}   topics demo-events, demo-decisions, ...",
        f"  config server  {stack.config_url}   app {APP}",
        "Go on with (millrace is .local/venv/bin/millrace):",
        "  millrace traffic --topic demo-events --seconds 60",
        "  millrace read demo-decisions --last 3",
        f"  millrace config publish {scoring} --app-id {APP}",
        f"  millrace config publish {scoring} --replace {changed} --app-id {APP}",
        f"  millrace table get user user-00001 --app-id {APP}",
        f"  millrace config kill --flow offer --app-id {APP}",
        "  millrace stop",
    )
    for line in lines:
        console.print(line, markup=False)
