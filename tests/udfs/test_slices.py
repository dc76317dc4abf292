"""Long work in slices."""

from __future__ import annotations

import itertools

import pytest

from udfs.slices import Sliced, Work, finish


def _adding(numbers: list[int]) -> Work[int]:
    total = 0
    for number in numbers:
        total += number
        yield
    return total


def test_in_one_go() -> None:
    """Begun or not."""
    assert finish(_adding([1, 2, 3])) == 6
    work = _adding([1, 2, 3])
    next(work)
    assert finish(work) == 6


def test_a_slice_ends_when_its_time_is_over() -> None:
    """Each look at the clock takes a second here: so many steps fit."""
    work = Sliced(_adding(list(range(10))), itertools.count().__next__)
    assert not work.go_on(3)
    assert not work.go_on(3)
    while not work.go_on(3):
        pass
    assert work.go_on(3)
    assert work.result() == 45
    assert work.slices == 4


def test_a_slice_without_time_does_something() -> None:
    """Else nothing would ever be done."""
    work = Sliced(_adding([1, 2]), lambda: 0.0)
    assert [work.go_on(0) for _ in range(3)] == [False, False, True]


def test_an_error_waits_for_whoever_asks() -> None:
    """It does not hit who only gave the time."""

    def failing() -> Work[int]:
        yield
        raise ValueError("no")

    work = Sliced(failing(), lambda: 0.0)
    assert [work.go_on(0), work.go_on(0), work.go_on(0)] == [False, True, True]
    with pytest.raises(ValueError, match="no"):
        work.result()
