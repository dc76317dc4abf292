"""Starts the parts of a run directory, waits for them, finds them again, and ends them.

It knows nothing of Kafka or Flink: a :class:`Part` says how it starts and how one sees that it
is ready.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack import ports, processes
from stack.processes import Process
from stack.settings import cure
from udfs.errors import StackError

# It takes 15 s alone, four times as long while tests keep both cores busy.
READY_TIMEOUT_S = 120.0
# A JVM that has not ended by then hangs; nothing of a local stack is worth a longer wait.
STOP_GRACE_S = 10.0
LOG_TAIL_LINES = 20
LOG_KEEP_BYTES = 20 * 1024 * 1024
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """One process of a stack.

    Args:
        name: Names its pid file and its log.
        command: Prepares its files and gives the command that starts it.
        ports: The ports it listens on, by the name of their setting.
        ready: Whether it does its work by now.
        environment: What it needs beside the stack's own environment.
    """

    name: str
    command: Callable[[], Sequence[str]]
    ports: Mapping[str, int]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of ``millrace status``; ``state`` is running, starting or stopped."""

    name: str
    state: str
    pid: int | None
    address: str
    log: Path


class Supervisor:
    """The processes of one run directory; holds none itself, all it knows is on disk.

    Args:
        run_dir: Where pid files and logs lie.
        environment: Gives the environment of the processes.
        say: Called with each line of progress.
        ready_timeout_s: How long a part may take to become ready.
    """

    def __init__(
        self,
        run_dir: Path,
        environment: Callable[[], Mapping[str, str]],
        say: Callable[[str], None] = lambda _line: None,
        ready_timeout_s: float = READY_TIMEOUT_S,
    ) -> None:
        self._run_dir = run_dir
        self._environment = environment
        self._say = say
        self._ready_timeout_s = ready_timeout_s

    def log(self, name: str) -> Path:
        """The log of a part."""
        return self._run_dir / "logs" / f"{name}.log"

    def process(self, name: str) -> Process | None:
        """The process of a part, if it runs."""
        process = processes.read(self._pid_file(name))
        return process if process is not None and process.alive() else None

    def known(self) -> list[str]:
        """The parts that were started and not stopped, whether they still run or not."""
        return sorted(file.stem for file in (self._run_dir / "pids").glob("*.json"))

    def running(self) -> list[str]:
        """The parts whose process runs."""
        return [name for name in self.known() if self.process(name)]

    def status(self, part: Part) -> PartStatus:
        """The state of a part now."""
        process = self.process(part.name)
        state = "stopped"
        if process is not None:
            state = "running" if part.ready() else "starting"
        address = ", ".join(f"{ports.HOST}:{port}" for port in part.ports.values())
        return PartStatus(
            part.name, state, process.pid if process else None, address, self.log(part.name)
        )

    def up(self, parts: Sequence[Part], prepare: Callable[[], None] = lambda: None) -> list[str]:
        """Start what does not run, and wait until all of it is ready.

        Args:
            parts: What shall run.
            prepare: Called once before the first start, if anything has to be started.

        Returns:
            The parts that were started.

        Raises:
            StackError: A port is a stranger's, or a part does not come up. What this call
                started is ended again.
        """
        for name in ("pids", "logs"):
            (self._run_dir / name).mkdir(parents=True, exist_ok=True)
        missing = [part for part in parts if self.process(part.name) is None]
        offsets: dict[str, int] = {}
        if missing:
            _check_ports(missing)
            prepare()
        try:
            for part in missing:
                offsets[part.name] = self._launch(part)
            self._await_ready(parts, offsets)
        except BaseException:
            self.end(part.name for part in missing)
            raise
        return [part.name for part in missing]

    def end(self, names: Iterable[str]) -> None:
        """End parts and whatever they started; one that does not run is forgotten."""
        names = list(names)
        found = [process for name in names if (process := processes.read(self._pid_file(name)))]
        processes.terminate(found, str(self._run_dir), STOP_GRACE_S)
        for name in names:
            self._pid_file(name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Let one program at a time change what runs in the run directory."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        with (self._run_dir / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _pid_file(self, name: str) -> Path:
        return self._run_dir / "pids" / f"{name}.json"

    def _launch(self, part: Part) -> int:
        """Start a part; gives where in its log the new start begins."""
        before = processes.read(self._pid_file(part.name))
        if before is not None:  # killed by somebody: its children may still hold on
            processes.kill_orphans(before, str(self._run_dir))
        log = self.log(part.name)
        if log.exists() and log.stat().st_size > LOG_KEEP_BYTES:
            log.replace(log.with_suffix(".old.log"))
        offset = log.stat().st_size if log.exists() else 0
        self._say(f"{part.name}: starting")
        environment = {
            **self._environment(),
            **part.environment,
            processes.OWNER_VARIABLE: str(self._run_dir),
        }
        processes.launch(part.command(), environment, log, self._pid_file(part.name))
        return offset

    def _await_ready(self, parts: Sequence[Part], offsets: Mapping[str, int]) -> None:
        begin = time.monotonic()
        waiting = list(parts)
        while waiting:
            for part in list(waiting):
                if self.process(part.name) is None:
                    raise self._failed(
                        part.name, "ended during its start", offsets.get(part.name, 0)
                    )
                if part.ready():
                    waiting.remove(part)
                    if part.name in offsets:
                        self._say(f"{part.name}: ready after {time.monotonic() - begin:.1f} s")
            if waiting:
                if time.monotonic() - begin > self._ready_timeout_s:
                    name = waiting[0].name
                    what = f"is not ready after {self._ready_timeout_s:.0f} s"
                    raise self._failed(name, what, offsets.get(name, 0))
                time.sleep(POLL_S)

    def _failed(self, name: str, what: str, offset: int) -> StackError:
        log = self.log(name)
        text = log.read_bytes()[offset:].decode(errors="replace") if log.exists() else ""
        # Java's stack frames would push out the line that says what is wrong.
        telling = [line for line in text.splitlines() if not line.startswith("\tat ")]
        lines = telling[-LOG_TAIL_LINES:] or ["(nothing)"]
        indented = "\n".join(f"    {line}" for line in lines)
        return StackError(f"{name} {what}. The last lines of {log}:\n{indented}")


def _check_ports(parts: Sequence[Part]) -> None:
    taken = [
        f"{part.name}: port {port} is taken by another process; stop that one "
        f"(ss -ltnp 'sport = :{port}' names it) or choose another port ({cure(name)})"
        for part in parts
        for name, port in part.ports.items()
        if not ports.is_free(port)
    ]
    if taken:
        raise StackError("\n".join(taken))
