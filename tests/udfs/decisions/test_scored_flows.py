"""Flows with tables and models: what is read, asked, told, and that batches do not matter."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from tests.udfs.decisions.logs import START_MS, Arrived, counts_of, logs, record, run
from tests.udfs.decisions.scored import FEATURES, SCORED, Memory, Sum, expected, resources, scored
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.records import Record
from udfs.decisions.resources import Resources
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.errors import ConfigInvalid
from udfs.schemas import validator

SETTINGS = ShardSettings(idle_advance_ms=None, out_of_orderness_ms=2_000, resident_subjects=2)


def decide(*records: Arrived, given: Resources | None = None) -> list[Any]:
    """Decisions on one batch, checked against the schema."""
    return of(process(Shard(0, MemoryStore(), SETTINGS, scored(given), 0), *records))


def process(shard: Shard, *records: Arrived) -> list[Record]:
    """Give records as one batch."""
    return shard.process(
        [r.key for r in records], [r.value for r in records], [r.partition for r in records],
        [r.offset for r in records], START_MS + 10**9,
    )  # fmt: skip


def of(records: list[Record]) -> list[Any]:
    """The decisions among some records."""
    found = [json.loads(r.value) for r in records if r.topic == "decisions"]
    for decision in found:
        validator("udfs.decisions", "decision.schema.json").validate(decision)
    return found


def test_what_was_read_and_asked_is_told() -> None:
    """Features of the flow and of its model, releases and versions, the score."""
    offer, plain = decide(
        record(1, "a", "view", 0, price=5.0, sku="x"), record(2, "a", "pay", 1, price=5.0, sku="x")
    )
    assert plain["flow"] == "plain"
    assert offer["features"] == {
        "views_10s": 1, "paid": 5.0, "user.city": "哈尔滨", "user.age": 30, "user.spent": 1.5,
        "item.rank": 2.0,
    }  # fmt: skip
    assert offer["tables"] == {"user": 3, "item": 7}
    assert offer["models"] == {"ctr": 9}
    assert offer["scores"]["ctr"] == pytest.approx(expected("a", 1, "x"))
    assert offer["scores"]["again"] == offer["scores"]["ctr"]
    assert offer["payload"] == {"score": offer["scores"]["ctr"], "city": "哈尔滨"}
    assert "defaults" not in offer["reason"]
    assert not {"scores", "tables", "models"} & plain.keys()


@pytest.mark.parametrize(
    ("user", "sku", "reasons"),
    [
        ("a", "y", {"item": "NO_ROW"}),
        ("b", "x", {"user.spent": "NOT_A_NUMBER", "user.city": "NULL"}),
        ("c", "x", {"user.age": "NULL"}),
        ("e", "x", {"user": "NO_ROW", "user.spent": "NOT_A_NUMBER"}),
        ("d", "x", {"score.ctr": "NOT_FINITE"}),
        ("a", None, {"item": "NO_KEY"}),
        ("a", "", {"item": "NO_KEY"}),
    ],
)
def test_defaults_have_reasons(user: str, sku: str | None, reasons: dict[str, str]) -> None:
    """Each kind, and the default that stands in its place."""
    props = {} if sku is None else {"sku": sku}
    shard = Shard(0, MemoryStore(), SETTINGS, scored(), 0)
    found = of(process(
        shard, record(1, user, "view", 0, price=15.0, sku=sku or "?"),
        record(2, user, "pay", 1, price=15.0, **props),
    ))  # fmt: skip
    wanted = expected(user, 1, sku or "?")
    told = {name: why for name, why in reasons.items() if why != "NULL" or name != "user.spent"}
    if user == "b":
        told["user.spent"] = "NULL"
    offers = [each for each in found if each["flow"] == "offer"]
    if user == "d":
        assert not offers  # 0.125, the default, is not high
        return
    if wanted > 0.5:
        (offer,) = offers
        assert offer["reason"]["defaults"] == told
        assert offer["scores"]["ctr"] == pytest.approx(wanted)
    counts = shard._header.counts
    assert counts["defaulted"] >= len(told)
    assert counts["failed_reads"] == 0


def test_a_score_that_is_not_finite_is_the_default() -> None:
    """Null where the step has none; told."""
    batch = [record(n, "d", kind, n, price=15.0, sku="x") for n, kind in ((1, "view"), (2, "pay"))]
    thanks = next(each for each in decide(*batch) if each["flow"] == "thanks")
    assert thanks["scores"] == {"ctr": None}
    assert thanks["reason"]["defaults"] == {"score.ctr": "NOT_FINITE"}
    assert thanks["payload"] == {"score": None}


def test_a_row_expires() -> None:
    """By the time of the trigger."""
    pay = record(2, "a", "pay", 1_000, price=5.0, sku="x")
    for at, wanted in ((1_001, 30), (1_000, 18)):
        offer = decide(pay, given=resources(a=START_MS + at))[0]
        assert offer["flow"] == "offer"
        assert offer["features"]["user.age"] == wanted
        assert ("EXPIRED" in offer["reason"].get("defaults", {}).values()) == (wanted == 18)


def test_what_fails_at_run_time_is_the_default() -> None:
    """A table that cannot be read and a model that cannot be asked stop nothing."""
    given = resources()
    user, model = given.tables["user"], given.models["ctr"]
    assert isinstance(user, Memory)
    assert isinstance(model, Sum)
    user.broken = model.broken = True
    shard = Shard(0, MemoryStore(), SETTINGS, scored(given), 0)
    found = of(process(
        shard, record(1, "a", "view", 0, price=15.0, sku="x"),
        record(2, "a", "pay", 1, price=15.0, sku="x"),
    ))  # fmt: skip
    thanks = next(each for each in found if each["flow"] == "thanks")
    assert thanks["reason"]["defaults"] == {
        "user": "READ_FAILED", "user.spent": "NOT_A_NUMBER", "score.ctr": "MODEL_FAILED",
    }  # fmt: skip
    assert thanks["features"]["user.age"] == 18
    assert shard._header.counts["failed_reads"] == 2


def test_a_batch_is_one_lookup_and_one_call() -> None:
    """However many decisions; a second score of a flow is a second call."""
    given = resources()
    decide(*(record(n, user, "pay", 0, price=5.0, sku="x") for n, user in enumerate("abcae")),
           given=given)  # fmt: skip
    user, model = given.tables["user"], given.models["ctr"]
    assert isinstance(user, Memory)
    assert isinstance(model, Sum)
    assert user.asked == 1
    assert model.calls[0] == 4  # the second of "a" is beyond the limit of the first
    assert len(model.calls) == 2


def test_a_limit_counts_decisions_of_the_same_batch() -> None:
    """The one before, if it was made; a refused one does not count."""
    batch = [record(n, "a", "pay", n, price=5.0, sku="x") for n in range(3)]
    assert [each["flow"] for each in decide(*batch)] == ["offer", "plain", "plain", "plain"]
    refused = [record(n, "d", "pay", n, price=5.0, sku="x") for n in range(3)]
    shard = Shard(0, MemoryStore(), SETTINGS, scored(), 0)
    process(shard, *refused)
    counts = shard._header.counts
    assert (counts["limited"], counts["refused"], counts["scored"]) == (0, 3, 3)


def test_a_later_trigger_of_the_batch_takes_no_time_from_an_earlier_one() -> None:
    """What has expired for the fourth still counts for the third."""
    flow = {**SCORED["flows"][3], "limit": {"per_user": "2/10s"}}
    program = Program.compile(1, {**SCORED, "flows": [flow]}, {"decisions"})
    shard = Shard(0, MemoryStore(), SETTINGS, program, 0)
    pays = [record(n, "a", "pay", 1_000 * n, price=5.0, sku="x") for n in (0, 5, 6, 10)]
    records = process(shard, pays[0]) + process(shard, *pays[1:])
    assert [ids for each in of(records) for ids in each["trigger"]["event_ids"]] == [
        "e0", "e5", "e10",
    ]  # fmt: skip
    assert shard._header.counts["limited"] == 1


@given(log=logs(), data=st.data())
def test_batching_and_restarts_change_nothing(log: list[Arrived], data: st.DataObject) -> None:
    """Any cut, restarted anywhere, without tables and models while a journal is worked off."""
    settings = msgspec.structs.replace(
        SETTINGS, journal_events=data.draw(st.sampled_from((1, 3, 7, 1_000)))
    )
    whole, left = run(log, [], settings, make=scored)
    single, _ = run(log, range(len(log)), settings, make=scored)
    assert single == whole
    cuts = data.draw(st.lists(st.integers(1, len(log)), max_size=10))
    restarts = data.draw(st.frozensets(st.integers(0, 10)))
    cut, cut_left = run(log, cuts, settings, restarts, scored)
    assert cut == whole
    assert counts_of(cut_left, settings) == counts_of(left, settings)


def test_a_journal_needs_neither_tables_nor_models() -> None:
    """They may be gone by then: what was decided is in it."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, scored(), 0)
    process(shard, record(1, "a", "pay", 0, price=5.0, sku="x"))
    counts = dict(shard._header.counts)
    assert store.entries
    again = Shard(0, store, SETTINGS, scored(Resources()), 0)
    assert again._header.counts == counts
    scored()
    records = process(again, record(2, "a", "pay", 1, price=5.0, sku="x"))
    assert [each["flow"] for each in of(records)] == ["plain"]  # the limit is used up


def changed(**changes: Any) -> dict[str, list[Any]]:
    """The parts with the first flow alone, changed."""
    flow = {k: v for k, v in {**SCORED["flows"][0], **changes}.items() if v is not None}
    return {**SCORED, "flows": [flow]}


@pytest.mark.parametrize(
    ("parts", "place", "words"),
    [
        (changed(features=["user.shoes"]), "flows[0].features[0]", "no column 'shoes'"),
        (changed(features=["shop.name"]), "flows[0].features[0]", "no table is called 'shop'"),
        (changed(features=["session.dept"]), "flows[0].features[0]", "no such feature"),
        (changed(keys=None), "flows[0].keys", "'item' is replicated and needs a key"),
        (changed(keys={"item": "props.sku", "user": "props.x"}), "flows[0].keys.user", "subject"),
        (changed(keys={"item": "f['views_10s']"}), "flows[0].keys.item", ""),
        (changed(logic=[{"score": "s", "model": "cvr"}]), "flows[0].logic[0].model", "'cvr'"),
        (changed(logic=[{"score": "s", "model": "ctr"}] * 2), "flows[0].logic[1].score", "taken"),
        (changed(logic=[{"score": "s"}]), "flows[0].logic[0]", "model"),
        ({**SCORED, "models": [{**SCORED["models"][0], "inputs": [{
            "name": "n", "dtype": "float32", "features": [
                {"feature": "user.city", "default": 0.0}, {"feature": "user.age", "width": 2,
                 "default": 0.0}, {"feature": "ghost", "default": 0.0}]}]}]},
         "flows[0].logic[1].model", "string"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_faults_name_their_place(parts: Any, place: str, words: str) -> None:
    """What a flow asks for must be there, and fit."""
    with pytest.raises(ConfigInvalid) as caught:
        Program.compile(1, parts, {"decisions"})
    found = [fault for fault in caught.value.faults if fault.where.startswith(place)]
    assert found, caught.value.faults
    assert any(words in str(fault) for fault in found), found


def test_a_model_that_does_not_fit_has_all_its_faults() -> None:
    """A string, another width, an unknown name: each is told."""
    inputs = [{**FEATURES["inputs"][0], "features": [
        {"feature": "user.city", "default": 0.0},
        {"feature": "user.age", "width": 2, "default": 0.0},
        {"feature": "ghost", "default": 0.0}]}]  # fmt: skip
    parts = {**SCORED, "models": [{**SCORED["models"][0], "inputs": inputs}]}
    with pytest.raises(ConfigInvalid) as caught:
        Program.compile(1, parts, {"decisions"})
    told = " ".join(str(f) for f in caught.value.faults if f.where == "flows[0].logic[1].model")
    for words in ("user.city", "wants 2", "ghost"):
        assert words in told
