"""Tasks whose end is decided by their owner, and by nothing that the code inside does.

An :class:`OwnedTask` runs a coroutine through a :class:`Driver`, which sees to it that the end of
the task reaches the coroutine. ``start_owned``, ``run_in_own_task`` and ``end_and_join`` start,
run and end such tasks.

It imports only the standard library.
"""

from .owned_task import (
    PATIENCE,
    Driver,
    FatalError,
    Interrupted,
    OwnedTask,
    close_work,
    end_and_join,
    get_running_task,
    is_being_cancelled,
    is_closing,
    is_ended_by_owner,
    is_to_end,
    raise_fatal,
    run_in_own_task,
    start_owned,
    take_strays_off,
)

__all__ = [
    "PATIENCE",
    "Driver",
    "FatalError",
    "Interrupted",
    "OwnedTask",
    "close_work",
    "end_and_join",
    "get_running_task",
    "is_being_cancelled",
    "is_closing",
    "is_ended_by_owner",
    "is_to_end",
    "raise_fatal",
    "run_in_own_task",
    "start_owned",
    "take_strays_off",
]
