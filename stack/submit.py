"""``millrace submit`` and ``millrace settings``."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

from configs.settings import DecideSettings, load_settings
from configs.settings_doc import document
from stack import jobs
from stack.commands import Directory, recorded
from stack.local import Stack
from stack.settings import DEFAULT_RUN_DIR, ROOT
from udfs.errors import StackError


def submit(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="A module of jobs/, e.g. decide.")],
    run_dir: Directory = DEFAULT_RUN_DIR,
    *,
    savepoint: Annotated[
        str | None, typer.Option(help="Start from this savepoint or checkpoint.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until all subtasks run.")] = True,
) -> None:
    """Submit a job to the local stack; further options are settings of the job.

    The addresses of Kafka and the config server are the stack's unless they are given. Topics
    that are not there are created on the stack's own Kafka.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    known = sorted(path.stem for path in (ROOT / "jobs").glob("[a-z]*.py"))
    if job not in known:
        raise StackError(f"there is no job {job!r} in jobs/: known are {', '.join(known)}")
    stack = Stack(recorded(run_dir))
    if "jobmanager" not in stack.running():
        raise StackError("no Flink cluster runs: start one with 'millrace up'")
    arguments = completed(stack, context.args)
    settings = load_settings(arguments, os.environ)
    if settings.bootstrap_servers == stack.kafka_bootstrap:
        made = jobs.create_topics(stack, settings)
        if made:
            console.print(f"created the topics {', '.join(sorted(made))}")
    job_id = jobs.submit(stack, job=job, savepoint=savepoint, arguments=arguments)
    if wait:
        jobs.await_running(stack, job_id)
    console.print(f"job {job_id} {'runs' if wait else 'is submitted'}")
    console.print(f"web page  {stack.flink_rest}/#/job/{job_id}/overview")
    console.print(f"logs      {stack.log('taskmanager-1')}")
    console.print(f"topics    {settings.events_topic} -> {', '.join(settings.topics().values())}")


def completed(stack: Stack, arguments: list[str]) -> list[str]:
    """Give a job's command line with the stack's addresses, where it names none itself.

    Args:
        stack: Where it will run.
        arguments: As typed; a settings file and the environment count as naming.

    Raises:
        SettingsInvalid: The settings cannot work.
    """
    given = load_settings(arguments, os.environ).model_fields_set
    known = jobs.arguments_for(stack)
    pairs = zip(known[::2], known[1::2], strict=True)
    missing = [
        word
        for option, value in pairs
        if option.removeprefix("--").replace("-", "_") not in given
        for word in (option, value)
    ]
    return [*missing, *arguments]


def settings() -> None:
    """Print the settings of jobs/decide with defaults and meanings, as Markdown."""
    typer.echo(document(DecideSettings), nl=False)
