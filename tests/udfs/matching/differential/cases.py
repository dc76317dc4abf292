"""Random cases, one rule and one stream each, with every operator there is.

A case is plain JSON that both sides understand: `FlinkNfa.java` builds a pattern from it and
`ours.py` a rule. Steps have the keys ``name`` or ``group``, ``then``, ``cond``, ``times`` as a
pair, ``inner``, ``optional``, ``greedy``, ``until``, ``repeat_within`` and ``gap_max`` (ms).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]

THEN = ["next", "followed_by", "followed_by", "followed_by_any", "not_next", "not_followed_by"]
SKIPS = ["no_skip", "skip_to_next", "skip_past_last_event", "skip_to_first", "skip_to_last"]
TIMES = [[1, None], [1, None], [2, None], [2, 2], [1, 2], [1, 3], [2, 3], [0, 1], [0, 2], [3, 3]]
INNER = ["relaxed", "relaxed", "consecutive", "combinations"]


class Draw:
    """Draws one case.

    Args:
        seed: Of all cases.
        number: Of this one.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self._names: list[str] = []
        self._count = 0
        self._sloppy = self._maybe(0.06)

    def case(self) -> Case:
        """Give the case; a few are drawn without care, so that there is something to refuse."""
        within = self._random.randint(4, 30) if self._maybe(0.55) else None
        pattern = self._level(self._random.choice([1, 2, 2, 3, 3, 4]), within, 0)
        last = pattern[-1]
        if last.get("then") == "not_followed_by" and within is None and not self._sloppy:
            within = self._random.randint(4, 30)
        limited = within is not None or "gap_max" in str(pattern)
        events = self._events(pattern)
        return {
            "pattern": pattern,
            "skip": self._skip(pattern),
            "within": within,
            "timeouts": limited and self._maybe(0.5),
            "events": events,
            "end": events[-1]["t"] + self._random.choice([0, 5, 60]),
        }

    def _maybe(self, chance: float) -> bool:
        return self._random.random() < chance

    def _level(self, size: int, within: int | None, depth: int) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = []
        for position in range(size):
            steps.append(self._step(steps, within, depth, last=position == size - 1))
        return steps

    def _step(
        self, before: list[dict[str, Any]], within: int | None, depth: int, *, last: bool
    ) -> dict[str, Any]:
        step: dict[str, Any] = {}
        if before:
            step["then"] = self._random.choice(THEN)
            if before[-1].get("optional") or (before[-1].get("times") or [1])[0] == 0:
                step["then"] = self._random.choice(THEN[:4])
            if last and step["then"] == "not_followed_by" and self._maybe(0.5):
                step["then"] = "followed_by"
        absent = step.get("then", "").startswith("not")
        if self._maybe(0.25 if depth == 0 else 0.1) and not absent and depth < 2:
            size = self._random.choice([1, 2, 2, 3])
            step["group"] = self._level(size, within, depth + 1)
        else:
            self._count += 1
            step["name"] = f"{'not' if absent else 's'}{self._count}"
        self._quantify(step, before, absent=absent)
        if "name" in step:
            step["cond"] = self._condition(step["name"] if step.get("times") else None)
            if not absent:
                self._names.append(step["name"])
        if self._maybe(0.12):
            step["gap_max"] = self._random.randint(1, 12 if within is None else within)
            if "group" in step:
                del step["gap_max"]
        return step

    def _quantify(
        self, step: dict[str, Any], before: list[dict[str, Any]], *, absent: bool
    ) -> None:
        if absent and not self._sloppy:
            return
        if self._maybe(0.5):
            step["times"] = self._random.choice(TIMES)
            step["inner"] = self._random.choice(INNER)
            loops = step["times"][1] is None
            if self._maybe(0.3 if loops else 0.05 * self._sloppy):
                step["until"] = self._condition(step.get("name"))
            if self._maybe(0.15):
                step["repeat_within"] = self._random.randint(1, 8)
        greedy_before = bool(before) and before[-1].get("greedy", False)
        never = step.get("times", [1])[0] == 0 or greedy_before
        if self._maybe(0.25) and (not never or self._sloppy):
            step["optional"] = True
        greedy = "times" in step and step["inner"] != "combinations" and "group" not in step
        if self._maybe(0.4) and (greedy or self._sloppy):
            step["greedy"] = True

    def _condition(self, own: str | None) -> dict[str, Any]:
        """Draw a condition that may look at the steps before, and at the step `own`."""
        known = self._names if own is None else [*self._names, own]
        condition: dict[str, Any] = {"type": self._random.choice("aabbcc")}
        if self._maybe(0.07):
            condition = {}
        if self._maybe(0.3):
            condition["above"] = self._random.randint(0, 1)
        if known and self._maybe(0.15):
            condition["counted"] = self._random.choice(known)
            condition["below"] = self._random.randint(1, 3)
        elif self._names and self._maybe(0.08):
            condition["rising"] = self._random.choice(self._names)
        return condition

    def _skip(self, pattern: list[dict[str, Any]]) -> str | dict[str, str]:
        kind = self._random.choice(SKIPS)
        names = [
            step["name"]
            for step in pattern
            if "name" in step and not step.get("then", "").startswith("not")
        ]
        if not kind.startswith("skip_to_") or kind == "skip_to_next":
            return kind
        if self._sloppy and self._maybe(0.3):
            return {kind: "nobody"}
        return {kind: self._random.choice(names)} if names else "skip_past_last_event"

    def _events(self, pattern: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Draw a stream that often has what the steps want, in their order."""
        wanted = [step["cond"].get("type", "a") for step in all_steps(pattern) if "cond" in step]
        time = position = 0
        events = []
        for _ in range(self._random.randint(4, 14)):
            time += self._random.choice([0, 1, 1, 1, 2, 3, 5])
            kind = self._random.choice("aaabbbcccd")
            if self._maybe(0.45):
                kind = wanted[position % len(wanted)]
                position += 1
            events.append({"t": time, "type": kind, "x": self._random.randint(0, 3)})
        return events


def draw(seed: int, number: int) -> Case:
    """Give a case.

    Args:
        seed: Of all cases.
        number: Of this one.
    """
    return Draw(seed, number).case()


def operators(case: Case) -> Iterator[str]:
    """Give what a case has in it, each once."""
    skip = case["skip"]
    found = {skip if isinstance(skip, str) else next(iter(skip))}
    found |= {key for key in ("within", "timeouts") if case[key]}
    for step in all_steps(case["pattern"]):
        found.add(step.get("then", "begin"))
        if step.get("times"):
            least, most = step["times"]
            kind = "n+" if most is None else "0..n" if least == 0 else "n..m"
            found |= {step["inner"], f"times {kind}"}
        keys = ("group", "optional", "greedy", "until", "repeat_within", "gap_max")
        found |= {key for key in keys if step.get(key)}
        if step.get("cond", {}).get("counted") or step.get("cond", {}).get("rising"):
            found.add("iterative")
    yield from found


def all_steps(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the steps, and those in groups."""
    for step in steps:
        yield step
        yield from all_steps(step.get("group", []))


def count_operators(cases: list[Case]) -> Counter[str]:
    """Give how many cases have each operator."""
    return Counter(name for case in cases for name in operators(case))
