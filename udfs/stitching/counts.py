"""What was passed over, cut or odd, over all users."""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct):
    """How often something happened; grows, and is never part of a state.

    Args:
        events: Events that were taken in.
        sessions: Sessions that were closed.
        late: Events older than the firing clock, or than a session that is closed; dropped.
        duplicates: Events whose id the open sessions of the user hold; dropped.
        disordered: Events that came after a newer one of the same user.
        beyond_events: Events that count and are not kept (`Caps.events`, `Caps.size_bytes`).
        beyond_behaviours: Behaviours that count and are not kept (`Caps.behaviours`).
        beyond_pages: Events of pages that are not kept (`Caps.pages`).
        dropped: Events for which there is no room at all: out of order, or one session too many.
        cut: Events with a text that was too long (`Caps.text`).
        self_references: Pages that claimed to come from themselves.
        outside: References to pages that the session does not hold.
        repeated: Enters of a page that is open, leaves of one that is left.
        late_enters: Enters of pages on which something had happened before.
    """

    events: int = 0
    sessions: int = 0
    late: int = 0
    duplicates: int = 0
    disordered: int = 0
    beyond_events: int = 0
    beyond_behaviours: int = 0
    beyond_pages: int = 0
    dropped: int = 0
    cut: int = 0
    self_references: int = 0
    outside: int = 0
    repeated: int = 0
    late_enters: int = 0
