"""Where one stack lives and which ports it takes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from udfs.errors import SettingsInvalid

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
DEFAULT_RUN_DIR = LOCAL / "run"

# Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes one of them,
# and away from the well-known ports, where a stranger is likely to listen.
DEFAULT_PORTS: Mapping[str, int] = {
    "kafka_port": 29092,
    "kafka_controller_port": 29093,
    "flink_rest_port": 28081,
    "flink_rpc_port": 26123,
    "config_port": 28080,
}
HIGHEST_PORT = 65535
RECORD = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """What ``millrace up`` can be told.

    Args:
        run_dir: Directory of everything this stack writes.
        taskmanagers: How many TaskManagers of one slot run.
        kafka_port: Kafka's listener for clients.
        kafka_controller_port: Kafka's listener for its own controller.
        flink_rest_port: Flink's REST interface and web page.
        flink_rpc_port: Where TaskManagers find the JobManager.
        config_port: The config server.

    Raises:
        SettingsInvalid: A port is out of range or used twice, or there is no TaskManager.
    """

    run_dir: Path = DEFAULT_RUN_DIR
    taskmanagers: int = 1
    kafka_port: int = DEFAULT_PORTS["kafka_port"]
    kafka_controller_port: int = DEFAULT_PORTS["kafka_controller_port"]
    flink_rest_port: int = DEFAULT_PORTS["flink_rest_port"]
    flink_rpc_port: int = DEFAULT_PORTS["flink_rpc_port"]
    config_port: int = DEFAULT_PORTS["config_port"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "run_dir", Path(self.run_dir).absolute())
        if self.taskmanagers < 1:
            raise SettingsInvalid(
                f"taskmanagers is {self.taskmanagers}: a job needs at least 1 (--taskmanagers)"
            )
        users: dict[int, str] = {}
        for name, port in self.ports().items():
            if not 0 < port <= HIGHEST_PORT:
                raise SettingsInvalid(
                    f"{name} is {port}: choose a port from 1 to {HIGHEST_PORT} ({cure(name)})"
                )
            if port in users:
                raise SettingsInvalid(
                    f"{users[port]} and {name} are both {port}: change one ({cure(name)})"
                )
            users[port] = name

    def ports(self) -> dict[str, int]:
        """Every port by its setting's name."""
        return {name: getattr(self, name) for name in DEFAULT_PORTS}

    @classmethod
    def resolve(cls, run_dir: Path, explicit: Mapping[str, int | None]) -> Self:
        """Settings from what was asked for, else the environment, else the defaults.

        Args:
            run_dir: Directory of the stack.
            explicit: Options given; None means not given.

        Raises:
            SettingsInvalid: A value cannot be used.
        """
        values: dict[str, int] = {}
        for name in ("taskmanagers", *DEFAULT_PORTS):
            given = explicit.get(name)
            if given is not None:
                values[name] = given
            elif text := os.environ.get(variable(name)):
                try:
                    values[name] = int(text)
                except ValueError:
                    raise SettingsInvalid(
                        f"{variable(name)} is {text!r}: it must be a whole number"
                    ) from None
        return cls(run_dir=run_dir, **values)

    def save(self) -> None:
        """Note the settings in the run directory, for ``status``, ``stop`` and a later ``up``."""
        record = {"taskmanagers": self.taskmanagers, **self.ports()}
        (self.run_dir / RECORD).write_text(json.dumps(record, indent=1) + "\n")

    @classmethod
    def load(cls, run_dir: Path) -> Self | None:
        """The settings noted in a run directory; None if there are none that can be read."""
        try:
            record = json.loads((run_dir / RECORD).read_text())
            names = {field.name for field in dataclasses.fields(cls)} - {"run_dir"}
            return cls(run_dir=run_dir, **{name: int(record[name]) for name in names})
        except (OSError, ValueError, KeyError, TypeError):
            return None


def variable(name: str) -> str:
    """The environment variable of a setting, e.g. ``MILLRACE_KAFKA_PORT``."""
    return f"MILLRACE_{name.upper()}"


def option(name: str) -> str:
    """The command-line option of a setting, e.g. ``--kafka-port``."""
    return "--" + name.replace("_", "-")


def cure(name: str) -> str:
    """How to change a setting, in words."""
    return f"{option(name)} or {variable(name)}"
