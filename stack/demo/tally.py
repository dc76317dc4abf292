"""What the demo has seen so far: a value that grows with every record. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

PATH: Final = ("applied", "late", "dead", "doubled")
"""Where an event can end; the shards' counts of these must add up to ``in``."""

_RECENT_S: Final = 5.0
_decode: Final = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Seen:
    """One decision, as far as rates and latency need it.

    Args:
        at_s: When it was read.
        event_ms: Time of its trigger, ms since the epoch.
        flow: Its flow.
        revision: In force when it was decided.
        latency_ms: Since the event that completed it was sent; None where a deadline was what
            completed it.
        sent_s: When its last event was sent; None if that is not known.
        tables: Releases of the tables that were read.
        models: Versions of the models that were asked.
        scores: What they answered, by step.
    """

    at_s: float
    event_ms: int
    flow: str
    revision: int
    latency_ms: float | None
    sent_s: float | None = None
    tables: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Records of the job's topics, counted.

    Args:
        sent_s: When each event was sent, by event id; filled by the producer.
        waiting_rules: Rules whose matches are completed by a deadline and not by an event.
    """

    sent_s: Mapping[str, float] = field(default_factory=dict)
    waiting_rules: frozenset[str] = frozenset()
    decisions: list[Seen] = field(default_factory=list)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)
    defaults: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By reason and by what is its default: a feature, a table, a score."""

    dead: Counter[str] = field(default_factory=Counter)
    late: int = 0
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    shard_revisions: dict[int, int] = field(default_factory=dict)
    applied_s: dict[int, float] = field(default_factory=dict)
    """By revision, when it was read that the last of the shards has applied it."""

    acks: list[dict[str, Any]] = field(default_factory=list)
    _applied: deque[tuple[float, int]] = field(default_factory=deque)

    def take(
        self, role: str, value: bytes | None, headers: Mapping[str, bytes], now_s: float
    ) -> None:
        """Count one record.

        Args:
            role: Of its topic: ``decisions``, ``late``, ``dead_letters``, ``control``, ``acks``.
            value: Its value.
            headers: Its headers.
            now_s: When it was read, on the clock of `sent_s`.
        """
        match role:
            case "decisions":
                self._decision(_decode(value or b""), now_s)
            case "late":
                self.late += 1
            case "dead_letters":
                self.dead[headers.get("error", b"?").decode()] += 1
            case "control":
                self._control(_decode(value or b""), now_s)
            case "acks":
                self.acks.append(_decode(value or b""))

    def _decision(self, record: dict[str, Any], now_s: float) -> None:
        trigger = record["trigger"]
        sent_s = self.sent_s.get(trigger["event_ids"][-1])
        waited = trigger.get("rule") in self.waiting_rules
        latency_ms = None if waited or sent_s is None else (now_s - sent_s) * 1_000
        seen = Seen(
            now_s, record["at"], record["flow"], record["revision"], latency_ms, sent_s,
            record.get("tables", {}), record.get("models", {}), record.get("scores", {}),
        )  # fmt: skip
        self.decisions.append(seen)
        for name, reason in record["reason"].get("defaults", {}).items():
            self.defaults[reason, name] += 1
        self.examples[record["flow"]] = record

    def _control(self, record: dict[str, Any], now_s: float) -> None:
        if record["kind"] == "counts":
            self.counts[record["shard"]] = record["counts"]
        elif record["kind"] == "revision":
            self.shard_revisions[record["shard"]] = record["revision"]
            if len(set(self.shard_revisions.values())) == 1:
                self.applied_s.setdefault(record["revision"], now_s)

    # -- what it comes to -------------------------------------------------------------------

    def total(self, name: str) -> int:
        """Give a count, over all shards."""
        return sum(counts.get(name, 0) for counts in self.counts.values())

    def accounted(self) -> int:
        """Give how many records ended somewhere."""
        return sum(self.total(name) for name in PATH)

    def flows(self) -> Counter[str]:
        """Give the number of decisions by flow."""
        return Counter(seen.flow for seen in self.decisions)

    def rate(self, since_s: float, until_s: float) -> float:
        """Give decisions read a second between two times."""
        found = sum(since_s <= seen.at_s < until_s for seen in self.decisions)
        return found / max(until_s - since_s, 1e-9)

    def event_rate(self, flow: str, revision: int, since_ms: float, until_ms: float) -> float:
        """Give decisions a second of event time, however fast they were worked off.

        Args:
            flow: Of this flow.
            revision: Of this revision.
            since_ms: From, ms since the epoch.
            until_ms: Until.
        """
        found = sum(
            seen.flow == flow and seen.revision == revision and since_ms <= seen.event_ms < until_ms
            for seen in self.decisions
        )
        return found * 1_000 / (until_ms - since_ms) if until_ms > since_ms else 0.0

    def switched_ms(self, flow: str, revision: int) -> int | None:
        """Give the event time of the first decision of a flow under a revision."""
        times = (
            seen.event_ms
            for seen in self.decisions
            if seen.flow == flow and seen.revision == revision
        )
        return min(times, default=None)

    def latencies_ms(self, since_s: float = -math.inf) -> list[float]:
        """Give latencies of decisions read since a time, ascending."""
        return sorted(
            seen.latency_ms
            for seen in self.decisions
            if seen.latency_ms is not None and seen.at_s >= since_s
        )

    def applied_rate(self, now_s: float) -> float:
        """Give events applied a second over the last seconds; asked again and again."""
        history = self._applied
        history.append((now_s, self.total("applied")))
        while len(history) > 2 and now_s - history[1][0] > _RECENT_S:  # noqa: PLR2004 - a first and a last
            history.popleft()
        (first_s, first), (last_s, last) = history[0], history[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0

    def answers(self, revision: int) -> dict[str, int]:
        """Give how often each status stands on `acks` for a revision."""
        return dict(Counter(ack["status"] for ack in self.acks if ack["revision"] == revision))

    def answered_ms(self, revision: int, status: str) -> float | None:
        """Give when a revision was answered so for the last time, ms since the epoch."""
        times = (
            ack["at"]
            for ack in self.acks
            if ack["revision"] == revision and ack["status"] == status
        )
        return max(times, default=None)

    def in_force(self) -> str:
        """Give the revision that shards have applied, or the range while they differ."""
        revisions = sorted(set(self.shard_revisions.values()))
        if not revisions:
            return "-"
        return str(revisions[0]) if len(revisions) == 1 else f"{revisions[0]}-{revisions[-1]}"


def percentile(ascending: list[float], share: float) -> float:
    """Give the value below which a share of the values lies; nan of nothing.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]
