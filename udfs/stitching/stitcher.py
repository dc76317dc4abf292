"""Sessions as events come: the state of one user is a value, clocks are arguments."""

from __future__ import annotations

from typing import Any, Final

from xxhash import xxh3_64_digest

from udfs.events.event import Event
from udfs.stitching.counts import Counts
from udfs.stitching.log import packed
from udfs.stitching.rows import SESSION_END, More, Row, cut, in_time, row_of
from udfs.stitching.settings import Settings
from udfs.stitching.split import EOF, Segment, split
from udfs.stitching.state import (
    HASH_BYTES,
    State,
    decode,
    encode,
    flush,
    holds,
    items_of,
    replace,
)
from udfs.stitching.track import Memory, Track
from udfs.stitching.tree import build

_PENDING: Final = 4
"""Sessions that wait to be closed hold at most so many times the events of one."""

FEATURES: Final = (
    "session.depth",
    "session.pages",
    "session.dwell_ms",
    "session.came_from",
    "session.bounce",
    "session.path",
)
"""What can be read of an open session."""


class Stitcher:
    """Makes sessions of events; holds no user.

    >>> from udfs.events.codec import from_dict
    >>> stitcher = Stitcher(Settings.read("30m"))
    >>> state = stitcher.decode(b"")
    >>> fields = {"event_id": "1", "event_type": "page_enter", "user_id": "u", "event_time": 0}
    >>> stitcher.update(state, from_dict(fields | {"page_id": "home"}))
    True
    >>> stitcher.features(state, 5_000)["session.dwell_ms"]
    5000
    >>> stitcher.deadline(state)
    1800001
    >>> [record["end_reason"] for record in stitcher.close(state, "u", 1_800_001)]
    ['gap']
    >>> stitcher.encode(state)
    b''

    Args:
        settings: Gap, length and caps.

    Attributes:
        counts: What happened, over all users.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.counts = Counts()

    def decode(self, blob: bytes) -> State:
        """Read the state of a user.

        Args:
            blob: What `encode` gave; empty for a new user.

        Raises:
            StateIncompatible: Another version, or not such bytes.
        """
        return decode(blob)

    def encode(self, state: State) -> bytes:
        """Give the state as bytes; empty if there is nothing to keep. HOT."""
        return encode(state)

    def update(self, state: State, event: Event, clock: int | None = None) -> bool:
        """Take an event in. HOT.

        Args:
            state: The user's; changed in place.
            event: In order of arrival.
            clock: The firing clock when it arrived, ms: what is older is dropped. None: nothing
                is too old.

        Returns:
            Whether it was taken; if not, `counts` says why.
        """
        time, counts = event.event_time, self.counts
        if time < state.floor or (clock is not None and time < clock):
            counts.late += 1
            return False
        h, hashes = xxh3_64_digest(event.event_id.encode()), state.hashes
        if hashes.find(h) >= 0 and holds(hashes, h):
            counts.duplicates += 1
            return False
        row = row_of(event)
        disordered = time < state.newest
        caps = self.settings.caps
        if (
            state.rows >= _PENDING * caps.events
            or len(state.log) >= _PENDING * caps.size_bytes
            or (disordered and self._full(state))
        ):
            counts.dropped += 1
            return False
        counts.events += 1
        hashes += h
        if len(hashes) > 2 * HASH_BYTES * caps.events:
            del hashes[: HASH_BYTES * caps.events]
        # A page that names only the event it came from: the track does not know whose that is.
        unsure = row[9] is not None and row[8] is None and not state.track.knows(row)
        if disordered or state.stale or unsure:
            self._take_in_disorder(state, row)
            if state.stale and self._full(state):
                self._refresh(state)
        else:
            self._take_in_order(state, row)
        return True

    def deadline(self, state: State) -> int | None:
        """Give the firing clock at which `close` is to be called next; None for never. HOT."""
        if not state.rows:
            return None
        if state.pending or state.stale:
            return state.due
        track = state.track
        return track.last + 1 if track.ended else track.last + self.settings.gap_ms + 1

    def close(self, state: State, user_id: str, clock: int) -> list[dict[str, Any]]:
        """Close the sessions that no event can change any more.

        What comes out does not depend on how often this is called.

        Args:
            state: The user's; changed in place.
            user_id: Whose.
            clock: The firing clock, ms: events that are older do not come any more.

        Returns:
            Records as in ``session.schema.json``, by start.
        """
        deadline = self.deadline(state)
        if deadline is None or clock < deadline:
            return []
        segments = self._segments(state)
        over = 0
        while over < len(segments) and segments[over].final_at <= clock:
            over += 1
        closed = [each if each.reason else each._replace(reason="gap") for each in segments[:over]]
        records = self._built(closed, user_id)
        if over:
            state.floor = segments[over - 1].last
            replace(state, (item for each in segments[over:] for item in each.items))
        if state.rows:
            self._follow(state, segments[over:])
        return records

    def finish(self, state: State, user_id: str, reason: str = EOF) -> list[dict[str, Any]]:
        """Close all sessions, whatever the time; the user is a new one then.

        Args:
            state: The user's; changed in place.
            user_id: Whose.
            reason: ``end_reason`` of a session that is open.

        Returns:
            Records, by start.
        """
        if not state.rows:
            return []
        segments = self._segments(state)
        segments[-1] = segments[-1]._replace(reason=segments[-1].reason or reason)
        replace(state, ())
        return self._built(segments, user_id)

    def features(self, state: State, at: int) -> dict[str, Any]:
        """Tell where the user is.

        Args:
            state: The user's; what it knows of is brought up to date.
            at: Time of reading, ms; not before the newest event.

        Returns:
            A value for each of `FEATURES`; those of nothing if no session is open then.
        """
        if state.stale:
            self._refresh(state)
        track = state.track
        at = max(at, state.newest)
        if (
            not track.events
            or track.ended
            or at - track.last > self.settings.gap_ms
            or at - track.start > self.settings.max_length_ms
        ):
            return dict(zip(FEATURES, (0, 0, 0, None, False, []), strict=True))
        pages = track.pages
        here = track.stack[-1] if track.stack else track.path[-1] if track.path else None
        return {
            "session.depth": 0 if here is None else pages[here].depth,
            "session.pages": len(pages),
            "session.dwell_ms": track.dwell_ms + (at - track.mark if track.live else 0),
            "session.came_from": None if here is None else pages[here].came_from,
            "session.bounce": len(pages) == 1 and track.behaviours == 0,
            "session.path": [pages[i].page_id or pages[i].instance for i in track.path],
        }

    def _take_in_order(self, state: State, row: Row) -> None:
        time = row[0]
        settings = self.settings
        caps = settings.caps
        track = state.track
        if track.events and (
            track.ended
            or time - track.last > settings.gap_ms
            or time - track.start > settings.max_length_ms
        ):
            self._begin(state, time)
            track = state.track
        elif (state.kept >= caps.events or len(state.log) >= caps.size_bytes) and (
            track.events and row[2] != SESSION_END
        ):
            self.counts.beyond_events += 1
            track.take_more(More(time, time, 1, None))
            self._skip(state, time, None)
            state.newest = time
            return
        state.newest = time
        base = state.more[0] if state.more else state.time
        entry = packed(row, base, state.texts)
        if len(entry) > caps.text:
            row = self._cut(row)
            entry = packed(row, base, state.texts)
        action, page = track.take(row, caps, settings.path)
        if action == "over":
            self.counts.beyond_behaviours += 1
            self._skip(state, time, track.pages[page].instance)
        elif action == "full":
            self.counts.beyond_pages += 1
            self._skip(state, time, None)
        else:
            self._append(state, row, entry)

    def _take_in_disorder(self, state: State, row: Row) -> None:
        """Only note an event: where it belongs is found out when somebody asks."""
        row = self._cut(row)
        time = row[0]
        if time < state.newest:
            self.counts.disordered += 1
        gap_ms, max_length_ms = self.settings.gap_ms, self.settings.max_length_ms
        # Not later than what turns out to be right: a session may end with this event, this event
        # may be one by itself, or the session has become too long.
        bounds = [time + 1 if row[2] == SESSION_END else time + min(gap_ms, max_length_ms) + 1]
        due = self.deadline(state)
        if due is not None:
            bounds.append(due)
        state.stale = True
        state.newest = max(state.newest, time)
        self._append(
            state, row, packed(row, state.more[0] if state.more else state.time, state.texts)
        )
        if state.newest - state.oldest > max_length_ms:
            bounds.append(state.oldest + max_length_ms + 1)
        state.due = min(bounds)

    def _begin(self, state: State, time: int) -> None:
        """Begin another session while the one before may still change."""
        if not state.pending:
            track, settings = state.track, self.settings
            if track.ended:
                state.due = track.last + 1
            elif time - track.last > settings.gap_ms:
                state.due = track.last + settings.gap_ms + 1
            else:
                state.due = track.start + settings.max_length_ms + 1
        if state.more:
            flush(state)
        state.pending += 1
        state.kept = 0
        state.track = Track()

    def _full(self, state: State) -> bool:
        caps = self.settings.caps
        return state.kept >= caps.events or len(state.log) >= caps.size_bytes

    def _cut(self, row: Row) -> Row:
        found = cut(row, self.settings.caps.text)
        if found != row:
            self.counts.cut += 1
        return found

    def _append(self, state: State, row: Row, entry: bytes) -> None:
        if state.more:
            flush(state)
        if not state.rows or row[0] < state.oldest:
            state.oldest = row[0]
        state.log += entry
        state.rows += 1
        state.kept += 1
        state.time = row[0]
        state.texts = row[2:]

    def _skip(self, state: State, time: int, instance: str | None) -> None:
        """Count an event instead of keeping it."""
        more = state.more
        if more and more[3] == instance:
            state.more = (more[0], time, more[2] + 1, instance)
            return
        if more:
            flush(state)
        state.more = (time, time, 1, instance)

    def _segments(self, state: State) -> list[Segment]:
        items = items_of(state)
        items.sort(key=in_time)
        return split(items, self.settings)

    def _refresh(self, state: State) -> None:
        self._follow(state, self._segments(state))

    def _follow(self, state: State, segments: list[Segment]) -> None:
        """Find out anew where the user is."""
        *others, newest = segments
        state.pending = len(others)
        state.due = segments[0].final_at
        state.kept = len(newest.items)
        state.stale = False
        state.track = Track()
        memory = Memory()
        for item in newest.items:
            if type(item) is More:
                state.track.take_more(item, memory)
            else:
                state.track.take(item, self.settings.caps, self.settings.path, memory)  # type: ignore[arg-type]

    def _built(self, segments: list[Segment], user_id: str) -> list[dict[str, Any]]:
        self.counts.sessions += len(segments)
        return [build(each, user_id, self.settings, self.counts) for each in segments]
