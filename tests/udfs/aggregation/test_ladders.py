"""Conditions that compare one property with numbers: looked up together, as if each was asked."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.matching.test_ladders import NUMBERS, VALUES
from udfs.aggregation import Plan
from udfs.aggregation.reading import reading
from udfs.events.event import Event
from udfs.slices import finish


@given(
    st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">=", "=="]), NUMBERS), max_size=20),
    st.lists(st.dictionaries(st.just("n"), VALUES), min_size=1, max_size=6),
)
def test_together_is_as_each_alone(
    tests: list[tuple[str, float]], props: list[dict[str, Any]]
) -> None:
    """The same counts, the same numbers of errors."""
    specs = [
        {"aggregate": f"a{i}", "event": "a", "where": f"props.n {operator} {number}",
         "function": "count", **({"group_by": "event_id"} if i % 5 == 4 else {})}
        for i, (operator, number) in enumerate(tests)
    ]  # fmt: skip
    events = [Event(str(i), "a", "u", i, props=given) for i, given in enumerate(props)]

    def read(plan: Plan) -> dict[str, Any]:
        state = plan.decode(b"")
        for event in events:
            plan.update(state, event)
        return plan.read(state, plan.names, 10)

    together = Plan.compile([*specs, {"aggregate": "all", "function": "count"}])
    alone = [Plan.compile([spec]) for spec in specs]
    values = read(together)
    assert values.pop("all") == len(events)
    assert values == {name: value for plan in alone for name, value in read(plan).items()}
    errors = {
        spec["where"]: plan.counters["where_errors"]
        for spec, plan in zip(specs, alone, strict=True)
    }
    assert together.counters["where_errors"] == sum(errors.values())


def test_a_thousand_conditions_are_not_asked() -> None:
    """Nor are more streams touched than hold."""
    specs = finish(
        reading(
            [
                {"aggregate": f"a{i}", "where": f"props.n > {i}", "function": "count"}
                for i in range(1_000)
            ],
            None,
            "aggregates",
        )
    )
    asked = []

    def counted(test: Any) -> Any:
        def ask(*given: Any) -> bool:
            asked.append(test)
            return bool(test(*given))

        return ask

    for spec in specs:
        assert spec.where is not None
        spec.where.test = counted(spec.where.test)
    plan = finish(Plan.making(specs))
    state = plan.decode(b"")
    plan.update(state, Event("e", "a", "u", 1, props={"n": 3.5}))
    assert len(state.entries) == 4
    assert not asked
    plan.update(state, Event("f", "a", "u", 1, props={"n": "3"}))
    assert len(asked) == 1_000
