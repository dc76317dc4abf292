"""What must hold to take an event and to pass one over, as the groups around a part have it."""

from __future__ import annotations

from udfs.matching.logic import TRUE, Formula, both, negate
from udfs.matching.parts import Part
from udfs.matching.spec import Then


def until_then(needs: Formula | None, until: Formula | None) -> Formula | None:
    """Give a condition that ends with ``until``; None stays None."""
    if until is None or needs is None:
        return needs
    return both(negate(until), needs)


class Conditions:
    """The conditions of edges while states are made from the last part to the first.

    Attributes:
        group: Whose inside is being made, None outside of all groups.
        later_round: Parts of which a repeat but the first is being made.
    """

    def __init__(self) -> None:
        self.group: Part | None = None
        self.later_round: set[Part] = set()

    def taken(self, part: Part) -> Formula:
        """Give what an event must be to be taken."""
        return self._of_group(part.taken)

    def onward(self) -> Formula:
        """Give what must hold to proceed."""
        return self._of_group(TRUE)

    def before(self, part: Part) -> Formula | None:
        """Give what must hold to pass an event over before a part; None if none may be."""
        how = part.spec.then
        group = self.group
        if group is not None and part.before is None:
            if group in self.later_round:
                how = group.spec.inner
            else:
                # A group that begins its level follows at once, whatever the level follows.
                how = group.spec.then if group.before is not None else Then.NEXT
        return self._passing(part, how)

    def between(self, part: Part) -> Formula | None:
        """Give what must hold to pass an event over between repeats of a part."""
        head = self.group is not None and part.before is None
        spec = self.group.spec if self.group is not None and head else part.spec
        return self._passing(part, spec.inner)

    def heads_optional_group(self, part: Part) -> bool:
        """Whether a part begins the first round of a group that may be left out."""
        group = self.group
        if group is None or part.before is not None:
            return False
        return group not in self.later_round and group.spec.optional

    def _passing(self, part: Part, how: Then) -> Formula | None:
        if how is Then.NEXT:
            return None
        return self._of_group(negate(part.taken) if how is Then.FOLLOWED_BY else TRUE)

    def _of_group(self, needs: Formula) -> Formula:
        found = until_then(needs, self.group.until if self.group is not None else None)
        assert found is not None
        return found
