"""Tasks whose end is decided by their owner, and by nothing that the code inside does.

An :class:`OwnedTask` runs a coroutine through a :class:`Driver`, which sees to it that the end of
the task reaches the coroutine. ``start_owned``, ``run_in_own_task`` and ``end_and_join`` start,
run and end such tasks.

It imports only the standard library.
"""

from .driver import Driver, Interrupted, close_work, is_closing, leave_out_caller, make_transparent
from .lifecycle import FatalError, end_and_join, raise_fatal, run_in_own_task, start_owned
from .owned_task import (
    OwnedTask,
    cancel_as_work,
    get_running_task,
    is_being_cancelled,
    is_ended_by_owner,
    is_to_end,
    take_strays_off,
)

__all__ = [
    "Driver",
    "FatalError",
    "Interrupted",
    "OwnedTask",
    "cancel_as_work",
    "close_work",
    "end_and_join",
    "get_running_task",
    "is_being_cancelled",
    "is_closing",
    "is_ended_by_owner",
    "is_to_end",
    "leave_out_caller",
    "make_transparent",
    "raise_fatal",
    "run_in_own_task",
    "start_owned",
    "take_strays_off",
]
