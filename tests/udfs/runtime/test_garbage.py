"""When a worker looks through its heap."""

from __future__ import annotations

import gc

from udfs.expressions import Expression, Names, compile_expression
from udfs.runtime.garbage import Keeper


def test_the_heap_is_looked_through_in_a_quiet_moment() -> None:
    """Once for all programs that were replaced, and not without a reason."""
    looks: list[int] = []
    keeper = Keeper(lambda: looks.append(1))
    keeper.look(quiet=True)
    keeper.replaced()
    keeper.replaced()
    keeper.look(quiet=False)
    assert not looks
    keeper.look(quiet=True)
    keeper.look(quiet=True)
    assert len(looks) == 1


def test_it_is_done_at_last_where_there_is_no_quiet_moment() -> None:
    """Memory is bounded."""
    looks: list[int] = []
    keeper = Keeper(lambda: looks.append(1))
    for _ in range(2 * Keeper.MOST):
        keeper.replaced()
        keeper.look(quiet=False)
    assert len(looks) == 2


def test_expressions_are_no_cyclic_garbage() -> None:
    """They go with the last one who holds them."""
    gc.disable()
    try:
        for text in (
            "props.a > 1",
            "event_type == 'x' || props.b.startsWith('y')",
            "size(props.l)",
        ):
            expression = compile_expression(text, Names())
            del expression
            held = [one for one in gc.get_objects() if type(one) is Expression and one.text == text]
            assert not held
    finally:
        gc.enable()
