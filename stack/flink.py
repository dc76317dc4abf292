"""A Flink standalone cluster: one JobManager, TaskManagers of one slot each.

The processes are started as ``java`` directly with what Flink's scripts would work out, because
the scripts start up to four JVMs to read one file, and a test that kills TaskManagers waits.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import requests

from stack import flink_home
from stack.java import LIGHT
from stack.ports import HOST
from stack.settings import StackSettings

JOBMANAGER_CLASS = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASKMANAGER_CLASS = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

JOBMANAGER_MEMORY = ("-Xmx512m", "-XX:MaxMetaspaceSize=512m")

# One TaskManager takes about 1.5 GB: this, metaspace, thread stacks and what Python needs.
FRAMEWORK_HEAP_MB = 128
TASK_HEAP_MB = 768
FRAMEWORK_OFF_HEAP_MB = 128
TASK_OFF_HEAP_MB = 64
NETWORK_MB = 64
MANAGED_MB = 256  # RocksDB's block cache and write buffers
METASPACE_MB = 512
OVERHEAD_MB = 192  # what Flink reports for threads and code; it limits nothing

PARENT_FIRST = (
    "pemja.",
    "org.apache.flink.python.",
    "org.apache.flink.streaming.api.operators.python.",
    "org.apache.flink.table.runtime.operators.python.",
    "org.apache.flink.streaming.api.runners.python.",
)

LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c - %m%n
"""


def cluster_settings() -> dict[str, str]:
    """The settings that jobs rely on, wherever the cluster runs (docker-compose.yml: the same)."""
    return {
        # One slot: Python in thread mode shares one interpreter lock per TaskManager.
        "taskmanager.numberOfTaskSlots": "1",
        "parallelism.default": "1",
        "python.execution-mode": "thread",
        "classloader.parent-first-patterns.additional": ";".join(PARENT_FIRST),
        "pipeline.object-reuse": "true",
        # A TaskManager that was killed is noticed after seconds, not after a minute.
        "heartbeat.interval": "2 s",
        "heartbeat.timeout": "10 s",
        "slot.request.timeout": "60 s",
        # A request for a slot waits for the next TaskManager to come up. Without this it fails
        # at once, and the job sleeps through its backoff while the TaskManager is there.
        "resourcemanager.standalone.start-up-time": "100 d",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "5 s",
        "restart-strategy.exponential-delay.backoff-multiplier": "1.5",
        "execution.checkpointing.num-retained": "3",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "web.cancel.enable": "true",
    }


def config(settings: StackSettings, home: Path) -> dict[str, str]:
    """The whole ``config.yaml`` of the local cluster."""
    data = settings.run_dir / "flink"
    return {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": str(settings.flink_rpc_port),
        "jobmanager.bind-host": HOST,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": str(settings.flink_rest_port),
        "env.java.opts.all": flink_home.java_options(home),
        "env.java.opts.client": " ".join(LIGHT),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "io.tmp.dirs": str(data / "tmp"),
        "execution.checkpointing.dir": (data / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (data / "savepoints").as_uri(),
        "taskmanager.cpu.cores": "1.0",
        "taskmanager.memory.framework.heap.size": f"{FRAMEWORK_HEAP_MB}m",
        "taskmanager.memory.task.heap.size": f"{TASK_HEAP_MB}m",
        "taskmanager.memory.framework.off-heap.size": f"{FRAMEWORK_OFF_HEAP_MB}m",
        "taskmanager.memory.task.off-heap.size": f"{TASK_OFF_HEAP_MB}m",
        "taskmanager.memory.network.min": f"{NETWORK_MB}m",
        "taskmanager.memory.network.max": f"{NETWORK_MB}m",
        "taskmanager.memory.managed.size": f"{MANAGED_MB}m",
        "taskmanager.memory.jvm-metaspace.size": f"{METASPACE_MB}m",
        "taskmanager.memory.jvm-overhead.min": f"{OVERHEAD_MB}m",
        "taskmanager.memory.jvm-overhead.max": f"{OVERHEAD_MB}m",
        **cluster_settings(),
    }


def conf_dir(settings: StackSettings) -> Path:
    """The configuration directory of one stack's cluster."""
    return settings.run_dir / "flink" / "conf"


def prepare(settings: StackSettings, home: Path) -> None:
    """Write the cluster's configuration and make its directories."""
    conf = conf_dir(settings)
    for directory in (conf, conf.parent / "tmp", conf.parent / "checkpoints"):
        directory.mkdir(parents=True, exist_ok=True)
    (conf.parent / "savepoints").mkdir(exist_ok=True)
    lines = [f"{key}: {value}\n" for key, value in config(settings, home).items()]
    (conf / "config.yaml").write_text("".join(lines))
    for name in ("log4j.properties", "log4j-cli.properties", "log4j-console.properties"):
        text = LOG4J.replace("INFO", "WARN") if name == "log4j-cli.properties" else LOG4J
        (conf / name).write_text(text)


def jobmanager_command(settings: StackSettings, home: Path, java: str, log: Path) -> list[str]:
    """The command of the JobManager."""
    return [
        *_java(settings, home, java, log, (*JOBMANAGER_MEMORY, *LIGHT)),
        *(JOBMANAGER_CLASS, "--configDir", str(conf_dir(settings))),
    ]


def taskmanager_command(
    settings: StackSettings, home: Path, java: str, log: Path, resource_id: str
) -> list[str]:
    """The command of a TaskManager that registers under ``resource_id``."""
    heap = FRAMEWORK_HEAP_MB + TASK_HEAP_MB
    direct = FRAMEWORK_OFF_HEAP_MB + TASK_OFF_HEAP_MB + NETWORK_MB
    memory = (
        f"-Xms{heap // 2}m",
        f"-Xmx{heap}m",
        f"-XX:MaxDirectMemorySize={direct}m",
        f"-XX:MaxMetaspaceSize={METASPACE_MB}m",
    )
    return [
        *_java(
            settings,
            home,
            java,
            log,
            (*memory, "-XX:+UseG1GC"),
        ),
        *(TASKMANAGER_CLASS, "--configDir", str(conf_dir(settings))),
        *("-D", f"taskmanager.resource-id={resource_id}"),
    ]


def _java(
    settings: StackSettings, home: Path, java: str, log: Path, memory: tuple[str, ...]
) -> list[str]:
    logging_file = conf_dir(settings) / "log4j-console.properties"
    return [
        java,
        *memory,
        *flink_home.java_options(home).split(),
        f"-Dlog.file={log}",
        f"-Dlog4j.configurationFile=file:{logging_file}",
        *("-classpath", flink_home.classpath(home)),
    ]


def rest(settings: StackSettings, path: str) -> Any | None:
    """What Flink's REST interface answers, or None while it does not."""
    try:
        answer = requests.get(f"http://{HOST}:{settings.flink_rest_port}{path}", timeout=5)
        return answer.json() if answer.ok else None
    except (requests.RequestException, ValueError):
        return None


def registered_taskmanagers(settings: StackSettings) -> set[str]:
    """Resource ids of the TaskManagers that the JobManager knows."""
    answer = rest(settings, "/taskmanagers")
    return {entry["id"] for entry in answer["taskmanagers"]} if answer else set()
