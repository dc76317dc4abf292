"""One local stack: bring it up, join it, look at it, take parts of it away, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

from stack import flink, flink_home, java, kafka, ports, processes
from stack.processes import Process
from stack.settings import LOCAL, ROOT, StackSettings, cure
from udfs.errors import StackError

READY_TIMEOUT_S = 90.0
# A JVM that has not ended by then hangs; nothing of a local stack is worth a longer wait.
STOP_GRACE_S = 10.0
LOG_TAIL_LINES = 20
LOG_KEEP_BYTES = 20 * 1024 * 1024
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """A process of the stack: how it starts, which ports it takes, how one sees it is ready."""

    name: str
    command: Callable[[], Sequence[str]]
    ports: Mapping[str, int]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of ``millrace status``."""

    name: str
    state: str  # "running", "starting", "stopped"
    pid: int | None
    address: str
    log: Path


class Stack:
    """The processes of one run directory.

    An object holds no process itself: any object with the same run directory sees the same
    stack, also from another program.

    Args:
        settings: Where it lives and which ports it takes.
        say: Called with each line of progress.
    """

    def __init__(
        self,
        settings: StackSettings | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.settings = settings or StackSettings()
        self._say = say
        self._run_dir = self.settings.run_dir
        self._home = LOCAL / "flink"
        self._jars = LOCAL / "jars"

    @property
    def kafka_bootstrap(self) -> str:
        """Address of the Kafka broker."""
        return f"{ports.HOST}:{self.settings.kafka_port}"

    @property
    def flink_rest(self) -> str:
        """URL of Flink's REST interface."""
        return f"http://{ports.HOST}:{self.settings.flink_rest_port}"

    @property
    def config_url(self) -> str:
        """URL of the config server."""
        return f"http://{ports.HOST}:{self.settings.config_port}"

    @property
    def object_store(self) -> Path:
        """Directory that stands for the object store."""
        return self._run_dir / "objects"

    @property
    def flink_home(self) -> Path:
        """The Flink distribution; build it with :meth:`up`."""
        return self._home

    def log(self, name: str) -> Path:
        """The log of a part, e.g. ``kafka`` or ``taskmanager-1``."""
        return self._run_dir / "logs" / f"{name}.log"

    # -- all of it ------------------------------------------------------------------------

    def up(self) -> None:
        """Start what does not run yet and wait until all of it is ready.

        Raises:
            StackError: A part does not come up, or a port is a stranger's. What this call
                started is stopped again.
        """
        for name in ("pids", "logs", "objects"):
            (self._run_dir / name).mkdir(parents=True, exist_ok=True)
        with self._lock():
            parts = self._parts()
            missing = [part for part in parts if self._process(part.name) is None]
            offsets = {part.name: 0 for part in parts}
            if missing:
                self._check_ports(missing)
                java.check(java.find())
                flink_home.build(self._home, self._jars / "connector")
                flink.prepare(self.settings, self._home)
                self.settings.save()
            try:
                for part in missing:
                    offsets[part.name] = self._launch(part)
                self._await_ready(parts, offsets)
            except BaseException:
                self._terminate([part.name for part in missing])
                raise

    def stop(self) -> list[str]:
        """End every process of this stack, and nothing else.

        Returns:
            The parts that were running.
        """
        if not self._run_dir.is_dir():
            return []
        with self._lock():
            running = self.running()
            # TaskManagers first: without their JobManager they would wait for it.
            first = [name for name in self._known() if name.startswith("taskmanager")]
            self._terminate(first)
            self._terminate(name for name in self._known() if name not in first)
            return running

    def running(self) -> list[str]:
        """Names of the parts whose process runs."""
        return [name for name in self._known() if self._process(name)]

    def status(self) -> list[PartStatus]:
        """The state of every part."""
        lines = []
        parts = {part.name: part for part in self._parts()}
        for name in [*parts, *(name for name in self._known() if name not in parts)]:
            process = self._process(name)
            part = parts.get(name) or self._taskmanager(_index(name))
            state = "stopped"
            if process is not None:
                state = "running" if part.ready() else "starting"
            address = ", ".join(f"{ports.HOST}:{port}" for port in part.ports.values())
            pid = process.pid if process else None
            lines.append(PartStatus(name, state, pid, address, self.log(name)))
        return lines

    # -- TaskManagers ---------------------------------------------------------------------

    def taskmanager_pids(self) -> dict[int, int]:
        """Pids of the running TaskManagers by index."""
        return {
            _index(name): process.pid
            for name in self._known()
            if name.startswith("taskmanager") and (process := self._process(name))
        }

    def start_taskmanager(self, index: int, *, wait: bool = True) -> int:
        """Start a TaskManager, in place of one that was killed or as one more.

        Args:
            index: Its number, from 1.
            wait: Wait until the JobManager knows it.

        Returns:
            Its pid; that of the running one if there is one.

        Raises:
            StackError: It does not come up.
        """
        part = self._taskmanager(index)
        offset = 0
        if self._process(part.name) is None:
            before = processes.read(self._pid_file(part.name))
            if before is not None:
                processes.kill_orphans(before, str(self._run_dir))
            offset = self._launch(part)
        if wait:
            self._await_ready([part], {part.name: offset})
        process = self._process(part.name)
        if process is None:
            raise self._failed(part.name, "ended right after its start", offset)
        return process.pid

    def kill_taskmanager(self, index: int, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a TaskManager a signal, ``SIGKILL`` by default, and wait until it is gone.

        Returns:
            The pid it had.

        Raises:
            StackError: It does not run.
        """
        process = self._process(f"taskmanager-{index}")
        if process is None:
            raise StackError(f"taskmanager-{index} does not run; 'millrace status' shows what does")
        os.kill(process.pid, number)
        processes.wait_gone([process], STOP_GRACE_S)
        return process.pid

    # -- config server --------------------------------------------------------------------

    def stop_config_server(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the config server; does nothing if it does not run."""
        process = self._process("config-server")
        if process is not None:
            os.kill(process.pid, number)
            processes.wait_gone([process], STOP_GRACE_S)
        self._terminate(["config-server"])

    def restart_config_server(self) -> None:
        """End the config server if it runs, and start it again with what it had on disk.

        Raises:
            StackError: It does not come up.
        """
        self.stop_config_server()
        part = self._config_server()
        self._check_ports([part])
        self._await_ready([part], {part.name: self._launch(part)})

    # -- jobs -----------------------------------------------------------------------------

    def flink(
        self, *arguments: str, timeout_s: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run ``bin/flink`` of this stack's distribution against this stack's cluster.

        Args:
            arguments: E.g. ``"run", "-d", "-py", "jobs/decide.py"``.
            timeout_s: When to give up.

        Returns:
            Exit code and output; the exit code is the caller's to check.
        """
        return subprocess.run(  # noqa: S603 - our own script
            [str(self._home / "bin" / "flink"), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """The environment of the stack's processes and of ``bin/flink``."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            # They would lead Python or Flink's scripts elsewhere.
            if key not in ("PYTHONPATH", "PYTHONHOME") and not key.startswith("FLINK_")
        }
        venv_bin = str(Path(sys.executable).parent)
        return {
            **inherited,
            # Flink looks for a 'python' on the path in more than one place.
            "PATH": os.pathsep.join([venv_bin, inherited.get("PATH", os.defpath)]),
            "PYFLINK_PYTHON": sys.executable,
            "PYFLINK_CLIENT_EXECUTABLE": sys.executable,
            "FLINK_HOME": str(self._home),
            "FLINK_CONF_DIR": str(flink.conf_dir(self.settings)),
            "FLINK_LOG_DIR": str(self._run_dir / "logs"),
            "PYTHONUNBUFFERED": "1",
            processes.OWNER_VARIABLE: str(self._run_dir),
        }

    # -- parts ----------------------------------------------------------------------------

    def _parts(self) -> list[Part]:
        settings = self.settings
        parts = [
            Part(
                "kafka",
                lambda: kafka.prepare(
                    settings, java.find(), self._jars / "kafka", self.environment()
                ),
                {
                    "kafka_port": settings.kafka_port,
                    "kafka_controller_port": settings.kafka_controller_port,
                },
                lambda: kafka.is_ready(settings),
            ),
            Part(
                "jobmanager",
                lambda: flink.jobmanager_command(
                    settings, self._home, java.find(), self.log("jobmanager")
                ),
                {
                    "flink_rest_port": settings.flink_rest_port,
                    "flink_rpc_port": settings.flink_rpc_port,
                },
                lambda: flink.rest(settings, "/overview") is not None,
            ),
            *(self._taskmanager(index + 1) for index in range(settings.taskmanagers)),
        ]
        if (ROOT / "configs/server/__main__.py").exists():
            parts.append(self._config_server())
        return parts

    def _taskmanager(self, index: int) -> Part:
        name = f"taskmanager-{index}"
        # Its id at the JobManager must be new each time: the old one is known until it is
        # declared dead. It is kept in a file, for other programs to wait for it.
        id_file = self._run_dir / "pids" / f"{name}.id"

        def command() -> Sequence[str]:
            resource_id = f"{name}-{uuid.uuid4().hex[:6]}"
            id_file.write_text(resource_id)
            return flink.taskmanager_command(
                self.settings, self._home, java.find(), self.log(name), resource_id
            )

        def ready() -> bool:
            try:
                resource_id = id_file.read_text()
            except OSError:
                return False
            return resource_id in flink.registered_taskmanagers(self.settings)

        return Part(name, command, {}, ready)

    def _config_server(self) -> Part:
        port = self.settings.config_port
        directory = self._run_dir / "config-server"

        def command() -> Sequence[str]:
            directory.mkdir(exist_ok=True)
            return [
                *(sys.executable, "-m", "configs.server"),
                *("--port", str(port), "--dir", str(directory)),
            ]

        def ready() -> bool:
            try:
                return requests.get(f"{self.config_url}/healthz", timeout=2).ok
            except requests.RequestException:
                return False

        path = {"PYTHONPATH": str(ROOT)}
        return Part("config-server", command, {"config_port": port}, ready, path)

    # -- processes ------------------------------------------------------------------------

    def _pid_file(self, name: str) -> Path:
        return self._run_dir / "pids" / f"{name}.json"

    def _known(self) -> list[str]:
        return sorted(file.stem for file in (self._run_dir / "pids").glob("*.json"))

    def _process(self, name: str) -> Process | None:
        process = processes.read(self._pid_file(name))
        return process if process is not None and process.alive() else None

    def _launch(self, part: Part) -> int:
        """Start a part; gives where in its log the new start begins."""
        log = self.log(part.name)
        if log.exists() and log.stat().st_size > LOG_KEEP_BYTES:
            log.replace(log.with_suffix(".old.log"))
        offset = log.stat().st_size if log.exists() else 0
        self._say(f"{part.name}: starting")
        environment = {**self.environment(), **part.environment}
        processes.launch(part.command(), environment, log, self._pid_file(part.name))
        return offset

    def _check_ports(self, parts: Sequence[Part]) -> None:
        taken = [
            f"{part.name}: port {port} is taken by another process; stop that one "
            f"(ss -ltnp 'sport = :{port}' names it) or choose another port ({cure(name)})"
            for part in parts
            for name, port in part.ports.items()
            if not ports.is_free(port)
        ]
        if taken:
            raise StackError("\n".join(taken))

    def _await_ready(self, parts: Sequence[Part], offsets: Mapping[str, int]) -> None:
        begin = time.monotonic()
        waiting = list(parts)
        while waiting:
            for part in list(waiting):
                if self._process(part.name) is None:
                    raise self._failed(part.name, "ended during its start", offsets[part.name])
                if part.ready():
                    waiting.remove(part)
                    self._say(f"{part.name}: ready after {time.monotonic() - begin:.1f} s")
            if waiting:
                if time.monotonic() - begin > READY_TIMEOUT_S:
                    name = waiting[0].name
                    raise self._failed(
                        name, f"is not ready after {READY_TIMEOUT_S:.0f} s", offsets[name]
                    )
                time.sleep(POLL_S)

    def _failed(self, name: str, what: str, offset: int) -> StackError:
        log = self.log(name)
        try:
            text = log.read_bytes()[offset:].decode(errors="replace")
        except OSError:
            text = ""
        lines = text.splitlines()[-LOG_TAIL_LINES:] or ["(nothing)"]
        indented = "\n".join(f"    {line}" for line in lines)
        return StackError(f"{name} {what}. The last lines of {log}:\n{indented}")

    def _terminate(self, names: Iterator[str] | Sequence[str]) -> None:
        names = list(names)
        found = [p for name in names if (p := processes.read(self._pid_file(name)))]
        processes.terminate(found, str(self._run_dir), STOP_GRACE_S)
        for name in names:
            self._pid_file(name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One ``up`` or ``stop`` at a time on a run directory."""
        with (self._run_dir / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _index(name: str) -> int:
    return int(name.rsplit("-", 1)[1])
