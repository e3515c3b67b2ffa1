"""Steps a coroutine inside an owned task, as the event loop steps the coroutine of a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from types import CodeType, FunctionType, coroutine
from typing import Any, Generic, TypeVar, cast

from ..functions import call
from .owned_task import OwnedTask, get_running_task

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

_is_closing: ContextVar[bool] = ContextVar("nadoo_flow_is_closing", default=False)


class Interrupted(BaseException):
    """Raised to have the outermost coroutine of a task call :meth:`Driver.drive` again.

    When a future raises GeneratorExit, Python closes every coroutine below the outermost one, and
    a coroutine that is being closed must not suspend. So the driver cannot go on where it is.
    """


class Driver(Generic[T]):
    """Steps a coroutine inside an owned task, and delivers the end of the task to it.

    Args:
        make: Makes the coroutine when the task takes its first step; one that is cancelled before
            that never starts.
        in_context: Calls a function in the context of the coroutine; that of the task by default.
    """

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, T]],
        in_context: Callable[..., Any] | None = None,
    ) -> None:
        self._make = make
        self._in_context = in_context or call
        self._work: Coroutine[Any, Any, T] | None = None
        self._thrown: BaseException | None = None

    def interrupt(self, error: GeneratorExit) -> Interrupted:
        """Return what to raise where a future raised GeneratorExit.

        The next step throws a RuntimeError into the coroutine, because a GeneratorExit would look
        as if the coroutine were being closed.
        """
        thrown = RuntimeError("what was awaited raised GeneratorExit")
        thrown.__cause__ = error
        self._thrown = thrown
        return Interrupted()

    @coroutine
    def drive(self) -> Generator[Any, Any, T]:
        """Step the coroutine to its end.

        The lanes of ``flat_map`` repeat this loop for speed (``streams.operators.lanes``).

        Raises:
            Interrupted: To be called again.
        """
        task = cast("OwnedTask[T]", asyncio.current_task())
        work = self._work = self._work or self._make()
        step: Callable[[Any], Any] = work.send
        argument: Any = None
        if self._thrown is not None:
            step, argument, self._thrown = work.throw, self._thrown, None
        while True:
            try:
                awaited = self._in_context(step, argument)
            except StopIteration as done:
                return cast(T, done.value)
            # An exception that is kept here would look as if the work still handled it.
            argument = None
            if task.ended_by_owner:
                task.deliver()
            try:
                step, argument = work.send, (yield awaited)
            except GeneratorExit as error:
                if get_running_task() is task:
                    raise self.interrupt(error) from None
                close_work(work, self._in_context)
                raise
            except asyncio.CancelledError as error:
                task.note_thrown(error, awaited)
                step, argument = work.throw, leave_out_caller(error)
            except BaseException as error:
                step, argument = work.throw, leave_out_caller(error)


def close_work(work: Coroutine[Any, Any, object], in_context: Callable[..., object]) -> None:
    """Close a coroutine that is never stepped again, with :func:`is_closing` true inside it."""
    in_context(_is_closing.set, True)
    try:
        in_context(work.close)
    finally:
        in_context(_is_closing.set, False)


def is_closing() -> bool:
    """Return whether a GeneratorExit means that the coroutine is being closed.

    Otherwise the code inside has raised it.
    """
    return _is_closing.get() or not isinstance(get_running_task(), OwnedTask)


def leave_out_caller(error: BaseException) -> BaseException:
    """Take the frame that catches an exception out of its traceback.

    A failed result keeps its exception, which would keep the lane, and with it the whole run.
    """
    traceback = error.__traceback__
    if traceback is not None:
        traceback = traceback.tb_next
    while traceback is not None and traceback.tb_frame.f_code in _transparent:
        traceback = traceback.tb_next
    return error.with_traceback(traceback)


def make_transparent(function: F) -> F:
    """Have :func:`leave_out_caller` take out the frames of a function below the catching one."""
    _transparent.add(cast("FunctionType", function).__code__)
    return function


_transparent: set[CodeType] = set()
