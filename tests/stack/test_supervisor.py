from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import processes
from stack.ports import HOST
from stack.supervisor import LOG_TAIL_LINES, Part, Supervisor
from udfs.errors import StackError

MakePart = Callable[..., Part]


def pids(supervisor: Supervisor) -> dict[str, int]:
    """Pids of what runs."""
    found = {name: supervisor.process(name) for name in supervisor.known()}
    return {name: process.pid for name, process in found.items() if process}


def failing(name: str, code: str) -> Part:
    """A part that never becomes ready."""
    return Part(name, lambda: [sys.executable, "-c", code], {}, lambda: False)


def test_up_starts_all_parts_and_a_second_up_joins_them(
    supervisor: Supervisor, sleeper: MakePart
) -> None:
    """The second call starts nothing, also not through another object."""
    parts = [sleeper("a"), sleeper("b")]
    assert supervisor.up(parts) == ["a", "b"]
    before = pids(supervisor)
    assert sorted(before) == ["a", "b"]
    assert supervisor.up(parts) == []
    assert pids(supervisor) == before


def test_up_starts_only_the_part_that_is_missing(supervisor: Supervisor, sleeper: MakePart) -> None:
    """One was killed; the other keeps its pid."""
    parts = [sleeper("a"), sleeper("b")]
    supervisor.up(parts)
    before = pids(supervisor)
    killed = supervisor.process("b")
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    assert processes.wait_gone([killed], 5)
    assert supervisor.up(parts) == ["b"]
    after = pids(supervisor)
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]


def test_preparation_runs_only_when_something_starts(
    supervisor: Supervisor, sleeper: MakePart
) -> None:
    """Joining writes no files."""
    calls: list[str] = []
    supervisor.up([sleeper("a")], lambda: calls.append("first"))
    supervisor.up([sleeper("a")], lambda: calls.append("second"))
    assert calls == ["first"]


def test_end_leaves_a_stranger_with_a_reused_pid_alone(
    supervisor: Supervisor, tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    """A pid file from before a reboot may name anybody."""
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "kafka.json").write_text(
        f'{{"pid": {stranger.pid}, "started": "earlier-boot:1"}}'
    )
    assert supervisor.running() == []
    supervisor.end(supervisor.known())
    assert supervisor.known() == []
    assert stranger.poll() is None


def test_a_part_that_ends_shows_the_last_lines_of_its_log(supervisor: Supervisor) -> None:
    """Twenty of them, and which part it was."""
    part = failing("broker", "print(*(f'line {i}' for i in range(100)), sep='\\n'); exit(3)")
    with pytest.raises(StackError) as caught:
        supervisor.up([part])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("broker ended during its start. The last lines of ")
    assert lines[1].strip() == f"line {100 - LOG_TAIL_LINES}"
    assert lines[-1].strip() == "line 99"
    assert len(lines) == 1 + LOG_TAIL_LINES


def test_the_cause_is_not_pushed_out_by_stack_frames(supervisor: Supervisor) -> None:
    """Java prints more frames than we show lines."""
    code = "print('Caused by: no space left', *['\\tat a.b.c'] * 50, 'the end', sep='\\n')"
    with pytest.raises(StackError, match="Caused by: no space left\n    the end"):
        supervisor.up([failing("broker", code)])


def test_the_log_of_an_earlier_start_is_not_shown(supervisor: Supervisor) -> None:
    """The log goes on, the message begins where the new start did."""
    for text in ("first words", "second words"):
        with pytest.raises(StackError) as caught:
            supervisor.up([failing("broker", f"print('{text}')")])
    assert "second words" in str(caught.value)
    assert "first words" not in str(caught.value)


def test_a_part_that_is_never_ready_is_named(tmp_path: Path) -> None:
    """It runs, but does not answer."""
    impatient = Supervisor(tmp_path, lambda: dict(os.environ), ready_timeout_s=0.5)
    with pytest.raises(StackError, match="slow is not ready after 0 s"):
        impatient.up([failing("slow", "import time; time.sleep(600)")])


def test_a_failed_up_ends_what_it_started_and_nothing_else(
    supervisor: Supervisor, sleeper: MakePart
) -> None:
    """What ran before keeps running."""
    supervisor.up([sleeper("old")])
    with pytest.raises(StackError):
        supervisor.up([sleeper("old"), sleeper("new"), failing("bad", "exit(1)")])
    assert supervisor.running() == ["old"]


def test_a_port_of_a_stranger_is_named_with_its_cure(
    supervisor: Supervisor, sleeper: MakePart
) -> None:
    """Nothing is started, and the message says which option to use."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StackError) as caught:
            supervisor.up([sleeper("kafka", kafka_port=port)])
    message = str(caught.value)
    assert f"kafka: port {port} is taken" in message
    assert "--kafka-port or MILLRACE_KAFKA_PORT" in message
    assert supervisor.running() == []


def test_status_tells_running_from_starting_and_stopped(
    supervisor: Supervisor, sleeper: MakePart, tmp_path: Path
) -> None:
    """Three states, with the pid and the address."""
    part = sleeper("a", kafka_port=1234)
    assert supervisor.status(part).state == "stopped"
    supervisor.up([sleeper("a")])
    status = supervisor.status(part)
    assert (status.state, status.address) == ("running", "127.0.0.1:1234")
    assert status.pid == pids(supervisor)["a"]
    (tmp_path / "a.ready").unlink()
    assert supervisor.status(part).state == "starting"
