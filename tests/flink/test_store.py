"""Flink's keyed state keeps the contract of stores, inside a JVM, on both state backends."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from pyflink.common import Configuration, Types
from pyflink.datastream import KeyedProcessFunction, StreamExecutionEnvironment

from stack.settings import ROOT
from tests.udfs.decisions.store_contract import CHECKS
from udfs.runtime.context import subtask_of
from udfs.runtime.store import FlinkStore

pytestmark = pytest.mark.flink


class RunCheck(KeyedProcessFunction):
    """Runs the check that the key names on the state of that key."""

    def open(self, runtime_context: Any) -> None:
        """Make the store."""
        self._store = FlinkStore(runtime_context)
        self._subtask = subtask_of(runtime_context)

    def process_element(self, value: str, ctx: Any) -> Iterator[str]:
        """Give the name and how it went."""
        del ctx
        try:
            CHECKS[value](self._store)
        except Exception:  # noqa: BLE001 - told to the test
            yield f"{value}: {traceback.format_exc()}"
        else:
            yield f"{value}: kept at {self._subtask}"


@pytest.mark.parametrize(
    ("backend", "mode"), [("hashmap", "thread"), ("rocksdb", "thread"), ("hashmap", "process")]
)
def test_contract(backend: str, mode: str) -> None:
    """Each clause, each with a key of its own."""
    configuration = Configuration()
    configuration.set_string("python.execution-mode", mode)
    configuration.set_string("state.backend.type", backend)
    configuration.set_string("python.executable", sys.executable)
    configuration.set_string("python.pythonpath", str(ROOT))
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)
    stream = (
        env.from_collection(list(CHECKS), Types.STRING())
        .key_by(lambda name: name, Types.STRING())
        .process(RunCheck(), Types.STRING())
    )
    told = sorted(stream.execute_and_collect(f"store-{backend}-{mode}"))
    assert told == [f"{name}: kept at (0, 1)" for name in sorted(CHECKS)]
