from __future__ import annotations

import subprocess
import sys

import pytest

from udfs.events.event import Event
from udfs.expressions import CodeCache, Names, cache, compile_expression

NAMES = Names(steps=("view",), values=("f",))
TEXTS = (
    "event_type == 'a' && props.x > 1",
    "props.sku.matches('^a') && 'b'.matches('b')",
    "view.exists(v, v.props.x in [1, 2, 3])",
    "timestamp(event_time) < timestamp('2030-01-01T00:00:00Z') && {1: 2u}[1] == 2u",
    "regex_extract(props.sku, '(a)') == 'a' || hash_id(event_type, 10) > 3 || type(f) == int",
    "f['x'] == 1e999 || f['x'] == 1.5",
)


def filled() -> CodeCache:
    """A cache with all texts."""
    made = CodeCache()
    for text in TEXTS:
        compile_expression(text, NAMES, made)
    return made


def test_round_trip() -> None:
    """What comes out of a dump does what was put in."""
    loaded = CodeCache.load(filled().dump())
    assert len(loaded) == len(TEXTS)
    event = Event(event_id="1", event_type="a", user_id="u", event_time=1, props={"x": 2})
    steps = {"view": [event]}
    for text in TEXTS:
        fresh, kept = compile_expression(text, NAMES), compile_expression(text, NAMES, loaded)
        assert fresh.event_fields == kept.event_fields
        assert fresh.prop_fields == kept.prop_fields
        assert fresh.kind == kept.kind
        assert fresh.test(event, steps, {"f": {"x": 1.5}}) == kept.test(
            event, steps, {"f": {"x": 1.5}}
        )
        assert fresh.errors == kept.errors


def test_a_full_cache_never_loads_the_parser(tmp_path: object) -> None:
    """A worker with all the code does not even import the CEL library."""
    path = f"{tmp_path}/code"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(filled().dump())
    program = f"""
import sys
from udfs.expressions import CodeCache, Names, compile_expression
cache = CodeCache.load(open({path!r}, "rb").read())
for text in {TEXTS!r}:
    compile_expression(text, Names(steps=("view",), values=("f",)), cache)
sys.exit("cel_expr_python" in " ".join(sys.modules))
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_names_are_part_of_the_key() -> None:
    """The same text means another thing where other names are known."""
    made = CodeCache()
    text = "size(view) == 1"
    step = compile_expression(text, Names(steps=("view",)), made)
    value = compile_expression(text, Names(values=("view",)), made)
    assert len(made) == 2
    assert step.steps_used == value.values_used == {"view"}


@pytest.mark.parametrize("place", range(0, 400, 13))
def test_damage_is_found(place: int) -> None:
    """One wrong byte anywhere: the dump counts as empty."""
    data = bytearray(filled().dump())
    data[place] ^= 0x40
    assert len(CodeCache.load(bytes(data))) == 0


@pytest.mark.parametrize("data", [b"", b"x", b"millrace-cel", bytes(1000)])
def test_foreign_bytes(data: bytes) -> None:
    """What is no dump counts as empty."""
    assert len(CodeCache.load(data)) == 0


def test_a_cut_dump_is_empty() -> None:
    """A file that was not written to its end is of no use."""
    data = filled().dump()
    for size in range(0, len(data), 97):
        assert len(CodeCache.load(data[:size])) == 0


def test_another_python_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marshalled code is Python's own: a dump of another version is not read."""
    data = filled().dump()
    monkeypatch.setattr(cache.importlib.util, "MAGIC_NUMBER", b"zzzz")
    assert len(CodeCache.load(data)) == 0


def test_another_format_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code for other helpers is not read."""
    data = filled().dump()
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert len(CodeCache.load(data)) == 0
