"""The codec: every record becomes an event or a reason, never anything else."""

from __future__ import annotations

import json
import math
import string
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from udfs.errors import InvalidEvent, StateIncompatible
from udfs.events import codec
from udfs.events.event import TYPED_DEPTH, Event
from udfs.events.reasons import REASONS
from udfs.events.refusal import MAX_DEPTH

LEAST: dict[str, Any] = {"event_id": "e", "event_type": "t", "user_id": "u", "event_time": 1}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
optional_fields = [
    name for name in Event.__struct_fields__ if name not in LEAST and name != "props"
]
events = st.builds(
    Event,
    event_id=st.text(min_size=1),
    event_type=st.text(min_size=1),
    user_id=st.text(min_size=1),
    event_time=st.integers(0, 2**63 - 1),
    props=st.dictionaries(st.text(), json_values, max_size=4),
    **{name: st.none() | st.text() for name in optional_fields},
)


def raw_of(props: str) -> bytes:
    """Write an event around the text of its props."""
    return json.dumps(LEAST)[:-1].encode() + b', "props": ' + props.encode() + b"}"


def reason_of(raw: bytes) -> str | None:
    """Give why bytes are refused, None if they are an event."""
    try:
        codec.decode(raw)
    except InvalidEvent as error:
        return error.reason
    return None


def nested(levels: int, leaf: str = "1") -> str:
    """Write lists inside lists as props."""
    return '{"x": ' + "[" * (levels - 1) + leaf + "]" * (levels - 1) + "}"


@given(events)
def test_json_round_trip(event: Event) -> None:
    """What was encoded decodes to the same event."""
    assert codec.decode(msgspec.json.encode(event)) == event


@given(events)
def test_packed_round_trip(event: Event) -> None:
    """State gives back the same event, alone and as a row."""
    assert codec.from_msgpack(codec.to_msgpack(event)) == event
    assert codec.from_row(codec.to_row(event)) == event


@given(events)
def test_dictionary_round_trip(event: Event) -> None:
    """Dictionaries and JSON give the same event."""
    assert codec.from_dict(msgspec.to_builtins(event)) == event


def test_packed_events_survive_fields_appended_later() -> None:
    """A row that is shorter than the event takes the defaults."""
    packed = msgspec.msgpack.encode(["e", "t", "u", 1, "h5"])
    assert codec.from_msgpack(packed) == Event("e", "t", "u", 1, source="h5")


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x80", msgspec.msgpack.encode(["a"] * 99)])
def test_packed_garbage_is_named(packed: bytes) -> None:
    """Bytes that no version wrote are incompatible state, not a crash."""
    with pytest.raises(StateIncompatible, match="not a packed event"):
        codec.from_msgpack(packed)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ud8019eE-.ntf').map(str.encode))
@example(b"\xff\xfe{}")
@example(b"\xed\xa0\x80")
@example(b'{"event_id": "' + b"\\ud800" * 3)
def test_any_bytes_are_an_event_or_a_reason(raw: bytes) -> None:
    """No other exception leaves the codec."""
    assert reason_of(raw) in {None, *REASONS}


@given(st.text(alphabet=string.printable, max_size=40), st.integers(0, 200))
def test_any_damage_of_a_good_record_is_an_event_or_a_reason(junk: str, at: int) -> None:
    """Text pushed into a valid record at any place."""
    good = raw_of('{"a": [1, {"b": "\\ud83d\\ude00"}], "c": 1.5e3}')
    assert reason_of(good[:at] + junk.encode() + good[at:]) in {None, *REASONS}


@given(events, st.data())
def test_any_cut_of_a_good_record_is_broken(event: Event, data: st.DataObject) -> None:
    """A record that lost its tail is refused."""
    raw = msgspec.json.encode(event)
    with pytest.raises(InvalidEvent):
        codec.decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize(
    ("raw", "reason", "where"),
    [
        pytest.param(None, "tombstone", "$", id="tombstone"),
        pytest.param(b"", "broken_json", "$", id="empty"),
        pytest.param(b"{", "broken_json", "$", id="cut"),
        pytest.param(b"\xff", "broken_json", "$", id="not-json"),
        pytest.param(b'{"event_id": "\xff"}', "broken_json", "$", id="not-utf8"),
        pytest.param(raw_of("{}") + b"x", "broken_json", "$", id="trailing"),
        pytest.param(raw_of('{"x": NaN}'), "broken_json", "$", id="nan"),
        pytest.param(raw_of(nested(20, "1 2")), "broken_json", "$", id="broken-deep-inside"),
        pytest.param(b"[]", "wrong_type", "$", id="list"),
        pytest.param(b"null", "wrong_type", "$", id="null"),
        pytest.param(b'{"event_id": 5}', "wrong_type", "$.event_id", id="id-is-a-number"),
        pytest.param(b'{"event_time": "1"}', "wrong_type", "$.event_time", id="time-is-text"),
        pytest.param(b'{"event_time": 1.5}', "wrong_type", "$.event_time", id="time-is-a-double"),
        pytest.param(b'{"event_time": true}', "wrong_type", "$.event_time", id="time-is-a-bool"),
        pytest.param(raw_of("[]"), "wrong_type", "$.props", id="props-is-a-list"),
        pytest.param(raw_of("null"), "wrong_type", "$.props", id="props-is-null"),
        pytest.param(b"{}", "missing_field", "$.event_id", id="nothing-there"),
        pytest.param(b'{"event_id": ""}', "missing_field", "$.event_id", id="empty-id"),
        pytest.param(b'{"event_type": ""}', "missing_field", "$.event_type", id="empty-type"),
        pytest.param(b'{"uid": 1}', "unknown_field", "$.uid", id="unknown"),
        pytest.param(b'{"a b": 1}', "unknown_field", '$["a b"]', id="unknown-with-space"),
        pytest.param(b'{"` - at `$.y": 1}', "unknown_field", '$["` - at `$.y"]', id="unknown-sly"),
        pytest.param(b'{"event_time": -1}', "out_of_range", "$.event_time", id="negative-time"),
        pytest.param(b'{"event_time": 1e999}', "out_of_range", "$.event_time", id="infinite-time"),
        pytest.param(
            b'{"event_time": 9223372036854775808}', "out_of_range", "$.event_time", id="long-time"
        ),
        pytest.param(
            raw_of('{"x": 9223372036854775808}'), "out_of_range", "$.props.x", id="above-64-bits"
        ),
        pytest.param(
            raw_of('{"a": {"b c": [0, -9223372036854775809]}}'),
            "out_of_range",
            '$.props.a["b c"][1]',
            id="below-64-bits",
        ),
        pytest.param(
            raw_of('{"x": ' + "9" * 5000 + "}"), "out_of_range", "$.props.x", id="5000-digits"
        ),
        pytest.param(raw_of('{"x": [1e999]}'), "out_of_range", "$.props.x[0]", id="above-double"),
        pytest.param(
            raw_of(nested(20, "99999999999999999999")),
            "out_of_range",
            "$.props.x" + "[0]" * 19,
            id="out-of-range-deep-inside",
        ),
        pytest.param(raw_of(nested(MAX_DEPTH + 1)), "too_deep", "$.props", id="65-levels"),
        pytest.param(raw_of(nested(100_000)), "too_deep", "$", id="100000-levels"),
        pytest.param(raw_of('{"x": "\\ud800"}'), "bad_text", "$.props.x", id="lone-high"),
        pytest.param(raw_of('{"x": ["a\\uDC00b"]}'), "bad_text", "$.props.x[0]", id="lone-low"),
        pytest.param(raw_of('{"a\\udc00": 1}'), "bad_text", "$.props", id="lone-in-a-key"),
        pytest.param(
            json.dumps(LEAST | {"os": "\ud83d"}).encode(), "bad_text", "$.os", id="lone-in-a-field"
        ),
    ],
)
def test_reason_and_path(raw: bytes | None, reason: str, where: str) -> None:
    """Each fault has its reason and the path of what is wrong."""
    with pytest.raises(InvalidEvent) as caught:
        codec.decode(raw)
    assert (caught.value.reason, caught.value.where) == (reason, where)
    assert caught.value.detail


def test_too_large() -> None:
    """The limit counts bytes; what is exactly as long passes."""
    raw = raw_of("{}")
    assert codec.decode(raw, max_bytes=len(raw)).event_id == "e"
    with pytest.raises(InvalidEvent, match="too_large"):
        codec.decode(raw, max_bytes=len(raw) - 1)


def test_negative_and_largest_numbers_pass() -> None:
    """The ends of 64 bits, and doubles up to the last."""
    props = {"a": 2**63 - 1, "b": -(2**63), "c": 1.7976931348623157e308, "d": [-(2**63)]}
    assert codec.decode(raw_of(json.dumps(props))).props == props


@pytest.mark.parametrize("levels", [TYPED_DEPTH, TYPED_DEPTH + 1, TYPED_DEPTH + 2, MAX_DEPTH])
def test_nesting_up_to_the_limit_passes(levels: int) -> None:
    """What the decoder in C does not look into is looked at again, with the same result."""
    assert codec.decode(raw_of(nested(levels))).props == json.loads(nested(levels))


@pytest.mark.parametrize("subject", sorted(codec.SUBJECTS))
def test_the_subject_must_be_there(subject: str) -> None:
    """Another field than the user can be what state is kept by."""
    fields = LEAST | {subject: "s"}
    assert getattr(codec.decode(json.dumps(fields).encode(), subject), subject) == "s"
    with pytest.raises(InvalidEvent) as caught:
        codec.decode(json.dumps(LEAST | {subject: ""}).encode(), subject)
    assert (caught.value.reason, caught.value.where) == ("missing_field", f"$.{subject}")


def test_user_may_be_empty_when_it_is_not_the_subject() -> None:
    """Events before a log-in belong to a device only."""
    raw = json.dumps(LEAST | {"user_id": "", "device_id": "d"}).encode()
    assert codec.decode(raw, "device_id").user_id == ""
    with pytest.raises(InvalidEvent, match="missing_field"):
        codec.decode(raw)


@pytest.mark.parametrize(
    ("change", "reason", "where"),
    [
        ({"props": {"x": {1: 2}}}, "wrong_type", "$.props.x"),
        ({"props": {"x": {1, 2}}}, "wrong_type", "$.props.x"),
        ({"props": {"x": b"a"}}, "wrong_type", "$.props.x"),
        ({"props": {"x": 2**63}}, "out_of_range", "$.props.x"),
        ({"props": {"x": "\ud800"}}, "bad_text", "$.props.x"),
        ({"props": 5}, "wrong_type", "$.props"),
        ({"event_id": ""}, "missing_field", "$.event_id"),
        ({"event_time": None}, "wrong_type", "$.event_time"),
        ({"colour": 1}, "unknown_field", "$.colour"),
        ({"user_id": ""}, "missing_field", "$.user_id"),
    ],
)
def test_dictionaries_get_the_same_reasons(change: dict[str, Any], reason: str, where: str) -> None:
    """Python values that JSON does not have are wrong types."""
    with pytest.raises(InvalidEvent) as caught:
        codec.from_dict(LEAST | change)
    assert (caught.value.reason, caught.value.where) == (reason, where)


def test_dictionaries_are_copied_and_may_hold_nan() -> None:
    """The caller's containers are not shared."""
    inner: list[Any] = [math.inf]
    event = codec.from_dict(LEAST | {"props": {"x": inner}})
    inner.append(1)
    assert event.props == {"x": [math.inf]}
    with pytest.raises(InvalidEvent, match="wrong_type"):
        codec.from_dict([])  # type: ignore[arg-type]
