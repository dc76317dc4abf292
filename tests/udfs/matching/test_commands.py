"""``millrace rules check`` and ``run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from udfs.errors import ConfigInvalid, MillraceError
from udfs.matching import match
from udfs.matching.commands import app

RULE: dict[str, Any] = {
    "rule": "bought",
    "version": 1,
    "pattern": [{"step": "see", "event": "view", "where": "props.price > 10"},
                {"step": "pay", "event": "pay"}],
    "within": "10s", "timeouts": True,
}  # fmt: skip


def event(number: int, kind: str, time: int, user: str = "u", **props: Any) -> dict[str, Any]:
    """Give an event."""
    given = {"event_id": str(number), "event_type": kind, "user_id": user, "event_time": time}
    return given | ({"props": props} if props else {})


EVENTS = [
    event(1, "view", 1_000, price=20),
    event(2, "view", 2_000, "v", price="dear"),
    event(3, "pay", 3_000),
    event(4, "view", 4_000, "v", price=30),
]


def call(*words: str | Path, given: bytes | None = None) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, list(map(str, words)), input=given)


def lines(events: list[dict[str, Any]]) -> bytes:
    """Give events as a file has them."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A file with the rule."""
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([RULE]))
    return path


def test_check_takes_a_rule_a_list_and_a_manifest(tmp_path: Path) -> None:
    """And says how many rules it has seen."""
    for index, value in enumerate([RULE, [RULE], {"revision": 1, "rules": [RULE], "flows": []}]):
        (tmp_path / f"{index}.json").write_text(json.dumps(value))
    result = call("check", *sorted(tmp_path.iterdir()))
    assert result.exit_code == 0
    assert result.stderr == "3 rules in 3 files: no faults\n"


def test_check_tells_all_faults_of_all_files(tmp_path: Path) -> None:
    """Each with file, JSON path and cure; the path is that of the file as it is."""
    bad = {**RULE, "whithin": "5s", "pattern": [{"step": "a", "where": "props.x >"}]}
    for name, value in {"alone": bad, "list": [RULE, bad], "part": {"rules": [bad]}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    result = call("check", *sorted(tmp_path.iterdir()), tmp_path / "absent.json")
    assert result.exit_code == 1
    *told, last = result.stderr.splitlines()
    assert last == f"{len(told)} faults in 4 files"
    for name, path in {"alone": "$", "list": "$[1]", "part": "$.rules[0]"}.items():
        place = f"{tmp_path}/{name}.json: {path}"
        assert f"{place}.whithin: unknown key (did you mean 'within'?)" in told
        assert any(line.startswith(f"{place}.pattern[0].where:1:") for line in told)
    assert any("absent.json: cannot be read: No such file" in line for line in told)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe{", "is not UTF-8: byte 0xff at 0"),
        (b'{"rule": ', ":1:10: is no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"rule": "a", "rule": "b"}', "'rule' stands twice"),
        (b'{"rule": "\\ud800"}', "surrogate"),
        (b'{"rule": NaN}', "NaN is no number"),
        (b"7", "$: 7 is neither a rule nor a list"),
        (b'{"rules": {"uri": "file:///x"}}', "$.rules: the rules lie elsewhere: 'file:///x'"),
        (b'{"rules": "x"}', "$.rules: 'x' is no list"),
        (b'{"nodes": [], "edges": []}', "millrace rules import"),
        (b'{"rule": "' + b"x" * 1_000_000 + b'"}', "$.rule"),
        (b'[{"rule": [' + b"[" * 300 + b"]" * 300 + b"]}]", "$[0]: nested deeper"),
        (b"[null]", "$[0]"),
    ],
    ids=str,
)
def test_check_of_hostile_files(tmp_path: Path, content: bytes, text: str) -> None:
    """A fault that names the file, never a traceback."""
    path = tmp_path / "x.json"
    path.write_bytes(content)
    result = call("check", path)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert str(path) in result.stderr
    assert text in result.stderr
    assert max(map(len, result.stderr.splitlines())) < 1_000


@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_run_gives_what_match_gives(tmp_path: Path, rules: Path, *, piped: bool) -> None:
    """And counts on standard error."""
    log = tmp_path / "events.jsonl"
    log.write_bytes(lines(EVENTS))
    source, given = ("-", log.read_bytes()) if piped else (str(log), None)
    result = call("run", rules, source, "--end-time", "99000", given=given)
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in result.stdout.splitlines()] == match([RULE], EVENTS, 99000)
    first, second = result.stderr.splitlines()
    assert first.startswith("4 events of 2 users in ")
    assert first.endswith("/s), 0 refused lines, 1 expression error")
    assert second == "bought: 1 match, 1 timeout"


def test_run_tells_broken_lines_and_goes_on(rules: Path) -> None:
    """With their numbers; an event older than the one before of the same user is one of them."""
    broken = [b"{", b"\xff", b"", b"[" * 5_000, b'{"event_id":"' + b"x" * (1 << 21) + b'"}', b"7"]
    old = lines([event(9, "pay", 500)])
    given = lines(EVENTS[:1]) + b"\n".join(broken) + b"\n" + old + lines(EVENTS[1:]).rstrip()
    result = call("run", rules, "-", given=given)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    told = result.stderr.splitlines()
    assert [line.split(": ")[0] for line in told[:6]] == [f"-:{n}" for n in (2, 3, 5, 6, 7, 8)]
    assert "too_large" in told[3]
    assert "the times of user 'u' fall from 1000 to 500: sort the events by time" in told[5]
    assert "4 events of 2 users" in told[6]
    assert "6 refused lines" in told[6]


def test_run_does_not_tell_a_million_broken_lines(rules: Path) -> None:
    """Twenty and a count."""
    result = call("run", rules, "-", given=lines(EVENTS) + b"{\n" * 100)
    assert len(result.stderr.splitlines()) == 23
    assert "... and 80 refused lines more" in result.stderr


def test_run_counts_overflow_and_shows_the_shadow(tmp_path: Path) -> None:
    """Nobody acts on the output, so that nothing is kept back."""
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(RULE | {"mode": "shadow", "max_runs": 1}))
    log = [event(n, "view", n, price=11) for n in range(5)] + [event(9, "pay", 9)]
    result = call("run", path, "-", given=lines(log))
    assert len(result.stdout.splitlines()) == 1
    assert "bought: 1 match, 4 runs dropped by overflow" in result.stderr


def test_keys_do_not_steer_the_terminal(tmp_path: Path) -> None:
    """They stand in the places of faults."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps(RULE | {"\x1b[2J": 1}))
    fault = call("run", path, "-", given=b"").exception
    assert "$.\\x1b[2J: unknown key" in str(fault)
    path.write_text(json.dumps({"name": "g", "nodes": [], "edges": [], "\x1b[2J": 1}))
    assert "\x1b" not in str(call("import", path).exception)


def test_run_refuses(tmp_path: Path, rules: Path) -> None:
    """Bad rules, absent events, and a file without any event."""
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(RULE | {"version": 0}))
    assert "bad.json: $.version" in str(call("run", bad, "-", given=b"").exception)
    assert isinstance(call("run", bad, "-", given=b"").exception, ConfigInvalid)
    absent = call("run", rules, tmp_path / "absent").exception
    assert isinstance(absent, MillraceError)
    assert "cannot be read: No such file or directory; name a file of JSON lines" in str(absent)
    none = call("run", rules, "-", given=b"{}\n").exception
    assert isinstance(none, MillraceError)
    assert "no line is an event" in str(none)
    assert call("run", rules, "-", given=b"").exit_code == 0
