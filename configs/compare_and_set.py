"""Changes what is published without losing what others publish, on a server without a lock.

A namespace of Apollo is one draft and a list of releases. A release holds the draft of that
moment, maybe somebody else's, and replaces the one before, maybe an unread one. But releases have
an order, and a name that goes out with them. So a release of :func:`update` says in its name on
which release it is based, and what text it means to hold; and from names, texts and order every
publisher finds alike which releases count:

* One without such a name counts. It replaces what was there, as was wanted.
* One with such a name counts if it holds the text that was meant, and is based on the latest
  before it that counts.

A publisher whose release does not count applies its change again, on the latest that counts.

Invariant: the latest release that counts holds the change of every update that counts since the
last replacement, each once. (It is based on the latest that counted before; by induction.)
A release that does not count is followed by another of its publisher (who gives up publishes
what counts again), made in sight of it; so when nobody is publishing, the newest release counts,
and its revision is higher than all others.

Until the next attempt, clients may get a release that does not count: it lacks, for a moment, the
change that came in between. A publisher that dies in this moment leaves it behind; the next
update puts it right.

A release that is rolled back is gone, and with it those that are based on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from configs import manifest, strict_json
from configs.backoff import Backoff
from configs.publish import NAME, Published
from udfs.errors import ConfigInvalid, ConfigUnavailable, MillraceError

_PAGES: Final = (20, 200, 2_000)  # releases read; more only if the answer is not among the first
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 2.0
_SETTLE_S: Final = 0.2
"""A database may show a release after one of a higher id: as long as a transaction may take, the
order is not sure. Apollo's own is over in a few milliseconds."""

_DIGEST_CHARS: Final = 32  # the name may have 64 characters, the id of the base takes up to 19
_MEANT: Final = re.compile(rf"{NAME} (\d{{1,19}}) ([0-9a-f]{{{_DIGEST_CHARS}}})")

Change = Callable[[str | None], str]
"""Makes the new text of the current one, which is None if there is none."""


class Releases(Protocol):
    """Where releases are: ``Publisher``."""

    def release(self, namespace: str, text: str, comment: str, name: str) -> Published:
        """Make one."""

    def active(self, namespace: str, size: int) -> list[Published]:
        """The latest, newest first."""


class Updated(msgspec.Struct, frozen=True):
    """A change that is published.

    Args:
        release_id: Of the release that holds it.
        release_key: What clients know it by.
        text: What the release holds.
        attempts: How many it took; 1 if nobody came in between.
    """

    release_id: int
    release_key: str
    text: str
    attempts: int


def update(
    publisher: Releases,
    namespace: str,
    change: Change,
    comment: str = "",
    attempts: int = 10,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Updated:
    """Publish a change of what is published.

    Args:
        publisher: Of the app and cluster.
        namespace: With its suffix, e.g. ``millrace.json``.
        change: Called anew for each attempt, with what others published. Of a manifest it makes
            the next revision; what it is given has the highest one that was seen.
        comment: Why, for the audit trail.
        attempts: How often to try.
        sleep: Waits so many seconds.

    Returns:
        The release; the change is in it once, with the changes of all others.

    Raises:
        ConfigInvalid: The service refuses the text. What ``change`` raises is passed on; then
            nothing of the change stays published.
        ConfigUnavailable: The service cannot be reached or fails (the change may be published or
            not), or others published in between each time.
    """
    writer = _Writer(publisher, namespace, sleep)
    try:
        return writer.write(change, comment, attempts)
    except Exception:
        with contextlib.suppress(MillraceError):
            writer.restore(attempts)
        raise


class _Writer:
    """The attempts of one update."""

    def __init__(self, publisher: Releases, namespace: str, sleep: Callable[[float], None]) -> None:
        self._publisher = publisher
        self._namespace = namespace
        self._sleep = sleep
        self._made: set[int] = set()
        self._highest = 0

    def write(self, change: Change, comment: str, attempts: int) -> Updated:
        backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        for attempt in range(1, attempts + 1):
            if attempt > 1:
                self._sleep(backoff.failed())
            counted = counting(self._read())
            head = counted[-1] if counted else None
            text = change(_raised(head.text if head else None, self._highest))
            name = _name(head, text)
            made = self._publisher.release(self._namespace, text, comment, name)
            self._made.add(made.release_id)
            if self._counts(made):
                self._sleep(_SETTLE_S)
                if self._counts(made):
                    return Updated(made.release_id, made.release_key, text, attempt)
        raise ConfigUnavailable(
            f"{self._namespace}: others published in between, {attempts} times; the change is not "
            "published: try again when they are done"
        )

    def restore(self, attempts: int) -> None:
        """Publish what counts again, if a release of ours keeps it from clients.

        That is one in front of it, or one that a job may have taken and whose revision is not
        lower.
        """
        if not self._made:
            return
        releases = self._read()
        counted = counting(releases)
        if not counted or counted[-1].text is None:
            return
        lowest = manifest.revision_of(counted[-1].text) or 1
        for release in releases:
            if release.release_id not in self._made or release in counted:
                continue
            if release is releases[-1] or (manifest.revision_of(release.text or "") or 0) >= lowest:
                self.write(_again, f"restores release {counted[-1].release_id}", attempts)
                return

    def _counts(self, made: Published) -> bool:
        counted = counting(self._read(made.release_id))
        return any(release.release_id == made.release_id for release in counted)

    def _read(self, back_to: int | None = None) -> list[Published]:
        """Releases, oldest first, as far back as is needed to tell which of them count."""
        releases: list[Published] = []
        for size in _PAGES:
            releases = self._publisher.active(self._namespace, size)[::-1]
            reached = back_to is None or any(one.release_id <= back_to for one in releases)
            if len(releases) < size or (reached and _first_sure(releases) is not None):
                break
        revisions = (manifest.revision_of(release.text or "") for release in releases)
        self._highest = max(self._highest, *(revision or 0 for revision in revisions), 0)
        return releases


def counting(releases: Sequence[Published]) -> list[Published]:
    """Those releases that count, see the module's text.

    Args:
        releases: Oldest first, without gaps.

    Returns:
        Them, oldest first; the last holds what is published.
    """
    bases = _bases(releases)
    counted: list[Published] = []
    for release in releases[_first_sure(releases) or 0 :]:
        if _follows(release, counted[-1] if counted else None, bases):
            counted.append(release)
    return counted


def _follows(release: Published, before: Published | None, bases: set[int]) -> bool:
    """Whether a release counts, given the latest before it that does."""
    meant = _meant(release)
    if meant is None or (before is None and release.release_id in bases):
        return True
    base, digest = meant
    if digest != _digest(release.text):
        return False
    if before is None:
        return True  # what it is based on is out of sight
    # The latter: somebody who replaced what was there has published our draft.
    return base == before.release_id or (_meant(before) is None and before.text == release.text)


def _first_sure(releases: Sequence[Published]) -> int | None:
    """Index of the oldest release that counts whatever was before it.

    One counts if another is based on it: who made that one saw more of what was before.
    """
    bases = _bases(releases)
    for index, release in enumerate(releases):
        if release.release_id in bases or _meant(release) is None:
            return index
    return None


def _bases(releases: Sequence[Published]) -> set[int]:
    return {meant[0] for release in releases if (meant := _meant(release))}


def _name(head: Published | None, text: str) -> str:
    return f"{NAME} {head.release_id if head else 0} {_digest(text)}"


def _meant(release: Published) -> tuple[int, str] | None:
    """Id of the base and digest of the text from a release's name; None if it is another's."""
    found = _MEANT.fullmatch(release.name)
    return (int(found[1]), found[2]) if found else None


def _digest(text: str | None) -> str:
    return hashlib.sha256((text or "").encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARS]


def _again(text: str | None) -> str:
    """The same as the next revision."""
    return _raised(text, (manifest.revision_of(text or "") or 0) + 1) or ""


def _raised(text: str | None, revision: int) -> str | None:
    """A manifest of at least that revision; any other text as it is."""
    if text is None:
        first = {"schema": manifest.SCHEMA, "revision": revision}
        return json.dumps(first) if revision else None
    if (manifest.revision_of(text) or revision) >= revision:
        return text
    try:
        value = strict_json.parse(text)
    except ConfigInvalid:
        return text  # to be refused by whoever reads it
    value["revision"] = revision
    if "\n" in text:
        return json.dumps(value, ensure_ascii=False, indent=1)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
