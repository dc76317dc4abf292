"""Random rules and events against brute force straight from the meaning of the DSL."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.matching import match

Pick = tuple[int, ...]


def times_range(step: dict[str, Any], longest: int) -> range:
    """Give how often a step may be taken."""
    times = str(step.get("times", 1))
    if times.endswith("+"):
        return range(int(times[:-1]), longest + 1)
    least, _, most = times.partition("..")
    return range(int(least), int(most or least) + 1)


def candidates(how: str, after: int, event_type: str, types: list[str]) -> list[int]:
    """Give the events that may be taken next."""
    if how in ("next", "consecutive"):
        return [after + 1] if types[after + 1 : after + 2] == [event_type] else []
    later = [index for index in range(after + 1, len(types)) if types[index] == event_type]
    return later if how in ("followed_by_any", "combinations") else later[:1]


def repeats(step: dict[str, Any], after: int, types: list[str], *, first: bool) -> list[Pick]:
    """Give the ways to take one step, all its repeats."""
    event_type = step["event"]
    if first:
        begins = [index for index, name in enumerate(types) if name == event_type]
    else:
        begins = candidates(step.get("then", "followed_by"), after, event_type, types)
    counts = times_range(step, len(types))
    found: list[Pick] = []
    grown: list[Pick] = [(index,) for index in begins]
    while grown:
        found += [picks for picks in grown if len(picks) in counts]
        grown = [
            (*picks, index)
            for picks in grown
            if len(picks) < counts.stop - 1
            for index in candidates(step.get("inner", "relaxed"), picks[-1], event_type, types)
        ]
    return found


def brute_force(rule: dict[str, Any], times: list[int], types: list[str]) -> list[Any]:
    """Give all matches as (at, picks by step); absences are only between and after steps."""
    steps = rule["pattern"]
    window = int(rule["within"][:-2]) if "within" in rule else None
    done: list[Any] = []

    def extend(at: int, picks: dict[str, Pick], guard: int | None, last: int) -> None:
        """Take the steps from `at` on; from the event `guard` on the absent type is forbidden."""
        if at == len(steps):
            done.append((times[last], picks))
            return
        step = steps[at]
        if step.get("then") == "not_followed_by":
            begun = picks[steps[at - 1]["step"]][0]
            if at + 1 < len(steps):
                extend(at + 1, picks, begun, last)
                return
            deadline = times[next(iter(picks.values()))[0]] + window
            seen = range(begun + 1, len(types))
            seen_in_time = {types[index] for index in seen if times[index] < deadline}
            if step["event"] not in seen_in_time:
                done.append((deadline, picks))
            return
        for chosen in repeats(step, last, types, first=at == 0):
            start = next(iter(picks.values()))[0] if picks else chosen[0]
            if window is not None and times[chosen[-1]] - times[start] >= window:
                continue
            if guard is not None and steps[at - 1]["event"] in types[guard + 1 : chosen[0]]:
                continue
            extend(at + 1, picks | {step["step"]: chosen}, None, chosen[-1])

    extend(0, {}, None, -1)
    return sorted((at, sorted(picks.items())) for at, picks in done)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a rule of up to four steps; ``x`` is only ever the absent type."""
    size = draw(st.integers(1, 3))
    steps: list[dict[str, Any]] = []
    for index in range(size):
        step: dict[str, Any] = {"step": f"s{index}", "event": draw(st.sampled_from("abc"))}
        counts = [None, None, 2, "1..2", "1+", "2+"]
        if index:
            kinds = ["next", "followed_by", "followed_by_any"]
            step["then"] = draw(st.sampled_from(kinds))
            if draw(st.integers(0, 3)) == 0:
                absent = {"step": f"n{index}", "event": "x", "then": "not_followed_by"}
                steps.append(absent)
                # Behind an absence Flink's open repeats are special: see test_examples.py.
                counts = [None, 2]
        repeat = draw(st.sampled_from(counts))
        if repeat is not None:
            step["times"] = repeat
            step["inner"] = draw(st.sampled_from(["relaxed", "consecutive", "combinations"]))
        steps.append(step)
    rule: dict[str, Any] = {"rule": "r", "version": 1, "pattern": steps}
    if draw(st.booleans()):
        rule["within"] = f"{draw(st.integers(1, 12))}ms"
        # After an open repeat the wait begins with the next event only: see test_examples.py.
        if draw(st.booleans()) and steps[-1].get("times", 2) == 2:
            steps.append({"step": "n", "event": "x", "then": "not_followed_by"})
    return rule


logs = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcxz")), max_size=9)


@settings(max_examples=400, deadline=None)
@given(rules(), logs)
def test_gives_what_brute_force_gives(rule: dict[str, Any], log: list[tuple[int, str]]) -> None:
    """All contiguities, repeats, absences and windows, no skip strategy."""
    types = [event_type for _, event_type in log]
    times = [sum(gap for gap, _ in log[: index + 1]) for index in range(len(log))]
    events = [
        {"event_id": str(index), "event_type": name, "user_id": "u", "event_time": time}
        for index, (name, time) in enumerate(zip(types, times, strict=True))
    ]
    found = sorted(
        (
            one["at"],
            sorted(
                (name, tuple(int(event["event_id"]) for event in taken))
                for name, taken in one["steps"].items()
            ),
        )
        for one in match([rule], events, end_time=10**6)
    )
    assert found == brute_force(rule, times, types)
