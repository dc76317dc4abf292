"""The standard event: what every source is mapped to and every core reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

TYPED_DEPTH = 6
"""Levels of lists and maps inside ``props`` whose 64-bit limit the decoder checks by itself."""

NonEmpty: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
Millis: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Milliseconds since the epoch, 64 bits, never negative."""

if TYPE_CHECKING:
    Props: TypeAlias = dict[str, Any]
else:

    def _json_type(levels: int) -> Any:
        """Spell out JSON values so that msgspec checks 64-bit integers in C, at no cost.

        The type doubles with every level, so it stops at `TYPED_DEPTH`; what is nested
        deeper is refused by the decoder and looked at again by `udfs.events.codec`.
        """
        int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
        value = None | bool | int64 | float | str
        for _ in range(levels):
            value = None | bool | int64 | float | str | list[value] | dict[str, value]
        return value

    Props = dict[str, _json_type(TYPED_DEPTH)]


class Event(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One standard event.

    The constraints hold for events that were decoded (`udfs.events.codec`); the constructor
    itself checks nothing. ``gc=False`` is safe because JSON holds no cycles.

    New fields are appended after ``props`` and have a default: the packed form in state
    lists the fields in this order.

    Args:
        event_id: Unique; duplicates are dropped.
        event_type: ``page_enter``, ``click``, ``pay`` …
        user_id: Who it concerns. May be empty only where the subject is another field.
        event_time: Milliseconds since the epoch.
        source: ``native``, ``h5``, ``miniprogram``, ``card``, ``server``.
        app_id: The application.
        app_version: Its version.
        device_id: The device.
        device_model: Its model.
        os: Its operating system.
        launch_id: The launch of the app that this event belongs to.
        scene_id: The scene inside the launch.
        page_id: The page.
        page_instance: One visit of the page.
        from_page_instance: The visit that led here.
        from_event_id: The event that led here.
        element_id: What was touched or seen on the page.
        props: Everything else: null, bool, int (64 bit), float, str, list, map.
    """

    event_id: NonEmpty
    event_type: NonEmpty
    user_id: str
    event_time: Millis
    source: str | None = None
    app_id: str | None = None
    app_version: str | None = None
    device_id: str | None = None
    device_model: str | None = None
    os: str | None = None
    launch_id: str | None = None
    scene_id: str | None = None
    page_id: str | None = None
    page_instance: str | None = None
    from_page_instance: str | None = None
    from_event_id: str | None = None
    element_id: str | None = None
    props: Props = {}
