"""``millrace config``, with the compiler: `check` and `publish` say what the watcher would say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from configs import objects
from configs.cli import make_app
from configs.manifest import Resolved
from udfs.errors import Fault
from udfs.runtime.watch_process import validate

_TOPICS: Final = {"decisions"}


def compile_(resolved: Resolved) -> Sequence[Fault]:
    """Give the faults of a manifest, all of them.

    Which further topics a job may write is the job's setting (``action_topics``); here every
    topic that an action names will do, and the job's own watcher has the last word.
    """
    named = {
        flow["action"]["topic"]
        for flow in resolved.flows
        if isinstance(flow, dict)
        and isinstance(flow.get("action"), dict)
        and isinstance(flow["action"].get("topic"), str)
    }
    return validate(resolved, objects.get, _TOPICS | named).faults


app: Final = make_app(compile_)
