"""``millrace up``, ``stop`` and ``status``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack.local import Stack
from stack.settings import (
    DEFAULT_PORTS,
    DEFAULT_RUN_DIR,
    StackSettings,
    option,
    variable,
)
from udfs.errors import StackError

Directory = Annotated[
    Path, typer.Option("--dir", envvar="MILLRACE_DIR", help="Run directory of the stack.")
]


def _port(name: str, what: str) -> Any:
    return typer.Option(
        option(name),
        envvar=variable(name),
        help=f"{what} [default: {DEFAULT_PORTS[name]}]",
        show_default=False,
    )


def up(
    run_dir: Directory = DEFAULT_RUN_DIR,
    taskmanagers: Annotated[
        int | None,
        typer.Option(
            envvar="MILLRACE_TASKMANAGERS",
            help="TaskManagers of one slot each [default: 1]",
            show_default=False,
        ),
    ] = None,
    kafka_port: Annotated[int | None, _port("kafka_port", "Kafka's port.")] = None,
    kafka_controller_port: Annotated[
        int | None, _port("kafka_controller_port", "Port of Kafka's controller.")
    ] = None,
    flink_rest_port: Annotated[
        int | None, _port("flink_rest_port", "Flink's REST interface and web page.")
    ] = None,
    flink_rpc_port: Annotated[
        int | None, _port("flink_rpc_port", "Where TaskManagers find the JobManager.")
    ] = None,
    config_port: Annotated[int | None, _port("config_port", "The config server's port.")] = None,
) -> None:
    """Start Kafka, Flink and the config server, or join what runs already."""
    console = Console(highlight=False, soft_wrap=True)
    settings = join(
        run_dir,
        {
            "taskmanagers": taskmanagers,
            "kafka_port": kafka_port,
            "kafka_controller_port": kafka_controller_port,
            "flink_rest_port": flink_rest_port,
            "flink_rpc_port": flink_rpc_port,
            "config_port": config_port,
        },
    )
    stack = Stack(settings, console.print)
    if not stack.up():
        console.print("all of it was running already")
    console.print(f"Kafka          {stack.kafka_bootstrap}")
    console.print(f"Flink          {stack.flink_rest}")
    console.print(f"config server  {stack.config_url}")
    console.print(f"object store   {stack.object_store}")


def stop(run_dir: Directory = DEFAULT_RUN_DIR) -> None:
    """Stop what 'up' started, and nothing else."""
    console = Console(highlight=False)
    stopped = Stack(recorded(run_dir)).stop()
    console.print("stopped: " + ", ".join(stopped) if stopped else "nothing was running")


def status(run_dir: Directory = DEFAULT_RUN_DIR) -> None:
    """Show what runs, with pids, addresses and logs; exit code 1 if a part does not."""
    table = Table(box=None)
    for column in ("part", "state", "pid", "address", "log"):
        table.add_column(column, overflow="fold")
    lines = Stack(recorded(run_dir)).status()
    for line in lines:
        table.add_row(line.name, line.state, str(line.pid or ""), line.address, str(line.log))
    Console(highlight=False).print(table)
    if any(line.state != "running" for line in lines):
        raise typer.Exit(1)


def recorded(run_dir: Path) -> StackSettings:
    """The settings a stack was started with; the defaults if it never was."""
    return StackSettings.load(run_dir.absolute()) or StackSettings(run_dir=run_dir)


def join(run_dir: Path, explicit: Mapping[str, int | None]) -> StackSettings:
    """Settings for ``up``: those of what runs there, or what is asked for.

    Args:
        run_dir: Directory of the stack.
        explicit: Options given; None means not given. More TaskManagers may be asked for
            while the stack runs, other ports may not.

    Raises:
        StackError: Something runs there on other ports than asked for.
        SettingsInvalid: A value cannot be used.
    """
    wanted = StackSettings.resolve(run_dir, explicit)
    running = StackSettings.load(wanted.run_dir)
    if running is None or not Stack(running).running():
        return wanted
    for name, port in running.ports().items():
        asked = explicit.get(name)
        if asked is not None and asked != port:
            raise StackError(
                f"the stack in {wanted.run_dir} runs with {name} {port}, not {asked}: "
                f"leave {option(name)} away to join it, or run 'millrace stop' first"
            )
    return dataclasses.replace(running, taskmanagers=wanted.taskmanagers)
