"""Reading a manifest: what it holds, and every fault with its place."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import manifest, strict_json
from configs.manifest import Finishing, Ref, Resolved, resolve
from configs.objects import ObjectStore, get
from udfs.errors import ConfigInvalid, StateIncompatible

SCHEMA = json.loads((Path(manifest.__file__).parent / "manifest.schema.json").read_text())
NOWHERE = Ref("file:///nonexistent/blob", "0" * 64, 3)


def faults_of(text: str, fetch: manifest.Fetch = get) -> list[tuple[str, str]]:
    """Place and problem of every fault."""
    with pytest.raises(ConfigInvalid) as caught:
        resolve(text, fetch)
    return [(fault.where, fault.problem) for fault in caught.value.faults]


def text_of(**fields: Any) -> str:
    """A manifest of revision 1."""
    return json.dumps({"schema": 1, "revision": 1, **fields})


def reference(ref: Ref, **changed: Any) -> dict[str, Any]:
    """A reference as it stands in a manifest."""
    return {"uri": ref.uri, "sha256": ref.sha256, "bytes": ref.bytes, **changed}


def test_parts_in_place_and_in_blobs_are_the_same_manifest(tmp_path: Path) -> None:
    """The digest tells contents apart, not where they lie or how they are spaced."""
    rules = [{"name": "r", "within": 1.5}]
    ref = ObjectStore(tmp_path.as_uri()).put(json.dumps(rules, indent=2).encode())
    inline = resolve(text_of(rules=rules, flows=[{"name": "f"}]), get)
    linked = resolve(text_of(flows=[{"name": "f"}], rules=reference(ref)), get)
    assert inline == linked
    assert inline.rules == rules
    assert inline.aggregates == []
    assert resolve(text_of(rules=[]), get).digest != inline.digest


def test_what_has_to_finish_is_state_and_no_content() -> None:
    """It survives, is no part of the digest, and older dumps lack it."""
    plain = Resolved.of(3, rules=[{"rule": "r"}])
    left = [Finishing({"rule": "r", "version": 1}, 5), Finishing({"rule": "r"}, None)]
    full = msgspec.structs.replace(plain, finishing=left)
    assert Resolved.load(full.dump()) == full
    assert full.digest == Resolved.of(3, rules=[{"rule": "r"}]).digest
    assert full.parts()["finishing"] == [{"rule": "r", "version": 1}, {"rule": "r"}]
    older = msgspec.msgpack.decode(plain.dump()[4:])
    del older["finishing"]
    assert Resolved.load(plain.dump()[:4] + msgspec.msgpack.encode(older)) == plain


def test_state_holds_everything_and_comes_back_equal() -> None:
    """Resolved texts, not URIs, in bytes with a version."""
    resolved = resolve(text_of(activate_at=5, rules=[{"n": [1, 2.0, None, "ä"]}]), get)
    assert Resolved.load(resolved.dump()) == resolved
    for blob in (b"", b"MRM\x02", b"MRM\x01rubbish", resolved.dump()[:-1]):
        with pytest.raises(StateIncompatible):
            Resolved.load(blob)


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        pytest.param(
            '{"schema": 1,\n "revision" 2}', "$:2:13", "not JSON: Expecting ':'", id="json"
        ),
        pytest.param("", "$:1:1", "not JSON: Expecting value", id="empty"),
        pytest.param("[]", "$", "a list, not an object", id="list"),
        pytest.param(text_of(rulez=[]), "rulez", "unknown field", id="unknown"),
        pytest.param(text_of(revision=0), "revision", "the number 0, not an integer", id="low"),
        pytest.param(text_of(revision=True), "revision", "true, not an integer", id="bool"),
        pytest.param(text_of(revision="7"), "revision", "the text '7', not an integer", id="text"),
        pytest.param(text_of(revision=1.0), "revision", "the number 1.0, not an", id="float"),
        pytest.param('{"schema": 1}', "revision", "missing", id="missing"),
        pytest.param(text_of(schema=2), "schema", "the number 2, not 1", id="schema"),
        pytest.param(text_of(activate_at=-1), "activate_at", "the number -1", id="activate"),
        pytest.param(text_of(rules=None), "rules", "null, neither a list", id="null part"),
        pytest.param(text_of(rules=[{}, 3]), "rules[1]", "the number 3, not an obj", id="item"),
        pytest.param(text_of(mappings=[{}]), "mappings", "mappings are not supp", id="later"),
        pytest.param(text_of(models=["m"]), "models[0]", "the text 'm', not an obj", id="pointer"),
        pytest.param(text_of(rules={}), "rules.uri", "missing", id="reference"),
        pytest.param(
            text_of(rules=reference(NOWHERE, sha256="A" * 64)), "rules.sha256", "the text", id="hex"
        ),
        pytest.param(
            text_of(rules=reference(NOWHERE, bytes=1 << 40)),
            "rules.bytes",
            "1099511627776",
            id="big",
        ),
        pytest.param(
            text_of(rules=reference(NOWHERE, more=1)), "rules.more", "unknown field", id="more"
        ),
        pytest.param(
            text_of(rules=reference(NOWHERE)), "rules", "absent blob: file:///", id="absent"
        ),
        pytest.param(
            text_of(rules=reference(NOWHERE, uri="s3://b/k")),
            "rules",
            "s3://b/k: not a URI",
            id="s3",
        ),
        pytest.param(
            '{"schema":1,"revision":1,"revision":2}', "revision", "the key st", id="twice"
        ),
        pytest.param(
            '{"schema":1,"revision":1,"rules":[{"a":{"b":1,"b":1}}]}',
            "rules[0].a.b",
            "the key stands twice",
            id="twice inside",
        ),
        pytest.param(text_of(rules=[{"a": float("nan")}]), "$", "not JSON: NaN is not", id="nan"),
        pytest.param(text_of(rules=[{"a": 1 << 63}]), "$", "not JSON: 92233720368", id="65 bits"),
        pytest.param('{"schema":1,"revision":1e999}', "$", "not JSON: 1e999 is larger", id="inf"),
        pytest.param(
            '{"schema":1,"revision":' + "9" * 9999 + "}", "$", "not JSON: 99999", id="long"
        ),
        pytest.param("[" * 100_000, "$", "nested deeper than 100 levels", id="deep"),
        pytest.param(text_of(rules=[{"a": "\ud800"}]), "rules[0].a", "half of a surr", id="half"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, where: str, problem: str) -> None:
    """One fault, its JSON path, and what is wrong."""
    ((found_where, found_problem),) = faults_of(text)[:1]
    assert found_where == where
    assert found_problem.startswith(problem)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    """Faults of the schema, of keys that stand twice and of blobs are in one list."""
    ref = ObjectStore(tmp_path.as_uri()).put(b"[1]")
    text = text_of(
        zz=1, revision=0, flows=[0], rules=reference(ref), aggregates=reference(NOWHERE)
    ).replace('"zz"', '"schema": 1, "zz"')
    assert [where for where, _ in faults_of(text)] == [
        "schema",
        "zz",
        "revision",
        "flows[0]",
        "rules[0]",
        "aggregates",
    ]


@pytest.mark.parametrize(
    ("blob", "where", "problem"),
    [
        pytest.param(b"{]", "rules:1:2", "not JSON", id="json"),
        pytest.param(b'{"a": 1}', "rules", "holds an object, not a list", id="object"),
        pytest.param(b"[1]", "rules[0]", "the number 1, not an object", id="item"),
        pytest.param(b"\xff", "rules", "is not UTF-8 at byte 0", id="utf8"),
        pytest.param(b'[{"a":1,"a":2}]', "rules[0].a", "the key stands twice", id="twice"),
    ],
)
def test_a_fault_inside_a_blob_names_the_part(
    tmp_path: Path, blob: bytes, where: str, problem: str
) -> None:
    """The place starts with the part that the blob is."""
    ref = ObjectStore(tmp_path.as_uri()).put(blob)
    ((found_where, found_problem),) = faults_of(text_of(rules=reference(ref)))
    assert found_where == where
    assert problem in found_problem


def test_a_blob_of_another_hash_or_size_is_refused(tmp_path: Path) -> None:
    """Nothing of it is used, and the fault names the URI."""
    ref = ObjectStore(tmp_path.as_uri()).put(b"[]")
    other = hashlib.sha256(b"x").hexdigest()
    ((where, problem),) = faults_of(text_of(rules=reference(ref, sha256=other)))
    assert where == "rules"
    assert problem.startswith(f"{ref.uri}: wrong hash: SHA-256 {ref.sha256}, {other} expected")
    ((_, problem),) = faults_of(text_of(rules=reference(ref, bytes=3)))
    assert "wrong size: 2 bytes, 3 expected" in problem
    ((_, problem),) = faults_of(text_of(rules=reference(ref, bytes=1)))
    assert "wrong size: more than 1 bytes, 1 expected" in problem


def test_a_part_that_comes_later_needs_only_its_name() -> None:
    """``supported`` is the one place that lets mappings in."""
    supported = manifest.SUPPORTED | {"mappings"}
    assert resolve(text_of(mappings=[{"name": "m"}]), get, supported).mappings == [{"name": "m"}]


USER = {"table": "user", "release": 3, "manifest": reference(NOWHERE)}
CTR = {"model": "ctr_small", "version": 2, "artifact": reference(NOWHERE)}


def test_pointers_are_parts_like_others(tmp_path: Path) -> None:
    """In place or in a blob; what they point to is not read here."""
    ref = ObjectStore(tmp_path.as_uri()).put(json.dumps([CTR]).encode())
    resolved = resolve(text_of(features=[USER], models=reference(ref)), get)
    assert (resolved.features, resolved.models) == ([USER], [CTR])
    assert Resolved.load(resolved.dump()) == resolved


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"features": [USER], "models": [CTR]}, True),
        ({"features": reference(NOWHERE), "models": reference(NOWHERE)}, True),
        ({"features": [CTR]}, False),
        ({"features": [USER | {"release": 0}]}, False),
        ({"features": [USER | {"manifest": {"uri": "x"}}]}, False),
        ({"models": [CTR | {"more": 1}]}, False),
        ({"models": CTR}, False),
    ],
    ids=["lists", "blobs", "swapped", "release", "manifest", "more", "no list"],
)
def test_the_json_schema_knows_the_shape_of_pointers(
    fields: dict[str, Any], *, right: bool
) -> None:
    """An editor says what the job would say later."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(json.loads(text_of(**fields))) == right


scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.5, "x", "0" * 64])
parts = (
    st.lists(scalars | st.just({}), max_size=2)
    | scalars
    | st.fixed_dictionaries(
        {}, optional={"uri": scalars, "sha256": scalars, "bytes": scalars, "odd": scalars}
    )
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "schema": scalars,
            "revision": scalars,
            "activate_at": scalars,
            "rules": parts,
            "flows": parts,
            "odd": scalars,
        },
    )
    | scalars
)
def test_the_json_schema_says_the_same(value: Any) -> None:
    """The schema file for editors and our own check agree on what is right."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    # JSON Schema holds 1.0 for an integer; a manifest does not.
    floats = any(isinstance(item, float) for item in _leaves(value))
    if not floats:
        assert validator.is_valid(value) == (not manifest.check(value))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_what_is_json_is_read_as_json_does(value: Any) -> None:
    """Where nothing is refused, the reader is ``json`` itself, and the state keeps the value."""
    text = json.dumps(value)
    assert strict_json.parse(text) == json.loads(text) == value
    resolved = Resolved.of(1, rules=[{"value": value}])
    assert Resolved.load(resolved.dump()) == resolved


@given(st.text(max_size=40))
def test_no_text_is_too_odd(text: str) -> None:
    """Whatever the text, there is a value or a list of faults, never another error."""
    with contextlib.suppress(ConfigInvalid):
        strict_json.parse(text)
