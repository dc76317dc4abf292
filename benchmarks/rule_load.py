"""How long a rule set takes to be loaded: as new, and again with one rule changed.

Every round is a process of its own, so that nothing is left of the one before:
``python -m benchmarks.rule_load RULES`` prints one as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from benchmarks.matching import COMMON, as_in_the_job
from benchmarks.rule_workload import Rules
from udfs.expressions import CodeCache
from udfs.matching import Machine
from udfs.matching.check import check_rules

RULES: Final = 1_000
BAR_S: Final = 2.0
"""For parsing, checking and compiling of a set that was never seen."""


class Load(msgspec.Struct, frozen=True):
    """One way to load a rule set, seconds.

    Args:
        name: Which.
        cache: Reading the compiled expressions that were shipped; 0 without.
        parse: Of the JSON.
        check: Of shape and sense.
        compile: The rest of `Machine.compile`: expressions, states, index.
    """

    name: str
    cache: float
    parse: float
    check: float
    compile: float

    @property
    def together(self) -> float:
        """All of it."""
        return self.cache + self.parse + self.check + self.compile


class Round(msgspec.Struct, frozen=True):
    """What one process has measured.

    Args:
        rules: How many.
        json_bytes: Size of the rules.
        texts: Different conditions.
        cache_bytes: Size of the compiled expressions.
        loads: Each way once.
    """

    rules: int
    json_bytes: int
    texts: int
    cache_bytes: int
    loads: list[Load]


def measure(
    rules: int, rounds: int, progress: Callable[[str], None] = lambda _line: None
) -> list[Round]:
    """Run every round in a process of its own.

    Args:
        rules: How many.
        rounds: How many.
        progress: Told what is done.
    """
    found = []
    for number in range(rounds):
        progress(f"round {number + 1}/{rounds}")
        command = [sys.executable, "-m", "benchmarks.rule_load", str(rules)]
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        found.append(msgspec.json.decode(result.stdout, type=Round))
    return found


def load_once(count: int) -> Round:
    """Load rules as the watcher does when it sees them first, then as a worker does."""
    manifest = Rules(count, COMMON).manifest()
    text = msgspec.json.encode(manifest)
    cache = CodeCache()
    first = _load("never seen", text, cache)
    dump = cache.dump()
    worker = _load("expressions compiled", text, dump)
    changed = _load("one rule changed", msgspec.json.encode(_changed(manifest)), dump)
    texts = {step["where"] for rule in manifest for step in rule["pattern"]}
    return Round(count, len(text), len(texts), len(dump), [first, worker, changed])


def _changed(manifest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rule = manifest[len(manifest) // 2]
    steps = [*rule["pattern"][:-1], {**rule["pattern"][-1], "where": "props.n0 == 1"}]
    other = {**rule, "version": 2, "pattern": steps}
    return [other if each is rule else each for each in manifest]


def _load(name: str, text: bytes, cache: CodeCache | bytes) -> Load:
    clock = time.process_time
    began = clock()
    if isinstance(cache, bytes):
        cache = CodeCache.load(cache)
    read = clock()
    rules = json.loads(text)
    parsed = clock()
    check_rules(rules)
    checked = clock()
    Machine.compile(rules, cache)
    # It checks, too.
    compiled = clock() - checked - (checked - parsed)
    return Load(name, read - began, parsed - read, checked - parsed, compiled)


if __name__ == "__main__":
    with as_in_the_job():
        found = load_once(int(sys.argv[1]))
    sys.stdout.buffer.write(msgspec.json.encode(found))
