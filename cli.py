"""The ``millrace`` command: a table of sub-commands, each made by the package it belongs to.

To add one, add a line to :data:`COMMANDS`. Only the package of the command that was asked for
is imported, so that ``millrace stop`` does not wait for TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer
from rich.console import Console

from udfs.errors import ConfigInvalid, MillraceError


@dataclass(frozen=True, slots=True)
class Command:
    """A sub-command.

    Args:
        name: What is typed after ``millrace``.
        target: ``module:attribute`` of a function, or of a ``typer.Typer`` with commands.
        summary: Its line in ``millrace --help``.
        passes_on: Whether it passes on options that it does not know.
    """

    name: str
    target: str
    summary: str
    passes_on: bool = False


_PASS_ON = ("allow_extra_args", "ignore_unknown_options")

COMMANDS = (
    Command("up", "stack.commands:up", "Start Kafka, Flink and the config server, or join them."),
    Command("stop", "stack.commands:stop", "Stop what 'up' started, and nothing else."),
    Command("status", "stack.commands:status", "Show what runs, with pids, addresses and logs."),
    Command("submit", "stack.submit:submit", "Submit a job to the local stack.", passes_on=True),
    Command("read", "stack.read:read", "Print records of a topic of the local stack."),
    Command("traffic", "stack.demo.command:send_traffic", "Send simulated events to a topic."),
    Command("demo", "stack.demo.command:demo", "Show the whole system at work."),
    Command("settings", "stack.submit:settings", "Print the settings of jobs/decide as Markdown."),
    Command("table", "udfs.runtime.publish_command:table_app", "Publish feature tables."),
    Command("model", "udfs.runtime.publish_command:model_app", "Publish models."),
    Command("config", "udfs.runtime.config_command:app", "Publish, show and check configs."),
    Command("aggregates", "udfs.aggregation.commands:app", "Check, compare and run aggregates."),
    Command("rules", "udfs.matching.commands:app", "Check, run, explain, draw and import rules."),
    Command("sessions", "udfs.stitching.commands:app", "Make sessions of events, and draw them."),
)


def build(wanted: str | None) -> typer.Typer:
    """The command line, with the package of one sub-command loaded.

    Args:
        wanted: Name of the sub-command to load; the others only have their line of help.
    """
    app = typer.Typer(
        name="millrace",
        help="Turns a Kafka stream of user events into decisions inside Apache Flink.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for command in COMMANDS:
        target = _load(command.target) if command.name == wanted else _root
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=command.name, help=command.summary)
        else:
            extra = dict.fromkeys(_PASS_ON, command.passes_on)
            app.command(command.name, help=command.summary, context_settings=extra)(target)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error of ours is a message and exit code 1, no stack trace."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    try:
        build(wanted)(arguments)
    except ConfigInvalid as error:
        _complain("\n".join(str(fault) for fault in error.faults))
    except MillraceError as error:
        _complain(str(error))


def _complain(text: str) -> None:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(text)
    sys.exit(1)


def _root() -> None:
    """Do nothing: the program's own options, and stands for commands that are not loaded."""


def _load(target: str) -> Callable[..., None] | typer.Typer:
    module, attribute = target.split(":")
    loaded: Callable[..., None] | typer.Typer = getattr(importlib.import_module(module), attribute)
    return loaded


if __name__ == "__main__":
    main()
