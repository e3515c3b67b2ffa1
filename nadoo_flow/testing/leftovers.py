"""Finding what a piece of code has left behind: tasks, threads, processes and generators."""

from __future__ import annotations

import asyncio
import gc
import inspect
import multiprocessing
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeAlias
from weakref import WeakSet

from .waiting_tasks import describe_frame, describe_tasks

AnyGenerator: TypeAlias = "GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any]"

POOL_OF_LOOP = re.compile(r"asyncio_\d+$")
"""Names of the threads that a loop keeps for ``asyncio.to_thread``, until it is closed."""


class LeftoverError(AssertionError):
    """A block of code has left something behind, which the text names.

    It is raised by :func:`assert_nothing_left`.

    Example:
        >>> issubclass(LeftoverError, AssertionError)
        True
    """


@contextmanager
def assert_nothing_left() -> Iterator[None]:
    """Assert that what a block of code starts has ended when the block ends.

    It finds tasks of the running loop, threads, child processes of ``multiprocessing``, and
    generators, sync or async, that have been started and neither exhausted nor closed. What was
    there before the block does not count, and neither do the threads that a loop keeps for
    ``asyncio.to_thread``. Put it inside the coroutine, since ``asyncio.run`` itself ends what is
    left. If the block raises, its error passes, with a note on what is left.

    Raises:
        LeftoverError: If something is left. It is an AssertionError.

    Example:
        >>> async def main() -> None:
        ...     with assert_nothing_left():
        ...         asyncio.create_task(asyncio.sleep(60), name="forgotten")
        >>> try:
        ...     asyncio.run(main())
        ... except LeftoverError as error:
        ...     print(str(error).partition(" waits")[0])
        left behind:
          task 'forgotten'
    """
    before = _Present()
    try:
        yield
    except BaseException as error:
        if text := before.describe_new():
            error.add_note(text)
        raise
    if text := before.describe_new():
        raise LeftoverError(text)


class _Present:
    """What is there when it is made."""

    def __init__(self) -> None:
        self._tasks = WeakSet(_find_tasks())
        self._threads = WeakSet(threading.enumerate())
        self._processes = WeakSet(multiprocessing.active_children())
        self._generators = WeakSet(_find_open_generators())

    def describe_new(self) -> str:
        """Describe what is there now, and was not then."""
        if not (new := self._list_new()):
            return ""
        # What is only part of a cycle of garbage is not left.
        gc.collect()
        new = self._list_new()
        return "\n  ".join(["left behind:", *new]) if new else ""

    def _list_new(self) -> list[str]:
        tasks = _find_tasks()
        threads = [
            f"thread {thread.name!r}"
            for thread in threading.enumerate()
            if thread not in self._threads and not (tasks and POOL_OF_LOOP.match(thread.name))
        ]
        processes = [
            f"process {process.name!r}"
            for process in multiprocessing.active_children()
            if process not in self._processes
        ]
        generators = [
            _describe_generator(generator)
            for generator in _find_open_generators()
            if generator not in self._generators
        ]
        started = [task for task in tasks if task not in self._tasks]
        return [
            *describe_tasks(started),
            *sorted(threads),
            *sorted(processes),
            *sorted(generators),
        ]


def _find_tasks() -> set[asyncio.Task[Any]]:
    try:
        return asyncio.all_tasks()
    except RuntimeError:  # no loop is running
        return set()


def _find_open_generators() -> Iterator[AnyGenerator]:
    for found in gc.get_objects():
        # isinstance() asks an object for its class, and lazy ones of other packages do much then.
        kind = type(found)
        if kind is GeneratorType:
            if inspect.getgeneratorstate(found) == inspect.GEN_SUSPENDED:
                yield found
        elif kind is AsyncGeneratorType and _is_suspended(found):
            yield found


def _is_suspended(generator: AsyncGeneratorType[Any, Any]) -> bool:
    if sys.version_info >= (3, 12):
        return inspect.getasyncgenstate(generator) == inspect.AGEN_SUSPENDED
    frame: Any = generator.ag_frame
    return frame is not None and frame.f_lasti > 0 and not generator.ag_running


def _describe_generator(generator: AnyGenerator) -> str:
    if isinstance(generator, GeneratorType):
        kind, frame = "generator", generator.gi_frame
    else:
        kind, frame = "async generator", generator.ag_frame
    return f"{kind} that has stopped at {describe_frame(frame) if frame else 'its end'}"
