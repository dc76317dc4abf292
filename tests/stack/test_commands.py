from __future__ import annotations

from pathlib import Path

import pytest

import cli
from stack.commands import join
from stack.settings import DEFAULT_PORTS, StackSettings, variable
from stack.supervisor import Part, Supervisor
from udfs.errors import StackError

SLEEP = ["sleep", "600"]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("taskmanagers", *DEFAULT_PORTS):
        monkeypatch.delenv(variable(name), raising=False)


def run(*arguments: str) -> int:
    """Run the command line; gives its exit code."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    code = caught.value.code
    return code if isinstance(code, int) else 0


def test_an_error_of_ours_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, what to do, no stack trace."""
    assert run("up", "--dir", str(tmp_path), "--kafka-port", "70000") == 1
    error = capsys.readouterr().err
    assert "kafka_port is 70000" in error
    assert "Traceback" not in error


def test_stop_without_a_stack_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also when the directory does not exist, and it is not made."""
    assert run("stop", "--dir", str(tmp_path / "none")) == 0
    assert "nothing was running" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_status_without_a_stack_lists_its_parts_as_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, for scripts."""
    assert run("status", "--dir", str(tmp_path)) == 1
    output = capsys.readouterr().out
    assert output.count("stopped") == 4
    for name in ("kafka", "jobmanager", "taskmanager-1", "config-server"):
        assert name in output


@pytest.mark.parametrize("command", [each.name for each in cli.COMMANDS])
def test_every_sub_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its package can be imported, and what it says is more than its name."""
    assert run(command, "--help") == 0
    assert "Usage" in capsys.readouterr().out


def test_joining_takes_the_ports_of_what_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    """Options need not be repeated; other ports than those in use are refused."""
    supervisor.up([Part("kafka", lambda: SLEEP, {}, lambda: True)])
    StackSettings(run_dir=tmp_path, kafka_port=5555).save()
    joined = join(tmp_path, {"taskmanagers": 2})
    assert (joined.kafka_port, joined.taskmanagers) == (5555, 2)
    assert join(tmp_path, {"kafka_port": 5555}).kafka_port == 5555
    with pytest.raises(StackError, match="runs with kafka_port 5555, not 6666"):
        join(tmp_path, {"kafka_port": 6666})


def test_ports_of_a_stopped_stack_are_not_kept(tmp_path: Path) -> None:
    """A new start is free to choose."""
    StackSettings(run_dir=tmp_path, kafka_port=5555).save()
    assert join(tmp_path, {}).kafka_port == DEFAULT_PORTS["kafka_port"]
    assert [file.name for file in tmp_path.iterdir()] == ["stack.json"]
