"""A Kafka broker and controller in one process, from the jars of Maven."""

from __future__ import annotations

import base64
import logging
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stack.java import LIGHT
from stack.ports import HOST, is_open
from stack.settings import StackSettings
from udfs.errors import StackError

HEAP = ("-Xms256m", "-Xmx1g")
# A 10 MB event and what wraps it must come in, or it could never become a dead letter.
MAX_MESSAGE_BYTES = 12 * 1024 * 1024
MAX_REQUEST_BYTES = 100 * 1024 * 1024
# Flink's transactional sinks ask for as much as this; Kafka's own default is the same.
MAX_TRANSACTION_MS = 15 * 60 * 1000

LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.name = stdout
appender.stdout.type = Console
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
"""


def broker_limits() -> dict[str, str]:
    """The settings that jobs rely on, whoever runs the broker (docker-compose.yml has the same)."""
    return {
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        "socket.request.max.bytes": str(MAX_REQUEST_BYTES),
        "transaction.max.timeout.ms": str(MAX_TRANSACTION_MS),
    }


def server_properties(settings: StackSettings) -> dict[str, str]:
    """The broker's whole configuration."""
    client = f"PLAINTEXT://{HOST}:{settings.kafka_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{settings.kafka_controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{client},CONTROLLER://{HOST}:{settings.kafka_controller_port}",
        "advertised.listeners": client,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data_dir(settings)),
        # One node: small internal topics start faster.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        **broker_limits(),
    }


def data_dir(settings: StackSettings) -> Path:
    """Where the broker keeps its logs."""
    return settings.run_dir / "kafka" / "data"


def prepare(
    settings: StackSettings, java: str, jars: Path, environment: Mapping[str, str]
) -> list[str]:
    """Write the broker's files, format its directory once, and give the command that starts it.

    Raises:
        StackError: The directory cannot be formatted.
    """
    home = settings.run_dir / "kafka"
    home.mkdir(parents=True, exist_ok=True)
    properties = home / "server.properties"
    properties.write_text(
        "".join(f"{key}={value}\n" for key, value in server_properties(settings).items())
    )
    logging_file = home / "log4j2.properties"
    logging_file.write_text(LOG4J)
    base = [java, *LIGHT, f"-Dlog4j2.configurationFile={logging_file}", "-cp", f"{jars}/*"]
    if not (data_dir(settings) / "meta.properties").exists():
        format_command = [
            *(*base, "kafka.tools.StorageTool", "format"),
            *("-t", new_cluster_id(), "-c", str(properties)),
        ]
        done = subprocess.run(  # noqa: S603 - our own settings
            format_command, env=dict(environment), capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()[-20:]
            raise StackError("kafka: its directory cannot be formatted:\n" + "\n".join(lines))
    return [base[0], *HEAP, *base[1:], "kafka.Kafka", str(properties)]


def new_cluster_id() -> str:
    """A random id in Kafka's spelling: 16 bytes in URL-safe base 64."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # the tool would take it for an option
            return text


def is_ready(settings: StackSettings) -> bool:
    """Whether the broker answers a request for its metadata."""
    if not is_open(settings.kafka_port):
        return False
    # A broker that is still starting is what we wait for, not something to log.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=f"{HOST}:{settings.kafka_port}", request_timeout_ms=5000
        )
    except KafkaError:
        return False
    try:
        admin.list_topics()
    except KafkaError:
        return False
    else:
        return True
    finally:
        admin.close()
