"""What Flink's contexts hide, in one place for each version of PyFlink."""

from __future__ import annotations

from typing import Any


def subtask_of(context: Any) -> tuple[int, int]:
    """Give (index of this subtask, parallelism of its operator).

    PyFlink 2.3 has getters for both that work in process mode only.

    Args:
        context: A `RuntimeContext`, of either execution mode.
    """
    java = getattr(context, "_runtime_context", None)
    if java is not None and hasattr(java, "getTaskInfo"):
        info = java.getTaskInfo()
        return int(info.getIndexOfThisSubtask()), int(info.getNumberOfParallelSubtasks())
    return (
        int(context.get_index_of_this_subtask()),
        int(context.get_number_of_parallel_subtasks()),
    )
