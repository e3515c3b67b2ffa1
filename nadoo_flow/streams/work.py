"""The work of ``flat_map`` on one item: how it starts, and what becomes of its end."""

from __future__ import annotations

from functools import partial
from types import CoroutineType
from typing import Any, Generic, TypeVar

from typing_extensions import override

from .._support.tasks import leave_out_caller, run_in_own_task

T = TypeVar("T")
R = TypeVar("R")


class Work(Generic[T, R]):
    """Turns each item into a result, with at most one coroutine, which a lane drives.

    The methods are called in the context of the item, and never suspend. ``started`` is the time
    of the loop at which the lane took the item.
    """

    def start(self, item: T, started: float) -> Any:
        """Return the answer for an item, or a coroutine that returns it; a subclass writes this.

        Args:
            item: The item.
            started: When the lane took it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define start()")

    def finish(self, item: T, answer: Any, started: float) -> R:
        """Return what to emit for an answer; what is raised here ends the run.

        Args:
            item: The item.
            answer: What :meth:`start` returned, awaited.
            started: When the lane took it.
        """
        result: R = answer
        return result

    def fail(self, item: T, error: BaseException, started: float) -> R:
        """Return what to emit when the work on an item raised; what is raised here ends the run.

        A cancellation that is the end of the lane must be raised again.

        Args:
            item: The item.
            error: What was raised.
            started: When the lane took it.
        """
        raise error


class WrappedWork(Work[T, R]):
    """Other work with a part of it changed: a subclass overrides that part.

    Args:
        work: The other work; its methods are in ``_start``, ``_finish`` and ``_fail``.
    """

    def __init__(self, work: Work[T, R]) -> None:
        # Bound once and not for each item, for which what is not overridden costs no call more.
        self._start, self._finish, self._fail = work.start, work.finish, work.fail
        for name in ("start", "finish", "fail"):
            if getattr(type(self), name) is getattr(Work, name):
                setattr(self, name, getattr(work, name))


class InOwnTask(Work[T, R]):
    """Work that is done in an asyncio task of its own for each item."""

    def __init__(self, work: Work[T, R]) -> None:
        self._work = work

    @override
    def start(self, item: T, started: float) -> Any:
        return run_in_own_task(partial(do_work, self._work, item, started))


async def do_work(work: Work[T, R], item: T, started: float) -> R:
    """Do the whole work on one item, as a lane does.

    Args:
        work: The work.
        item: The item.
        started: When the lane took it.
    """
    try:
        answer = work.start(item, started)
        if type(answer) is CoroutineType:
            answer = await answer
    except BaseException as error:
        return work.fail(item, leave_out_caller(error), started)
    return work.finish(item, answer, started)
