"""What a manifest must still finish of the one that it replaces."""

from __future__ import annotations

from typing import Final

import msgspec

from configs.manifest import Finishing, Resolved
from configs.settings import DecideSettings
from udfs.matching.succession import Replaced, still_finishing

LAG_MS: Final = 3_600_000
"""How far a job may be behind its log: old rules are kept that much longer, because their windows
pass by the time of events, and only the wall clock is known where manifests are prepared."""


def grace_ms(settings: DecideSettings) -> int:
    """Give how long after its window by the wall clock a rule is still kept, ms."""
    return settings.max_future + settings.out_of_orderness + LAG_MS


def succeed(new: Resolved, in_force: Resolved, now_ms: int | None, grace_ms: int = 0) -> Resolved:
    """Give a manifest with the rules that it has to finish.

    Args:
        new: The one that comes into force.
        in_force: The one that it replaces.
        now_ms: Wall clock; None where all subtasks must come to the same without one: the next
            push notes the time.
        grace_ms: See `grace_ms`.
    """
    before = [Replaced(one.rule, one.replaced_ms) for one in in_force.finishing]
    left = still_finishing(new.rules, in_force.rules, before, now_ms, grace_ms)
    finishing = [Finishing(dict(one.rule), one.at_ms) for one in left]
    return msgspec.structs.replace(new, finishing=finishing)


def at_start(shipped: Resolved, committed: Resolved) -> Resolved:
    """Give the manifest in force after a restore.

    Args:
        shipped: What the driver resolved.
        committed: What was in force when the state was written.

    Returns:
        The newer one; if that is the shipped one, with what it has to finish of the other.
    """
    same = (committed.revision, committed.digest) == (shipped.revision, shipped.digest)
    if same or committed.revision > shipped.revision:
        return committed
    return succeed(shipped, committed, None)
