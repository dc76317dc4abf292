"""Settings of the core; meanings in docs/settings.md."""

from __future__ import annotations

import msgspec

from udfs.decisions.journal import MOST_BYTES, MOST_EVENTS
from udfs.decisions.records import Topics


class ShardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the core; meanings in docs/settings.md.

    Args:
        subject: Event field that names whom state belongs to.
        reorder: Hold events until the clock has reached them (``ordering: event_time``).
        out_of_orderness_ms: How far the clock stays behind the newest event.
        idle_advance_ms: A partition silent for so long has its clock moved by the wall
            clock, for deadlines only; None: never.
        max_future_ms: An event further ahead of the wall clock is dead.
        dedupe_window_ms: Event ids are remembered so long.
        subject_ttl_ms: State without a window is kept so long after the last event.
        max_event_bytes: Larger records are dead.
        counts_interval_ms: Counts are told to ``control`` at most so often.
        resident_subjects: Subjects whose decoded state is kept in memory, per shard.
        sessions: Sessions that have ended are sent.
        session_gap_ms: A session ends so long after its last event.
        session_max_length_ms: No session is longer.
        journal_events: Events after which the state of all subjects that changed is written.
        journal_bytes: Bytes of events after which it is.
        topics: Where records go.
    """

    subject: str = "user_id"
    reorder: bool = False
    out_of_orderness_ms: int = 5_000
    idle_advance_ms: int | None = 5_000
    max_future_ms: int = 300_000
    dedupe_window_ms: int = 600_000
    subject_ttl_ms: int = 30 * 86_400_000
    max_event_bytes: int = 1 << 20
    counts_interval_ms: int = 10_000
    resident_subjects: int = 2_000
    sessions: bool = False
    session_gap_ms: int = 30 * 60_000
    session_max_length_ms: int = 24 * 3_600_000
    journal_events: int = MOST_EVENTS
    journal_bytes: int = MOST_BYTES
    topics: Topics = Topics()
