"""Patterns of Flink's dynamic CEP as rules."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from udfs.errors import ConfigInvalid, ExpressionInvalid, MillraceError
from udfs.matching import Machine, aviator, match
from udfs.matching.aviator import translate
from udfs.matching.commands import app
from udfs.matching.flip200 import to_rule

SINGLE = {
    "consumingStrategy": "SKIP_TILL_NEXT", "properties": ["SINGLE"], "times": None,
    "untilCondition": None,
}  # fmt: skip


def node(name: str, text: str | None = None, **keys: Any) -> dict[str, Any]:
    """Give a node, with a condition in Aviator."""
    condition = None if text is None else {"expression": text, "type": "AVIATOR"}
    return {"name": name, "quantifier": SINGLE, "condition": condition, "type": "ATOMIC"} | keys


def graph(*nodes: dict[str, Any], types: tuple[str, ...] = (), **keys: Any) -> dict[str, Any]:
    """Give a graph of nodes in a line; edges and nodes are written in reverse, as Flink does."""
    names = [one["name"] for one in nodes]
    kinds = types or ("SKIP_TILL_NEXT",) * (len(nodes) - 1)
    edges = [
        {"source": one, "target": other, "type": kind}
        for one, other, kind in zip(names, names[1:], kinds, strict=False)
    ]
    return {
        "name": "g", "quantifier": SINGLE, "condition": None, "nodes": list(reversed(nodes)),
        "edges": list(reversed(edges)), "window": None,
        "afterMatchStrategy": {"type": "NO_SKIP", "patternName": None},
        "type": "COMPOSITE", "version": 1,
    } | keys  # fmt: skip


def quantifier(*properties: str, **keys: Any) -> dict[str, Any]:
    """Give a quantifier."""
    return {"quantifier": SINGLE | {"properties": list(properties)} | keys}


def window(size: int, unit: str = "MINUTES", kind: str = "FIRST_AND_LAST") -> dict[str, Any]:
    """Give a window."""
    return {"type": kind, "time": {"unit": unit, "size": size}}


WHOLE = graph(
    node("start", "action == 0", **quantifier(
        "LOOPING", "GREEDY",
        times={"from": 3, "to": 3, "windowTime": {"unit": "SECONDS", "size": 9}},
        untilCondition={"type": "GROOVY", "expression": "n > 5"},
    )),
    node("end", "action != 1 && kind == 'pay'"),
    window=window(10),
    afterMatchStrategy={"type": "SKIP_PAST_LAST_EVENT", "patternName": None},
)  # fmt: skip


def good(given: Any, **fields: str) -> dict[str, Any]:
    """Give the rule of a graph without faults."""
    rule, faults = to_rule(given, fields)
    assert not faults
    Machine.compile([rule])
    return rule


def faults(given: Any) -> list[tuple[str, str]]:
    """Give place and text of all faults."""
    return [(fault.where, f"{fault.problem}: {fault.cure}") for fault in to_rule(given, {})[1]]


def test_a_whole_pattern() -> None:
    """The order is that of the edges."""
    assert good(WHOLE, kind="event_type") == {
        "rule": "g",
        "version": 1,
        "pattern": [
            {"step": "start", "times": "3+", "greedy": True, "repeat_within": "9s",
             "until": "props.n > 5", "where": "props.action == 0"},
            {"step": "end", "event": "pay", "where": "props.action != 1"},
        ],
        "within": "10m",
        "after_match": "skip_past_last_event",
    }  # fmt: skip


def test_an_imported_rule_matches() -> None:
    """What Flink would give."""
    rule = good(graph(node("a", "n == 1"), node("b", "n == 2"), types=("STRICT",)))
    events = [
        {"event_id": str(n), "event_type": "x", "user_id": "u", "event_time": n, "props": {"n": v}}
        for n, v in enumerate([1, 3, 1, 2])
    ]
    assert [found["at"] for found in match([rule], events)] == [3]


@pytest.mark.parametrize(
    ("kind", "then"),
    [
        ("STRICT", "next"), ("SKIP_TILL_NEXT", None), ("SKIP_TILL_ANY", "followed_by_any"),
        ("NOT_NEXT", "not_next"), ("NOT_FOLLOW", "not_followed_by"),
    ],
)  # fmt: skip
def test_edges(kind: str, then: str | None) -> None:
    """Each contiguity has its name here."""
    rule = good(graph(node("a"), node("b"), node("c"), types=(kind, "STRICT")))
    assert rule["pattern"][1].get("then") == then
    assert rule["pattern"][2]["then"] == "next"


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (quantifier("SINGLE"), {}),
        (quantifier("SINGLE", "OPTIONAL"), {"optional": True}),
        (quantifier("TIMES", times={"from": 2, "to": 2, "windowTime": None}), {"times": 2}),
        (quantifier("TIMES", times={"from": 2, "to": 4}), {"times": "2..4"}),
        (quantifier("TIMES", "OPTIONAL", times={"from": 0, "to": 4}), {"times": "0..4"}),
        (quantifier("LOOPING"), {"times": "1+"}),
        (
            quantifier("LOOPING", consumingStrategy="STRICT"),
            {"times": "1+", "inner": "consecutive"},
        ),
        (
            quantifier("LOOPING", consumingStrategy="SKIP_TILL_ANY"),
            {"times": "1+", "inner": "combinations"},
        ),
        ({"quantifier": None}, {}),
    ],
    ids=str,
)
def test_quantifiers(given: dict[str, Any], keys: dict[str, Any]) -> None:
    """How often, how, and up to when."""
    assert good(graph(node("z"), node("a", **given)))["pattern"][1] == {"step": "a"} | keys


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"type": "NO_SKIP", "patternName": None}, None),
        (None, None),
        ({"type": "SKIP_TO_NEXT"}, "skip_to_next"),
        ({"type": "SKIP_TO_FIRST", "patternName": "a"}, {"skip_to_first": "a"}),
        ({"type": "SKIP_TO_LAST", "patternName": "b"}, {"skip_to_last": "b"}),
    ],
    ids=str,
)
def test_skip_strategies(strategy: Any, expected: Any) -> None:
    """Those with a name keep it."""
    assert (
        good(graph(node("a"), node("b"), afterMatchStrategy=strategy)).get("after_match")
        == expected
    )


def test_windows_and_groups() -> None:
    """The shortest window counts; one between two events belongs to the last node."""
    inner = graph(node("b"), node("c"), name="inner", window=window(3), **quantifier("LOOPING"))
    rule = good(graph(node("a"), inner, node("d"), window=window(1, "HOURS")))
    assert rule["within"] == "3m"
    assert rule["pattern"][1] == {
        "step": "inner",
        "times": "1+",
        "steps": [{"step": "b"}, {"step": "c"}],
    }
    between = graph(node("a"), node("b"), window=window(5, "SECONDS", "PREVIOUS_AND_CURRENT"))
    assert good(between)["pattern"][1] == {"step": "b", "gap": {"max": "5s"}}


def test_joined_conditions() -> None:
    """Flink's own classes that join others."""
    joined = {
        "type": "CLASS", "className": "org.apache.flink.cep.pattern.conditions.RichOrCondition",
        "nestedConditions": [
            {"type": "AVIATOR", "expression": "n > 1 && kind == 'it\\'s'"},
            {"type": "GROOVY", "expression": "m > 1"},
        ],
    }  # fmt: skip
    [step] = good(graph(node("a", condition=joined)), kind="event_type")["pattern"]
    assert step["where"] == "(event_type == 'it\\'s' && props.n > 1) || (props.m > 1)"


A, B, C = node("a"), node("b"), node("c")
CLASS = {"type": "CLASS", "className": "com.example.Start", "args": ["x"]}


@pytest.mark.parametrize(
    ("given", "where", "text"),
    [
        (7, "$", "no object"),
        (graph(A | {"condition": CLASS}), "$.nodes[0].condition.className", "com.example.Start"),
        (graph(A | {"condition": {"type": "SQL"}}), "$.nodes[0].condition.type", "'SQL'"),
        (graph(node("a", "f(x) > 1")), "$.nodes[0].condition.expression:1:1", "function 'f'"),
        (graph(node("a", "x +\n1")), "$.nodes[0].condition.expression:1:3", "'+\\n1'"),
        (graph(A | {"conditon": None}), "$.nodes[0].conditon", "did you mean 'condition'"),
        (graph(A | {"type": "X"}), "$.nodes[0].type", "ATOMIC"),
        (graph(A | {"name": 3}), "$.nodes[0].name", "3 is no text"),
        (graph(node("a b")), "$.nodes[0].step", "a name that can stand"),
        (graph(A, B) | {"edges": []}, "$.edges", "2 nodes have no edge before"),
        (graph(A, B, types=("SKIP",)), "$.edges[0].type", "STRICT"),
        (graph(A, B, types=("NOT_FOLLOW",)), "$.nodes[0].then", "window"),
        (graph(A, window=window(1, kind="NEVER")), "$.window.type", "FIRST_AND_LAST"),
        (graph(A, window=window(0)), "$.window.time.size", "above zero"),
        (graph(A, window=window(1, "WEEKS")), "$.window.time.unit", "DAYS"),
        (graph(A, window=window(1, kind="PREVIOUS_AND_CURRENT")), "$.window", "windowTime"),
        (
            graph(A, afterMatchStrategy={"type": "SKIP_TO_LAST"}),
            "$.afterMatchStrategy.patternName",
            "missing",
        ),
        (graph(A, **quantifier("LOOPING")), "$.quantifier", "put it into a graph around"),
        (graph(A | quantifier("MANY")), "$.nodes[0].quantifier.properties[0]", "'MANY'"),
        (graph(A | quantifier({})), "$.nodes[0].quantifier.properties[0]", "no property"),  # type: ignore[arg-type]
        (graph(A | quantifier("TIMES")), "$.nodes[0].quantifier.times", "without times"),
        (graph(A | quantifier("SINGLE", "GREEDY")), "$.nodes[0].greedy", "repeats"),
        (graph(A, name="of risk"), "$.rule", "letters"),
        (graph(A, name=None), "$.name", "None is no text"),
    ],
    ids=str,
)  # fmt: skip
def test_one_fault(given: Any, where: str, text: str) -> None:
    """With its place in the graph, and what to do."""
    [(place, told)] = faults(given)
    assert place == where
    assert text in told


def test_all_faults_at_once() -> None:
    """Of conditions, quantifiers and window together."""
    given = graph(node("a", "x =~ 1"), B | {"condition": CLASS}, C | quantifier("MANY"), window=7)
    assert len(faults(given)) == 4


def test_graphs_that_are_no_line() -> None:
    """Forks, circles, strangers and nodes of the same name."""
    fork = graph(A, B, C)
    fork["edges"].append({"source": "a", "target": "c", "type": "STRICT"})
    assert any("two edges" in text for _, text in faults(fork))
    circle = graph(A, B, C)
    circle["edges"] = [
        {"source": "b", "target": "c", "type": "STRICT"},
        {"source": "c", "target": "b", "type": "STRICT"},
    ]
    assert ("$.edges", "no way leads to b, c: connect all nodes in a line") in faults(circle)
    stranger = graph(A, B)
    stranger["edges"][0]["target"] = "z"
    assert any("there is no node 'z'" in text for _, text in faults(stranger))
    assert any("a second node 'a'" in text for _, text in faults(graph(A, A)))


def test_depth_is_bounded() -> None:
    """Of graphs, conditions and expressions."""
    deep = graph(A)
    condition: dict[str, Any] = {"type": "AVIATOR", "expression": "x > 1"}
    for index in range(100):
        deep = graph(deep, name=f"g{index}")
        condition = {
            "type": "CLASS",
            "className": "RichAndCondition",
            "nestedConditions": [condition],
        }
    assert any("nested too deeply" in text for _, text in faults(deep))
    assert any("nested deeper" in text for _, text in faults(graph(node("a", condition=condition))))
    assert any("nested deeper" in text for _, text in faults(graph(node("a", "(" * 9_999))))
    assert any("characters" in text for _, text in faults(graph(node("a", "x" * 99_999))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b >= -1.5e3", "props.a.b >= -1.5e3"),
        ('name == "it\'s \\"x\\""', "props.name == 'it\\'s \"x\"'"),
        ("a && b || !c", "props.a && props.b || !props.c"),
        ("(a || b) && c", "(props.a || props.b) && props.c"),
        ("n > 10L", "props.n > 10"),
        ("x == nil", "(!has(props.x) || props.x == null)"),
        ("null != x", "(has(props.x) && props.x != null)"),
        ("who.age > 1 && at < 5", "user.age > 1 && (1 + 2) < 5"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    """As CEL writes them."""
    fields = {"who": "user", "at": "1 + 2"}
    assert translate(text, "AVIATOR", fields, "$").text == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"), ("a >", "ends too early"), ("(a", "')' is missing"), ("a b", "not expected"),
        ("a < b < c", "in a row"), ("-x > 1", "arithmetic"), ("0x1F == a", "number '0x1F'"),
        ("a[0] == 1", "'[0] == 1' cannot"), ("'open", "cannot be translated"), ("x < nil", "nil"),
        ('name == "$x"', "text with $"), ("a == 1;", "cannot be translated"),
        ("&& a", "not expected"),
        ("string.length(a) > 1", "function 'string.length'"), ("1.2.3 == a", "number"),
    ],
)  # fmt: skip
def test_expressions_that_are_not_simple(text: str, problem: str) -> None:
    """Are refused with line and column."""
    with pytest.raises(ExpressionInvalid, match=r"\$:1:\d+: ") as caught:
        translate(text, "GROOVY", {}, "$")
    assert problem in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    | st.sampled_from(["a", "LOOPING", "TIMES", "STRICT", "COMPOSITE", "NOT_FOLLOW", "x > 1 ||"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "name", "times", "from", "x"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the paths of all values inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for key, one in inner if isinstance(value, dict | list) else ():
        found += places(one, (*path, key)) if isinstance(one, dict | list) else [(*path, key)]
    return found


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_json_breaks_it(data: st.DataObject) -> None:
    """There are faults, or a rule that compiles."""
    group = graph(node("x", "y > 1"), node("z"), name="group")
    value = json.loads(json.dumps(WHOLE | {"nodes": [*WHOLE["nodes"], group]}))
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(places(value)))
        around: Any = value
        for key in path:
            around = around[key]
        around[last] = data.draw(JSON)
    rule, found = to_rule(value, {"kind": "event_type"})
    if not found:
        Machine.compile([rule])


def call(path: Path, content: bytes, *words: str) -> Result:
    """Run the command on a file."""
    path.write_bytes(content)
    return CliRunner().invoke(app, ["import", str(path), *words])


def test_the_command(tmp_path: Path) -> None:
    """Prints a rule that `check` takes."""
    path = tmp_path / "x.json"
    result = call(path, json.dumps(WHOLE).encode(), "--field", "kind = event_type", "--name", "n")
    assert result.exit_code == 0, result.output
    rule = json.loads(result.stdout)
    assert rule["rule"] == "n"
    assert rule["pattern"][1]["event"] == "pay"
    path.write_text(result.stdout)
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0


def test_the_command_refuses(tmp_path: Path) -> None:
    """With the file's name; a mapping of a wrong form as well."""
    path = tmp_path / "x.json"
    bad = json.dumps(graph(A | {"condition": CLASS})).encode()
    for content, text in {bad: "$.nodes[0].condition", b"\xff": "UTF-8", b"": "empty"}.items():
        result = call(path, content)
        assert isinstance(result.exception, ConfigInvalid)
        assert f"{path}" in str(result.exception)
        assert text in str(result.exception)
    result = call(path, b"{}", "--field", "kind")
    assert isinstance(result.exception, MillraceError)
    assert "'kind' is not NAME=CEL" in str(result.exception)


def test_examples() -> None:
    """Those in the docstrings."""
    assert doctest.testmod(aviator).failed == 0
