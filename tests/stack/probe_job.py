"""A job for the cluster: counts per key in a keyed process function and prints where it ran."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from pyflink.common import Configuration, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.functions import KeyedProcessFunction
from pyflink.datastream.state import ValueStateDescriptor

import udfs

RECORDS = 1000
KEYS = 2


class Count(KeyedProcessFunction):  # type: ignore[misc]  # pyflink has no types
    """Counts the records of a key."""

    def open(self, runtime_context: Any) -> None:
        """Get the count's state."""
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value: int, ctx: Any) -> Iterator[str]:  # noqa: ARG002 - Flink's
        """Tell when a key is complete."""
        count = (self.count.value() or 0) + 1
        self.count.update(count)
        if count == RECORDS // KEYS:
            yield f"PROBE {sys.argv[-1]} {os.getpid()} {sys.prefix} {udfs.__file__}"


def main() -> None:
    """Build the job and run it in the mode named on the command line."""
    configuration = Configuration()
    configuration.set_string("python.execution-mode", sys.argv[1])
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.set_parallelism(1)
    numbers = environment.from_collection(list(range(RECORDS)), Types.LONG())
    keyed = numbers.key_by(lambda number: number % KEYS, Types.LONG())
    keyed.process(Count(), Types.STRING()).print()
    environment.execute(f"probe-{sys.argv[1]}")


if __name__ == "__main__":
    main()
