"""Which old rules a new set has to finish."""

from __future__ import annotations

from typing import Any

from udfs.matching.succession import MOST_OF_A_NAME, Replaced, still_finishing

GRACE_MS = 5_000


def rule(version: int, last: str = "b", **changed: Any) -> dict[str, Any]:
    """A rule of two steps; the structure depends on the last one."""
    return {
        "rule": "r", "version": version, "within": "1m", "state": "finish_old",
        "pattern": [{"step": "a", "event": "a"}, {"step": last, "event": last}], **changed,
    }  # fmt: skip


def test_a_rule_of_another_structure_is_finished() -> None:
    """If the new one says so, whatever the old one said; and the time is noted."""
    old = rule(1, state="drop")
    assert still_finishing([rule(2, "c")], [old], [], 77, GRACE_MS) == [Replaced(old, 77)]


def test_what_is_not_finished() -> None:
    """The new rule drops runs, has the same structure, is gone, or the old one has no window."""
    old = rule(1)
    endless = {key: value for key, value in rule(1).items() if key not in ("within", "state")}
    for new, in_force in (
        ([rule(2, "c", state="drop")], [old]),
        ([rule(2)], [old]),
        ([rule(2, "c", rule="other")], [old]),
        ([], [old]),
        ([rule(2, "c")], [endless]),
    ):
        assert still_finishing(new, in_force, [], 77, GRACE_MS) == []


def test_until_the_window_has_passed() -> None:
    """By the wall clock, and some time after that; nobody knows without one."""
    one = Replaced(rule(1), 1_000)
    new, in_force = [rule(3, "d")], [rule(2, "c")]
    for now_ms, kept in ((65_999, True), (66_000, False), (None, True)):
        found = still_finishing(new, in_force, [one], now_ms, GRACE_MS)
        assert found == [*([one] if kept else []), Replaced(rule(2, "c"), now_ms)]


def test_a_time_that_nobody_noted_is_the_next_one_known() -> None:
    """So that the window is never too short."""
    found = still_finishing([rule(2, "c")], [rule(2, "c")], [Replaced(rule(1), None)], 9, 0)
    assert found == [Replaced(rule(1), 9)]


def test_back_and_forth() -> None:
    """What is in force again is not finished; what is replaced again has its window anew."""
    first, second = rule(1), rule(2, "c")
    left = still_finishing([second], [first], [], 1, GRACE_MS)
    left = still_finishing([first], [second], left, 2, GRACE_MS)
    assert left == [Replaced(second, 2)]
    left = still_finishing([second], [first], left, 3, GRACE_MS)
    assert left == [Replaced(first, 3)]


def test_at_most_so_many_of_a_name() -> None:
    """The newest."""
    left: list[Replaced] = []
    for number in range(MOST_OF_A_NAME + 5):
        left = still_finishing(
            [rule(number + 2, f"s{number + 1}")], [rule(number + 1, f"s{number}")], left, number, 0
        )
    assert [one.at_ms for one in left] == list(range(5, MOST_OF_A_NAME + 5))


def test_a_set_with_faults_finishes_nothing() -> None:
    """It never comes into force; names that are none harm nobody."""
    assert still_finishing([rule(2, "c", within="soon")], [rule(1)], [], 1, 0) == []
    assert still_finishing([rule(2, "c", rule=["r"])], [rule(1, rule=3)], [], 1, 0) == []
