"""One local stack: bring it up, join it, look at it, take parts of it away, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import requests

from stack import flink, flink_home, java, kafka, ports, processes
from stack.settings import LOCAL, ROOT, StackSettings
from stack.supervisor import STOP_GRACE_S, Part, PartStatus, Supervisor
from udfs.errors import StackError

CONFIG_SERVER = "config-server"


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
        self._run_dir = self.settings.run_dir
        self._home = LOCAL / "flink"
        self._jars = LOCAL / "jars"
        self._supervisor = Supervisor(self._run_dir, self.environment, say)

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
        """The Flink distribution; :meth:`up` builds it."""
        return self._home

    def log(self, name: str) -> Path:
        """The log of a part, e.g. ``kafka`` or ``taskmanager-1``."""
        return self._supervisor.log(name)

    # -- all of it ------------------------------------------------------------------------

    def up(self) -> list[str]:
        """Start what does not run yet and wait until all of it is ready.

        Returns:
            The parts that were started; the others ran already.

        Raises:
            StackError: A part does not come up, or a port is a stranger's. What this call
                started is stopped again.
        """
        with self._supervisor.lock():
            return self._supervisor.up(self._parts(), self._prepare)

    def stop(self) -> list[str]:
        """End every process of this stack, and nothing else.

        Returns:
            The parts that were running.
        """
        if not self._run_dir.is_dir():
            return []
        with self._supervisor.lock():
            running = self._supervisor.running()
            # TaskManagers first: without their JobManager they would wait for it.
            names = self._supervisor.known()
            self._supervisor.end(name for name in names if _is_taskmanager(name))
            self._supervisor.end(name for name in names if not _is_taskmanager(name))
            return running

    def end(self, names: Sequence[str]) -> None:
        """End some parts and leave the others."""
        with self._supervisor.lock():
            self._supervisor.end(names)

    def running(self) -> list[str]:
        """Names of the parts whose process runs."""
        return self._supervisor.running()

    def status(self) -> list[PartStatus]:
        """The state of every part."""
        parts = self._parts()
        names = {part.name for part in parts}
        added = [self._taskmanager(_index(name)) for name in self._known_taskmanagers() - names]
        return [self._supervisor.status(part) for part in [*parts, *added]]

    # -- TaskManagers ---------------------------------------------------------------------

    def taskmanager_pids(self) -> dict[int, int]:
        """Pids of the running TaskManagers by index."""
        return {
            _index(name): process.pid
            for name in sorted(self._known_taskmanagers())
            if (process := self._supervisor.process(name))
        }

    def start_taskmanager(self, index: int) -> int:
        """Start a TaskManager, in place of one that was killed or as one more.

        Args:
            index: Its number, from 1.

        Returns:
            Its pid, once the JobManager knows it; that of the running one if there is one.

        Raises:
            StackError: It does not come up.
        """
        part = self._taskmanager(index)
        self._supervisor.up([part])
        return self.taskmanager_pids()[index]

    def kill_taskmanager(self, index: int, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a TaskManager a signal, ``SIGKILL`` by default, and wait until it is gone.

        Returns:
            The pid it had.

        Raises:
            StackError: It does not run.
        """
        process = self._supervisor.process(f"taskmanager-{index}")
        if process is None:
            raise StackError(f"taskmanager-{index} does not run; 'millrace status' shows what does")
        os.kill(process.pid, number)
        processes.wait_gone([process], STOP_GRACE_S)
        return process.pid

    # -- config server --------------------------------------------------------------------

    def stop_config_server(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the config server with a signal; does nothing if it does not run."""
        process = self._supervisor.process(CONFIG_SERVER)
        if process is not None:
            os.kill(process.pid, number)
            processes.wait_gone([process], STOP_GRACE_S)
        self._supervisor.end([CONFIG_SERVER])

    def restart_config_server(self) -> None:
        """End the config server if it runs, and start it again with what it had on disk.

        Raises:
            StackError: It does not come up.
        """
        self.stop_config_server()
        self._supervisor.up([self._config_server()])

    # -- jobs -----------------------------------------------------------------------------

    def flink(self, *arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
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
            # They would lead Python or Flink's scripts elsewhere; the last one into a process
            # that has run a local job in process mode itself.
            if key not in {"PYTHONPATH", "PYTHONHOME", "PYTHON_LOOPBACK_SERVER_ADDRESS"}
            and not key.startswith(("FLINK_", "PYFLINK_"))
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
        }

    # -- parts ----------------------------------------------------------------------------

    def _prepare(self) -> None:
        java.check(java.find())
        self.object_store.mkdir(exist_ok=True)
        flink_home.build(self._home, self._jars / "connector")
        flink.prepare(self.settings, self._home)
        self.settings.save()

    def _parts(self) -> list[Part]:
        taskmanagers = [self._taskmanager(i + 1) for i in range(self.settings.taskmanagers)]
        return [self._kafka(), self._jobmanager(), *taskmanagers, self._config_server()]

    def _kafka(self) -> Part:
        settings = self.settings
        return Part(
            "kafka",
            lambda: kafka.prepare(settings, java.find(), self._jars / "kafka", self.environment()),
            {
                "kafka_port": settings.kafka_port,
                "kafka_controller_port": settings.kafka_controller_port,
            },
            lambda: kafka.is_ready(settings),
        )

    def _jobmanager(self) -> Part:
        name = "jobmanager"
        settings = self.settings
        return Part(
            name,
            lambda: flink.jobmanager_command(settings, self._home, java.find(), self.log(name)),
            {
                "flink_rest_port": settings.flink_rest_port,
                "flink_rpc_port": settings.flink_rpc_port,
            },
            lambda: flink.rest(settings, "/overview") is not None,
        )

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
            known = flink.registered_taskmanagers(self.settings)
            return id_file.exists() and id_file.read_text() in known

        return Part(name, command, {}, ready)

    def _config_server(self) -> Part:
        port = self.settings.config_port
        directory = self._run_dir / CONFIG_SERVER

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
        return Part(CONFIG_SERVER, command, {"config_port": port}, ready, path)

    def _known_taskmanagers(self) -> set[str]:
        return {name for name in self._supervisor.known() if _is_taskmanager(name)}


def _is_taskmanager(name: str) -> bool:
    return name.startswith("taskmanager-")


def _index(name: str) -> int:
    return int(name.rsplit("-", 1)[1])
