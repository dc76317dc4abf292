"""The local stack: Kafka, Flink, config server and object store as processes of this machine.

A run directory holds everything one stack writes (pids, logs, data, checkpoints), so several
stacks with their own directories and ports live side by side.
"""

from __future__ import annotations

from stack.local import Stack
from stack.settings import StackSettings

__all__ = ["Stack", "StackSettings"]
