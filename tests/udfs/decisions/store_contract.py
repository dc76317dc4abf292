"""What every `ShardStore` must do. Run against a dictionary and, in a JVM, against Flink."""

from __future__ import annotations

from collections.abc import Callable

from udfs.decisions.store import ShardStore


def absent_is_none(store: ShardStore) -> None:
    """A new shard has no header, no subjects, no chunks."""
    assert store.header() is None
    assert store.get("nobody") is None
    assert store.chunks.get("0:6:0:0") is None
    assert list(store.chunks.keys()) == []


def header_is_replaced(store: ShardStore) -> None:
    """The last header written is the one read."""
    store.put_header(b"one")
    store.put_header(b"\x00\xfftwo")
    assert store.header() == b"\x00\xfftwo"


def subjects_come_and_go(store: ShardStore) -> None:
    """Several at once, any text as name, replaced, removed; removing nobody is no error."""
    store.put_all({"a": b"1", "哈啰": b"\x00", "u😀": b"", "a b\n": b"x" * 5_000})
    store.put_all({"a": b"2"})
    store.put_all({})
    assert [store.get(name) for name in ("a", "哈啰", "u😀", "a b\n")] == [
        b"2", b"\x00", b"", b"x" * 5_000,
    ]  # fmt: skip
    store.remove("a")
    store.remove("nobody")
    assert store.get("a") is None
    assert store.get("哈啰") == b"\x00"


def journal_keeps_its_order(store: ShardStore) -> None:
    """More than ten entries, cleared, begun anew; apart from subjects and header."""
    for number in range(12):
        store.append(number, b"entry %d" % number)
    assert store.journal() == [b"entry %d" % number for number in range(12)]
    store.put_all({"00000001": b"a subject"})
    store.clear_journal()
    assert store.journal() == []
    assert store.get("00000001") == b"a subject"
    store.append(0, b"")
    assert store.journal() == [b""]


def program_is_replaced(store: ShardStore) -> None:
    """None at first, then the last one written."""
    assert store.program() is None
    store.put_program(b"one")
    store.put_program(b"two")
    assert store.program() == b"two"


def ages_are_replaced(store: ShardStore) -> None:
    """None at first, then the last ones written."""
    assert store.ages() is None
    store.put_ages(b"one")
    store.put_ages(b"\x00two")
    assert store.ages() == b"\x00two"


def chunks_are_listed(store: ShardStore) -> None:
    """Keys are those written and not removed."""
    for key in ("0:6:64:0", "1:6:64:0", "0:9:512:1"):
        store.chunks.put(key, key.encode())
    store.chunks.put("0:6:64:0", b"again")
    store.chunks.remove("1:6:64:0")
    store.chunks.remove("7:6:64:0")
    assert sorted(store.chunks.keys()) == ["0:6:64:0", "0:9:512:1"]
    assert store.chunks.get("0:6:64:0") == b"again"


CHECKS: dict[str, Callable[[ShardStore], None]] = {
    check.__name__: check
    for check in (
        absent_is_none,
        header_is_replaced,
        subjects_come_and_go,
        journal_keeps_its_order,
        program_is_replaced,
        ages_are_replaced,
        chunks_are_listed,
    )
}
